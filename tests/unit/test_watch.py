"""The verbs that go on until the ring is where it should be, against statuses given one by one."""

import copy
import io
from typing import Any

import pytest
from rich.console import Console
from test_shell import STATUS, FakeCluster, Session

from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master import shell, watch

DEAD = UnavailableError("no slave is reachable at h:1")


def status_of(healing: dict[str, Any] | None = None, **known: str | None) -> dict[str, Any]:
    """Three slaves; `node2="down"` is its status, None: its row is gone."""
    status = copy.deepcopy(STATUS)
    for node_id, value in known.items():
        if value is None:
            del status["nodes"][node_id]
        else:
            status["nodes"][node_id]["status"] = value
        if value not in ("up", "suspect"):
            status["ring"].remove(node_id)
    if known.get("node3") == "down":  # somebody else has taken its place
        status["partitions"][0]["group"] = ["node4", "node1", "node2"]
    if healing is not None:
        status["healing"] = {"is_done": True, **healing}
    return status


MOVING = status_of({"is_done": False, "moving": [0]}, node3="down")
HEALED = status_of({}, node3="down")
LEAVING = status_of({"is_done": False, "moving": [0]}, node3="leaving")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_PAUSE_S", 0)
    monkeypatch.setattr(watch, "DONE_S_MIN", 0.05)
    monkeypatch.setattr(watch, "STALLED_S_MIN", 0.05)


@pytest.fixture
def session(capsys: pytest.CaptureFixture[str]) -> Session:
    return Session(capsys)


def test_remove_waits_until_the_row_is_gone(session: Session) -> None:
    session.cluster.statuses = [STATUS, LEAVING, DEAD, LEAVING, status_of(node3=None)]
    assert session.run("REMOVE node3") == "Removed node3\n"
    assert session.cluster.asked == ["REMOVE node3"]
    assert (session.errors, session.exit_status) == ("", 0)


def test_remove_that_is_refused_waits_for_nothing(session: Session) -> None:
    session.cluster.failure = DistrodbError("node3 cannot leave: 2 slaves would stay up")
    assert session.run("REMOVE node3") == ""
    assert session.errors == "node3 cannot leave: 2 slaves would stay up\n"


@pytest.mark.parametrize(
    ("statuses", "error"),
    [
        (
            [LEAVING, status_of({}, node3="down")],
            "node3 went down on the way: the others restore its copies from their own;"
            " then REMOVE node3 again",
        ),
        ([LEAVING, STATUS], "node3 is up and not leaving; REMOVE it again"),
        (
            [LEAVING, status_of({"stuck": [0]}, node3="leaving")],
            "node3 waits: partition 0 cannot move; it goes on when other slaves come back;"
            " KEEP node3 calls it back",
        ),
        (
            [status_of({}, node3="leaving")],
            "node3 waits: too few others live; it goes on when other slaves come back;"
            " KEEP node3 calls it back",
        ),
    ],
)
def test_remove_says_why_it_ends_before(
    session: Session, statuses: list[dict[str, Any]], error: str
) -> None:
    for status in statuses:
        status["partitions"][0]["group"] = ["node3", "node1", "node2"]
    session.cluster.statuses = [*statuses]
    assert session.run("REMOVE node3") == ""
    assert (session.errors, session.exit_status) == (error + "\n", 1)


def test_remove_of_a_slave_that_never_leaves_is_bounded(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "RETRY_S_MAX", 0)
    session.run("REMOVE node3")
    assert session.errors == "node3 is up and not leaving; REMOVE it again\n"


def test_ctrl_c_leaves_it_leaving(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(session.cluster, "status", interrupted)
    out = session.run("REMOVE node3", "SET k v")
    assert out == "node3 goes on leaving: WATCH-RING to look on, KEEP to call it back\n"
    assert session.exit_status == shell.INTERRUPTED_STATUS


def test_move_balance_and_replicas(session: Session) -> None:
    assert session.run("MOVE 0 node2", "BALANCE", "REPLICAS 5") == "OK\nOK\nOK\n"
    assert session.cluster.asked == ["MOVE 0 node2", "BALANCE", "REPLICAS 5"]
    session.cluster.changes = False
    assert session.run("MOVE 0 node2", "BALANCE", "KEEP node2", "REPLICAS 3").splitlines() == [
        "Nothing to do: partition 0 is node2's already",
        "Nothing to do: the shares are even",
        "Nothing to do: node2 is not leaving",
        "Nothing to do: each partition is to have 3 already",
    ]
    assert (session.errors, session.exit_status) == ("", 0)
    session.cluster.failure = DistrodbError("node9 is down and owns nothing")
    session.run("MOVE 0 node9")
    assert session.errors == "node9 is down and owns nothing\n"


@pytest.mark.parametrize("line", ["WATCH-RING", "RING --follow"])
def test_watching_prints_a_line_for_each_change_and_ends(session: Session, line: str) -> None:
    suspect = status_of({}, node3="suspect")
    session.cluster.statuses = [suspect, suspect, MOVING, MOVING, DEAD, MOVING, HEALED]
    assert session.run(line).splitlines() == [
        "1 of 1 partitions settled; node3 suspect",
        "0 of 1 partitions settled; moving: partition 0; node3 down",
        "no slave answers; trying again",
        "0 of 1 partitions settled; moving: partition 0; node3 down",
        "1 of 1 partitions settled; node3 down",
        "healed: every partition has its 3 copies",
    ]
    assert session.exit_status == 0


def test_one_look_is_not_enough(session: Session) -> None:
    session.cluster.statuses = [HEALED, MOVING, HEALED]
    assert "moving" in session.run("WATCH-RING")


def test_what_is_stuck_is_said(session: Session) -> None:
    session.cluster.statuses = [status_of({"stuck": [0]}, node3="down")]
    session.run("WATCH-RING")
    assert session.errors == (
        "partition 0 cannot be healed before a slave comes back;"
        " every other partition has its copies\n"
    )
    assert session.exit_status == 1


def test_a_long_line_in_a_pipe_is_one_line(session: Session) -> None:
    many = status_of({})
    many["nodes"] |= {f"slave{n}": {"status": "leaving"} for n in range(20)}
    session.cluster.statuses = [many]
    assert len(session.run("WATCH-RING").splitlines()) == 2


def test_a_lost_majority_is_named_and_not_waited_for(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = status_of({"is_done": True}, node2="suspect", node3="suspect")
    lost["partitions"][0]["leader"] = None
    lost["map_group"] = ["node1", "node2", "node3"]
    session.cluster.statuses = [{**lost, "controller": None}]
    monkeypatch.setattr(watch, "STUCK_S_MAX", 0)
    told = session.run("WATCH-RING").splitlines()
    assert told == [
        "0 of 1 partitions settled; stuck without node2 node3: partition 0 and the cluster map;"
        " node2 suspect; node3 suspect"
    ]
    assert session.errors == (
        "partition 0 and the cluster map cannot go on without a majority: start node2 node3 again\n"
    )


def test_an_election_is_waited_for_but_not_for_ever(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    electing = copy.deepcopy(STATUS)
    electing["partitions"][0]["leader"] = None
    session.cluster.statuses = [*[electing] * 9, STATUS]
    assert session.run("WATCH-RING").splitlines() == [
        "0 of 1 partitions settled; without a leader: partition 0",
        "1 of 1 partitions settled",
        "healed: every partition has its 3 copies",
    ]
    monkeypatch.setattr(watch, "SUSPECT_S_MAX", 0)
    session.cluster.statuses = [electing]
    session.run("WATCH-RING")
    assert session.errors == "partition 0 without a leader; try again\n"


def test_an_unborn_cluster_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STUCK_S_MAX", 0)
    unborn = status_of(node3="suspect")
    session.cluster.statuses = [{**unborn, "epoch": 0}]
    session.run("WATCH-RING")
    assert session.errors.endswith(
        "not born yet: its first start needs all of its slaves; start node3\n"
    )


def test_too_few_slaves_for_the_copies_are_said(session: Session) -> None:
    few = status_of({}, node3="down")
    few["replicas"] = 3
    few["partitions"][0]["group"] = ["node3", "node1", "node2"]
    session.cluster.statuses = [few]
    last = session.run("WATCH-RING").splitlines()[-1]
    assert last == "every partition has 2 copies on live slaves, which are too few for 3"


@pytest.mark.parametrize(
    ("is_done", "controller", "why"),
    [
        (True, "node1", "only node1 does not hear it"),
        (True, None, "nobody leads the cluster map: bring slaves back"),
        (False, None, "nobody leads the cluster map: bring slaves back"),
    ],
)
def test_a_slave_that_stays_suspect_is_not_waited_for(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    is_done: bool,
    controller: str | None,
    why: str,
) -> None:
    monkeypatch.setattr(watch, "SUSPECT_S_MAX", 0)
    suspect = status_of({"is_done": is_done}, node3="suspect")
    session.cluster.statuses = [{**suspect, "controller": controller, "asked": {"node": "node1"}}]
    session.run("WATCH-RING")
    assert session.errors == f"node3 suspect for 0 s; {why}\n"
    assert session.exit_status == 1


def test_a_cluster_that_is_gone_is_not_asked_for_ever(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "RETRY_S_MAX", 0)
    session.cluster.statuses = [MOVING, DEAD]
    session.run("WATCH-RING", "RING")
    assert session.errors == f"{DEAD}\n{DEAD}\n"


def terminal() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    # `_environ`: a dumb terminal outside is none in here.
    console = Console(
        file=out, force_terminal=True, width=80, height=40, _environ={"TERM": "xterm"}
    )
    return console, out


def test_at_a_terminal_the_ring_is_drawn() -> None:
    cluster = FakeCluster()
    cluster.statuses = [MOVING, DEAD, MOVING, HEALED]
    console, out = terminal()
    assert watch.watch_ring(cluster, console) == "healed: every partition has its 3 copies"
    for drawn in ("0 of 1 partitions", "no slave answers; trying again", "1 of 1 partitions"):
        assert drawn in out.getvalue()
    assert "(node3 down)" in out.getvalue()


def test_at_a_dumb_terminal_a_leaving_slave_has_lines() -> None:
    cluster = FakeCluster()
    cluster.statuses = [LEAVING, LEAVING, status_of(node3=None)]
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, _environ={"TERM": "dumb"})
    watch.wait_removed(cluster, "node3", console)
    assert out.getvalue() == "node3 holds partition 0\n"


def test_at_a_terminal_a_leaving_slave_has_bars() -> None:
    leaving = copy.deepcopy(LEAVING)
    leaving["moves"] = [{"group": 0, "from": ["node3"], "to": ["node4"], "done": 1, "total": 2}]
    cluster = FakeCluster()
    cluster.statuses = [leaving, status_of(node3=None)]
    console, out = terminal()
    watch.wait_removed(cluster, "node3", console)
    assert "node3 holds" in out.getvalue()
    assert "partition 0" in out.getvalue()
    assert "1 / 2 B" in out.getvalue()
