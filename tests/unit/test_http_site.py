"""What the HTTP port's paths say, what it costs at most, and whom it does not answer."""

import json
from base64 import b64decode, b64encode
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.acl_user import User
from distrodb.commands.table import DISPATCHED
from distrodb.config import load, render
from distrodb.config.sections import Address, NodeAddress
from distrodb.ring.clustermap import first_map
from distrodb.slave.http.conversation import NOTED, Answer, Asked
from distrodb.slave.http.document import KEPT_S, SHARE, Document
from distrodb.slave.http.limits import REQUESTS_AT_ONCE, REQUESTS_PER_S
from distrodb.slave.http.readiness import SHOWN_MAX, reasons_against
from distrodb.slave.http.site import ROWS_A_SLICE, Site
from distrodb.slave.http.visitors import Visitor, Visitors
from distrodb.slave.rate import Rate
from distrodb.slave.users import Users

# -- documents -----------------------------------------------------------------------------------


class Making:
    """Pieces that take time to make."""

    def __init__(self, *pieces_s: float):
        self.now, self.made, self._pieces_s = 0.0, 0, pieces_s

    def clock(self) -> float:
        return self.now

    def pieces(self):
        self.made += 1
        for number, seconds in enumerate(self._pieces_s):
            self.now += seconds
            yield str(number).encode()


def whole(document: Document, making: Making) -> tuple[int, Answer]:
    steps = 1
    while (answer := document.make_on(making.clock)) is None:
        steps += 1
    return steps, answer


def test_a_document_is_made_a_slice_at_a_time():
    making = Making(0.001, 0.001, 0.001)
    document = Document(making.pieces, "text/plain")
    assert document.kept(0.0) is None
    steps, answer = whole(document, making)
    assert steps == 4 and answer == Answer(200, b"012", "text/plain")


@pytest.mark.parametrize("takes_s", [0.0, 0.001, 0.1, 2.0])
def test_however_often_it_is_asked_for_it_takes_a_bounded_share_of_the_time(takes_s):
    making = Making(takes_s)
    document = Document(making.pieces, "text/plain")
    busy_s = 0.0
    while making.now < 1000 * max(takes_s, KEPT_S):
        if document.kept(making.now) is None:
            before = making.now
            whole(document, making)
            busy_s += making.now - before
        making.now += 0.01
    assert making.made > 10
    assert busy_s <= making.now / SHARE + takes_s
    assert making.made <= making.now / KEPT_S + 1


def test_what_goes_wrong_in_a_document_is_raised_and_it_begins_anew():
    making, is_broken = Making(0.0, 0.0), True

    def make():
        yield b"half"
        if is_broken:
            raise KeyError("x")
        yield from making.pieces()

    document = Document(make, "text/plain")
    assert document.make_on(making.clock) is None
    with pytest.raises(KeyError):
        document.make_on(making.clock)
    assert document.kept(making.now) is None
    is_broken = False
    assert whole(document, making)[1].body == b"half01"


def test_requests_have_a_rate():
    rate = Rate(100.0, REQUESTS_PER_S, REQUESTS_AT_ONCE)
    assert [rate.take(100.0) for _ in range(REQUESTS_AT_ONCE + 5)].count(True) == REQUESTS_AT_ONCE
    assert [rate.take(100.125) for _ in range(100)].count(True) == REQUESTS_PER_S // 8
    assert [rate.take(1000.0) for _ in range(100)].count(True) == REQUESTS_AT_ONCE


# -- paths ---------------------------------------------------------------------------------------


def waiting(how: str = "") -> SimpleNamespace:
    """A map keeper that waits for something; for b."""
    return SimpleNamespace(
        waits_to_join=how == "waits_to_join",
        waits_for_cluster=how == "waits_for_cluster",
        waits_for=["b"] if how else None,
    )


def view_of(**changed):
    """A slave that is as it should be, but for what is changed."""
    nodes = [(name, f"{name}:1", f"{name}:2") for name in "abc"]
    cluster_map = first_map(nodes, 4, 3, dict.fromkeys("abc", "1"))
    given = {
        "maps": waiting(),
        "map": cluster_map,
        "id": "a",
        "peers": SimpleNamespace(is_alive=lambda node: True),
        "not_yet_in": list,
        "routing": SimpleNamespace(
            leaderless=list,
            leader_of=lambda partition: "b",
            partition_of_slot=[
                p.id for p in cluster_map.partitions for _ in range(p.first, p.last + 1)
            ],
        ),
    }
    return SimpleNamespace(**{**given, **changed})


@pytest.fixture
def config(tmp_path):
    rows = [
        NodeAddress(
            "a",
            Address("db.example", 1),
            Address("10.0.0.1", 2),
            client_bind=Address("0.0.0.0", 1),
            http_bind=Address("0.0.0.0", 3),
        )
    ]
    (tmp_path / "a.toml").write_text(render("a", "data", rows))
    return load(tmp_path / "a.toml")


class Lookups:
    """Of keys; they are told who asks for which."""

    def look_up(self, visitor: Visitor, key: bytes) -> Answer:
        return Answer(200, visitor.name + b" " + key)


def site_of(config, password: str = "", **rules: str) -> Site:
    """``rules``: those of users."""
    status = {"epoch": 7, "partitions": [{"id": n} for n in range(2 * ROWS_A_SLICE + 1)]}
    service = SimpleNamespace(status=lambda: status)
    page = {"/": Answer(200, b"<!doctype html>", "text/html")}
    users = Users(DISPATCHED, password)
    users.follow(
        {
            name: User(name.encode()).changed(text.encode().split(), DISPATCHED).text.decode()
            for name, text in rules.items()
        }
    )
    access = SimpleNamespace(users=users, note=lambda refused: None)
    visitors = Visitors(access, lambda: 0.0, True)
    view = view_of(config=config)
    more = {"/metrics": Document(lambda: iter([b"1"]), "text/plain")}
    site = Site(view, service, lambda: False, visitors, Lookups(), page, more)
    site.status = status
    return site


@pytest.fixture
def site(config):
    return site_of(config)


def ask(
    site: Site, path: str, query: str = "", host: str = "127.0.0.1:3", login: str = "", **more: str
) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    if login:
        headers["authorization"] = "Basic " + b64encode(login.encode()).decode()
    found = site.answer(Asked(path, query, host, Address("127.0.0.1", 9), headers))
    return whole(found, Making())[1] if isinstance(found, Document) else found


def test_the_cluster_is_the_status_whatever_its_size(site):
    for count in (0, 1, ROWS_A_SLICE, ROWS_A_SLICE + 1, 3 * ROWS_A_SLICE):
        site.status["partitions"] = [{"id": n, "group": ["a"]} for n in range(count)]
        assert json.loads(ask(site, "/cluster").body) == site.status


def test_health_and_readiness(site):
    assert ask(site, "/healthz") == Answer(200, b"ok\n")
    assert ask(site, "/readyz") == Answer(200, b"ready\n")
    site._view.not_yet_in = lambda: [3]
    answer = ask(site, "/readyz")
    assert answer.status == 503 and b"does not count yet in partition 3" in answer.body


@pytest.mark.parametrize("query", ["name=a%7Bfoo%7D%ff%00", "x=1&name=a{foo}%FF%00"])
def test_a_key_may_be_any_bytes(site, query):
    assert ask(site, "/key", query).body == b"default a{foo}\xff\x00"


@pytest.mark.parametrize("query", ["", "nam=a", "a=1&b=2&c=3&d=4&name=e"])
def test_a_key_must_be_named(site, query):
    assert ask(site, "/key", query).status == 400


def test_an_unknown_path_is_told_which_there_are(site):
    answer = ask(site, "/../etc/passwd")
    assert answer.status == 404 and answer.body.startswith(
        b"there are / /cluster /healthz /key /metrics /readyz /user"
    )


def test_a_request_that_a_page_elsewhere_makes_is_refused_whatever_it_asks(site):
    for path in ("/", "/cluster", "/healthz", "/key", "/nothing"):
        assert ask(site, path, "name=a").status != 403
        assert ask(site, path, "name=a", host="evil.example:3").status == 421
        assert ask(site, path, "name=a", origin="http://evil.example").status == 403
    followed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    followed["sec_fetch_dest"] = "document"
    assert ask(site, "/", **followed).status == 200
    assert ask(site, "/key", "name=a", **followed).status == 403


# -- users ---------------------------------------------------------------------------------------


def test_a_stranger_hears_of_health_and_no_more(config):
    site = site_of(config, "secret")
    for path in [path for path in site.paths if path not in ("/healthz", "/readyz")] + ["/no"]:
        assert ask(site, path, "name=a").status == 401, path
    assert ask(site, "/healthz") == Answer(200, b"ok\n")
    assert ask(site, "/readyz") == Answer(200, b"ready\n")
    site = site_of(config, "secret")
    site._view.not_yet_in = lambda: [3]
    for login in ("", ":wrong"):
        assert ask(site, "/readyz", login=login) == Answer(503, b"not ready\n")
    assert b"partition 3" in ask(site, "/readyz", login=":secret").body


def test_ready_of_its_own_machine_hears_why_not_and_nothing_else(config):
    site = site_of(config, "secret")
    site._view.not_yet_in = lambda: [3]
    right, wrong = {"authorization": "Distrodb word"}, {"authorization": "Distrodb \xe9"}
    assert ask(site, "/readyz", **right).body == b"not ready\n"  # there is no token
    site._visitors = Visitors(site._visitors._access, lambda: 0.0, True, "word")
    assert b"partition 3" in ask(site, "/readyz", **right).body
    assert ask(site, "/readyz", **wrong).body == b"not ready\n"
    for path in ("/", "/cluster", "/key", "/metrics"):
        assert ask(site, path, "name=a", **right).status == 401


def test_each_path_is_for_whom_the_command_is_that_tells_the_same(config):
    rules = {"scraper": "on >x +info", "watcher": "on >x +distrodb|status", "app": "on >x +@all"}
    site = site_of(config, "secret", **rules)
    paths = ("/", "/user", "/readyz", "/metrics", "/cluster", "/key")

    def allowed(login: str) -> list[str]:
        answers = {path: ask(site, path, "name=a", login=login).status for path in paths}
        assert set(answers.values()) <= {200, 403}
        return [path for path, status in answers.items() if status == 200]

    assert allowed("app:x") == allowed(":secret") == list(paths)
    assert allowed("scraper:x") == ["/", "/user", "/readyz", "/metrics"]
    assert allowed("watcher:x") == ["/", "/user", "/readyz", "/cluster", "/key"]
    answer = ask(site, "/cluster", login="scraper:x")
    assert answer.body.startswith(b"scraper: this user has no permissions")
    assert answer.body.endswith(b"(it takes +distrodb|status)\n")


def test_who_may_not_see_it_without_a_login_may_log_in(config):
    site = site_of(config, default="on nopass +ping", admin="on >x +@all")
    answer = ask(site, "/cluster")
    assert answer.status == 401 and b"default: this user has no permissions" in answer.body
    assert dict(answer.more)["WWW-Authenticate"]
    assert ask(site, "/cluster", login="admin:x").status == 200
    assert ask(site, "/").status == 200


def test_the_page_is_told_who_looks_at_it(config):
    site = site_of(config, "secret", app="on >x")
    assert json.loads(ask(site, "/user", login="app:x").body) == {"user": "app"}
    assert json.loads(ask(site, "/user", login=":secret").body) == {"user": "default"}


letters = st.text(st.characters(max_codepoint=255), max_size=40)  # as they come off the wire
asked = st.builds(
    Asked,
    st.sampled_from(["/", "/key", "/cluster", "/readyz", "/no"]),
    letters.map("name={}".format) | letters,
    st.sampled_from(["127.0.0.1:3", ""]) | letters,
    st.none() | st.builds(Address, letters, st.integers(0, 65535)),
    st.dictionaries(
        st.sampled_from(sorted(name.decode() for name in NOTED - {b"host"})),
        st.sampled_from(["same-origin", "http://127.0.0.1:3", "navigate", "document"])
        | letters
        | letters.map("Basic {}".format)
        | st.binary(max_size=40).map(lambda data: "Basic " + b64encode(data).decode()),
    ),
)


def test_whatever_is_said_there_is_an_answer_and_a_stranger_gets_nothing(config):
    open_to_all, closed = site_of(config), site_of(config, "secret")

    @given(asked)
    def check(asked: Asked) -> None:
        for site in (open_to_all, closed):
            found = site.answer(asked)
            answer = whole(found, Making())[1] if isinstance(found, Document) else found
            assert 200 <= answer.status < 500
            if site is closed and b"secret" not in b64decode_or_nothing(asked):
                assert answer.status in (401, 403, 421, 429) or asked.path == "/readyz"

    check()


def b64decode_or_nothing(asked: Asked) -> bytes:
    try:
        return b64decode(asked.headers.get("authorization", "")[6:])
    except ValueError:
        return b""


# -- readiness -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"maps": waiting("waits_to_join")}, "to be let into"),
        ({"maps": waiting("waits_for_cluster")}, "empty, and it waits for a slave that knows"),
        (
            {"maps": waiting("waits_for_birth")},
            "born yet, waiting for b",
        ),
        ({"id": "d"}, "not in the ring"),
        ({"peers": SimpleNamespace(is_alive=lambda node: node == "a")}, "hears 1 of the 3 slaves"),
        ({"not_yet_in": lambda: list(range(SHOWN_MAX + 2))}, "7 and 2 more"),
        ({"routing": SimpleNamespace(leaderless=lambda: [2])}, "without a leader: partition 2"),
    ],
)
def test_why_a_slave_is_not_ready(changed, reason):
    (said,) = reasons_against(view_of(**changed), is_ending=False)
    assert reason in said


def test_a_slave_that_ends_is_not_ready():
    assert reasons_against(view_of(), is_ending=False) == []
    assert reasons_against(view_of(), is_ending=True) == ["it is ending"]
