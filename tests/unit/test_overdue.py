"""Who has kept a slave waiting for too long, by a clock that the test holds."""

from distrodb.config import LimitsConfig
from distrodb.slave.overdue import Overdue
from tests.support.resp import pack
from tests.unit.session_world import World

LIMITS = LimitsConfig(timeout_s=10, half_command_s=5)


def reasons(overdue: Overdue, now: float, world: World, limits: LimitsConfig = LIMITS) -> str:
    return " ".join(reason for _, reason in overdue.look(now, world.service.sessions, limits))


def test_half_a_command_is_timed_and_the_next_one_anew() -> None:
    overdue, world, command = Overdue(), World(), pack(b"ECHO", b"x" * 9)
    world.session.heard_at = 1000.0
    limits = LimitsConfig(half_command_s=5)
    world.session.receive(command[:7])
    for second in range(20):  # each look finds half of another command
        assert reasons(overdue, 1000.0 + second, world, limits) == ""
        world.session.receive(command[7:] + command[:7])
        world.finish()
    assert reasons(overdue, 1020.0, world, limits) == ""
    assert reasons(overdue, 1025.0, world, limits) == ""
    world.session.receive(command[7:9])  # a byte now and then does not help
    found = reasons(overdue, 1025.1, world, limits)
    assert found == "half a command for 5 s (half_command_s)"


def test_half_a_command_is_not_timed_while_the_slave_does_not_read() -> None:
    overdue, world = Overdue(), World(input_pending_max=1)
    world.session.receive(pack(b"GET", b"a") * 2 + b"*1\r\n$4\r\nPI")
    for second in range(20):
        world.session.heard_at = now = 1000.0 + second
        assert reasons(overdue, now, world) == "" and not world.session.wants_input
    world.finish()
    assert world.session.wants_input
    assert reasons(overdue, 1020.0, world) == ""
    assert reasons(overdue, 1026.0, world).startswith("half a command")


def test_who_waits_for_an_answer_or_for_messages_is_not_silent() -> None:
    overdue, world = Overdue(), World()
    assert reasons(overdue, 10.0, world) == ""
    assert reasons(overdue, 11.0, world) == ""  # what it said last may be a second younger
    assert reasons(overdue, 11.1, world) == "silent for 10 s (timeout_s)"
    assert reasons(overdue, 11.1, world, LimitsConfig(timeout_s=0)) == ""
    world.session.receive(pack(b"GET", b"a"))
    assert reasons(overdue, 99.0, world) == ""
    world.finish()
    assert reasons(overdue, 99.0, world) != ""
    for begin, end in (((b"SUBSCRIBE", b"c"), (b"UNSUBSCRIBE",)), ((b"MONITOR",), (b"RESET",))):
        world.ask(pack(*begin))
        assert reasons(overdue, 99.0, world) == ""
        world.ask(pack(*end))
        assert reasons(overdue, 99.0, world) != ""
