"""Who the HTTP port takes somebody for, what he may see, and what guessing a password comes to."""

from base64 import b64encode
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.acl_user import User
from distrodb.commands.table import DISPATCHED
from distrodb.config.address import parse
from distrodb.slave.http.conversation import Answer, Asked
from distrodb.slave.http.visitors import (
    DENIED,
    LOG_IN,
    TOO_OFTEN,
    Visitor,
    Visitors,
    login_of,
)
from distrodb.slave.logins import OF_HTTP
from distrodb.slave.users import Users

STATUS = [b"DISTRODB", b"STATUS"]
FAILED_AT_ONCE = int(OF_HTTP.at_once)


def basic(login: str) -> str:
    return "Basic " + b64encode(login.encode()).decode()


class World:
    def __init__(self, password: str = "", is_protected: bool = True, **rules: str) -> None:
        self.users = Users(DISPATCHED, password)
        self.set(**rules)
        self.noted: list = []
        self.now = 100.0
        access = SimpleNamespace(users=self.users, note=self.noted.append)
        self.visitors = Visitors(access, lambda: self.now, is_protected)

    def set(self, **rules: str) -> None:
        users = {
            name: User(name.encode()).changed(text.encode().split(), DISPATCHED)
            for name, text in rules.items()
        }
        self.users.follow({name: user.text.decode("latin-1") for name, user in users.items()})

    def who(self, login: str | None = None, peer: str = "127.0.0.1:9") -> Visitor | Answer:
        headers = {} if login is None else {"authorization": basic(login)}
        return self.visitors.who(Asked("/", "", "h", parse(peer) if peer else None, headers))

    def may(self, words: list[bytes], login: str | None = None) -> bool:
        visitor = self.who(login)
        assert isinstance(visitor, Visitor), visitor
        return not self.visitors.objection(visitor, words)


def test_where_no_password_is_needed_whoever_comes_is_the_default_user():
    world = World()
    assert world.who() == Visitor(b"default", None, False, parse("127.0.0.1:9"))
    assert world.who("default:anything").name == b"default"  # as AUTH has it


def test_where_one_is_needed_a_stranger_is_asked_for_it():
    world = World("secret")
    assert world.who() == LOG_IN and LOG_IN.status == 401
    assert dict(LOG_IN.more)["WWW-Authenticate"].startswith('Basic realm="')
    for login in ("default:secret", ":secret"):
        assert world.who(login).name == b"default"
    for login in ("default:wrong", "nobody:secret", "default:"):
        assert world.who(login) == LOG_IN


def test_users_are_those_of_the_map_from_one_request_to_the_next():
    world = World("secret", app="on >x +info", off="off >x +@all")
    assert world.who("app:x").name == b"app"
    assert world.who("off:x") == LOG_IN
    world.set(app="on >y +info")
    assert world.who("app:x") == LOG_IN and world.who("app:y").has_logged_in
    world.set()
    assert world.who("app:y") == LOG_IN


def test_a_path_is_for_whom_the_command_is_that_tells_the_same():
    world = World("secret", app="on >x +info", admin="on >x +@admin")
    assert world.may([b"INFO"], "app:x") and not world.may(STATUS, "app:x")
    assert world.may(STATUS, "admin:x") and not world.may([b"INFO"], "admin:x")
    assert world.may(STATUS, ":secret")
    about = [(each.about, each.what, each.user) for each in world.noted]
    assert about == [("command", b"distrodb", b"app"), ("command", b"info", b"admin")]


def test_keys_are_for_whom_their_patterns_are():
    world = World("secret", app="on >x ~app:* %W~w:* +get")
    assert world.may([b"GET", b"app:1"], "app:x")
    assert not world.may([b"GET", b"other"], "app:x")
    assert not world.may([b"GET", b"w:1"], "app:x")
    assert not world.may([b"PTTL", b"app:1"], "app:x")


def test_any_key_may_be_told_of_in_an_objection():
    world = World("secret", app="on >x +get")
    visitor = world.who("app:x")
    assert world.visitors.objection(visitor, [b"GET", b"\xff\n"]).startswith("app: this user has")


def test_failed_logins_are_told_of_as_those_of_auth():
    world = World("secret")
    world.who("app:wrong")
    (noted,) = world.noted
    assert (noted.about, noted.what, noted.user) == ("auth", b"AUTH", b"app")
    assert noted.client == b"addr=127.0.0.1:9 name=http user=app" and noted.at_s == 100.0


def test_who_guesses_may_do_so_once_a_second():
    world = World("secret")
    answers = [world.who(f":{n}") for n in range(FAILED_AT_ONCE + 5)]
    assert answers == [LOG_IN] * FAILED_AT_ONCE + [TOO_OFTEN] * 5
    assert world.who(":secret") == TOO_OFTEN  # nor is he told when he is right
    assert len(world.noted) == FAILED_AT_ONCE
    world.now += 1.0
    assert world.who(":0") == LOG_IN and world.who(":1") == TOO_OFTEN
    world.now += 1.0
    assert world.who(":secret").has_logged_in


def test_who_guesses_keeps_nobody_out_who_was_let_in_before_or_comes_from_elsewhere():
    world = World("secret", app="on >x +info")
    assert world.who(":secret").has_logged_in
    for number in range(2 * FAILED_AT_ONCE):
        world.who(f":{number}")
    assert world.who("app:x") == TOO_OFTEN
    assert world.who(":secret").has_logged_in
    assert world.who("app:x", "10.0.0.2:1").has_logged_in
    world.set(default="on >other +@all")
    assert world.who(":secret") == LOG_IN  # it was right, and is not any more
    assert world.who(":secret") == TOO_OFTEN


def test_a_slave_in_protected_mode_is_open_to_its_own_machine_alone():
    world = World()
    for peer in ("127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"):
        assert world.who(peer=peer).name == b"default"
    for peer in ("10.0.0.1:9", "[fe80::1]:9", ""):
        assert world.who(peer=peer) == world.who("default:x", peer) == DENIED
    assert World(is_protected=False).who(peer="10.0.0.1:9").name == b"default"
    assert World("secret").who(":secret", "10.0.0.1:9").has_logged_in


@pytest.mark.parametrize(
    "given", ["", "Basic", "Basic ", "Bearer abc", "Basic !!!", "Basic YQ==", "Basic YTpi YTpi"]
)
def test_what_is_no_login_is_none_and_no_failed_one(given):
    assert login_of(given) is None
    world = World("secret")
    asked = Asked("/", "", "h", parse("127.0.0.1:9"), {"authorization": given})
    assert world.visitors.who(asked) == LOG_IN and world.noted == []


@given(st.text(), st.text())
def test_name_and_password_may_have_any_letters(name, password):
    name = name.replace(":", "")
    assert login_of(basic(f"{name}:{password}")) == (name.encode() or b"default", password.encode())
