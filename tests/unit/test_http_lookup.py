"""A key that is looked up: what is asked for whom, and what is shown of it."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.acl_user import User
from distrodb.commands.table import DISPATCHED
from distrodb.master.quoting import unquote
from distrodb.resp.reply import Status, error
from distrodb.ring.clustermap import first_map
from distrodb.slave.http.conversation import Answer, Later
from distrodb.slave.http.lookup import (
    SHOWN_BYTES,
    VALUES_AT_ONCE,
    VALUES_PER_S,
    WAIT_S,
    Lookups,
    escape,
)
from distrodb.slave.http.visitors import Visitor, Visitors
from distrodb.slave.users import Users

MAP = first_map([(n, f"{n}:1", f"{n}:2") for n in "abc"], 4, 3, dict.fromkeys("abc", "1"))
STRING = {b"TYPE": Status(b"string"), b"PTTL": -1, b"STRLEN": 5, b"GETRANGE": b"value"}


class World:
    def __init__(self, rules: str = "on >x ~* +@all", cluster_map=MAP) -> None:
        self.now, self.turns = 100.0, 0
        self.parts: list = []
        self.timers: list = []
        users = Users(DISPATCHED, "secret")
        text = User(b"app").changed(rules.encode().split(), DISPATCHED).text.decode()
        users.follow({"app": text})
        self.noted: list = []
        access = SimpleNamespace(users=users, note=self.noted.append)
        self.calls: Counter[str] = Counter()
        self.pausing = SimpleNamespace(pause=None)
        process = SimpleNamespace(
            now=lambda: self.now, later=lambda s, what: self.timers.append((s, what))
        )
        service = SimpleNamespace(
            access=access, calls=self.calls, pausing=self.pausing, process=process
        )
        slots = [p.id for p in cluster_map.partitions for _ in range(p.first, p.last + 1)]
        routing = SimpleNamespace(leader_of=lambda partition: "b", partition_of_slot=slots)
        core = SimpleNamespace(
            view=SimpleNamespace(map=cluster_map, routing=routing),
            forward=lambda part, partition: self.parts.append((part, partition)),
        )
        visitors = Visitors(access, lambda: self.now, True)
        self.lookups = Lookups(core, service, visitors, self._turn)
        self.visitor = Visitor(b"app", users.guard_of(b"app", True), True, None)
        self.given: list[Answer] = []

    def _turn(self) -> None:
        self.turns += 1

    def ask(self, key: bytes = b"a{foo}\xff") -> dict | None:
        """What is answered at once, if anything is."""
        found = self.lookups.look_up(self.visitor, key)
        if isinstance(found, Later):
            found.begin(lambda make: self.given.append(make()))
            return None
        return json.loads(found.body)

    def answer(self, replies: dict) -> dict:
        """The partition's leader does; what the visitor is given."""
        for part, _ in list(self.parts):
            part.resolve(replies[part.args[0]])
        (answer,) = self.given
        return json.loads(answer.body)


def test_where_a_key_is_and_what_it_holds():
    world = World()
    assert world.ask() is None and world.turns == 1
    assert {partition for _, partition in world.parts} == {2}
    assert [part.args for part, _ in world.parts] == [
        [b"TYPE", b"a{foo}\xff"],
        [b"PTTL", b"a{foo}\xff"],
        [b"STRLEN", b"a{foo}\xff"],
        [b"GETRANGE", b"a{foo}\xff", b"0", str(SHOWN_BYTES - 1).encode()],
    ]
    assert not any(part.is_write for part, _ in world.parts)
    found = world.answer(STRING)
    assert found["slot"] == 12182  # of foo, as redis-cli says
    assert found["slots"][0] <= 12182 <= found["slots"][1]
    assert (found["partition"], found["leader"], found["why"]) == (2, "b", "")
    assert found["value"] == {"type": "string", "ttl_ms": -1, "length": 5, "text": "value"}
    assert world.calls == {"type": 1, "pttl": 1, "strlen": 1, "getrange": 1}


@pytest.mark.parametrize(
    "rules", ["on >x ~other* +@all", "on >x ~* +@all -get", "on >x %W~* +@all"]
)
def test_nothing_is_read_for_who_may_not_get_it(rules):
    world = World(rules)
    found = world.ask()
    assert world.parts == [] and world.noted
    assert found["value"] is None and found["why"].startswith("app: this user has no permissions")
    assert found["partition"] == 2


def test_what_else_a_user_may_not_ask_is_left_out():
    world = World("on >x ~* +get")
    world.ask()
    assert [part.args[0] for part, _ in world.parts] == [b"STRLEN", b"GETRANGE"]
    found = world.answer(STRING)
    assert found["value"] == {"type": None, "ttl_ms": None, "length": 5, "text": "value"}


def test_a_key_that_is_not_there_and_one_of_another_type():
    world = World()
    world.ask()
    missing = {b"TYPE": Status(b"none"), b"PTTL": -2, b"STRLEN": 0, b"GETRANGE": b""}
    assert world.answer(missing)["why"] == "there is no such key"
    world = World()
    world.ask()
    wrong = error("WRONGTYPE", "Operation against a key holding the wrong kind of value")
    found = world.answer({**STRING, b"TYPE": Status(b"hash"), b"STRLEN": wrong, b"GETRANGE": wrong})
    assert found["value"] == {"type": "hash", "ttl_ms": -1, "length": None, "text": None}
    assert found["why"] == "only strings are shown"


def test_why_it_cannot_be_told():
    world = World()
    world.ask()
    found = world.answer({**STRING, b"GETRANGE": error("CLUSTERDOWN", "no leader")})
    assert found["value"] is None and found["why"] == "CLUSTERDOWN no leader"


def test_a_leader_that_does_not_answer_is_waited_for_for_a_while():
    world = World()
    world.ask()
    ((seconds, give_up),) = world.timers
    assert seconds == WAIT_S
    give_up()
    assert json.loads(world.given[0].body)["why"] == f"no answer in {WAIT_S:g} seconds"
    for part, _ in world.parts:
        part.resolve(STRING[part.args[0]])
    give_up()
    assert len(world.given) == 1


def test_what_fails_is_the_takers_to_bear_not_the_core_s():
    """The core calls it, in its turn: what is raised there ends the slave."""
    world = World()
    found = world.lookups.look_up(world.visitor, b"a")
    makes: list = []
    found.begin(makes.append)
    for part, _ in world.parts:
        part.resolve(Status(b"\xff"))  # no type is called so
    with pytest.raises(UnicodeDecodeError):
        makes[0]()


def test_values_are_read_at_a_bounded_rate():
    world = World()
    answers = [world.ask() for _ in range(VALUES_AT_ONCE + 3)]
    assert answers[:VALUES_AT_ONCE] == [None] * VALUES_AT_ONCE
    assert all("too many keys" in found["why"] for found in answers[VALUES_AT_ONCE:])
    world.now += 1.0
    assert [world.ask() for _ in range(VALUES_PER_S)] == [None] * VALUES_PER_S
    assert "too many keys" in world.ask()["why"]


def test_a_pause_holds_it_too():
    world = World()
    world.pausing.pause = SimpleNamespace(holds=lambda row: True)
    world.ask()
    assert "paused" in json.loads(world.given[0].body)["why"] and world.parts == []


def test_a_cluster_that_is_not_born_has_no_keys():
    nothing = SimpleNamespace(partitions=[])
    assert World(cluster_map=nothing).lookups.look_up(None, b"a").status == 503


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"plain \xc3\xa4 \xf0\x9f\xa6\x84", "plain ä 🦄"),
        (b"\x00\x7f\n\r\t\x1b", r"\x00\x7f\n\r\t\x1b"),
        (b"a\\x00", r"a\\x00"),
        ("a\u202eb\u2028\u00a0\U000e0001".encode(), r"a\u202eb\u2028\u00a0\U000e0001"),
        (b"\xff\xc3", r"\xff\xc3"),
        (b"", ""),
    ],
)
def test_what_cannot_be_seen_is_shown_as_what_it_is(value, shown):
    assert escape(value) == shown


@given(st.binary())
def test_bytes_are_shown_as_the_shell_reads_them(value):
    shown = escape(value)
    assert shown.isprintable()
    if "\\U" not in shown:
        assert unquote('"' + shown.replace('"', '\\"') + '"') == value
