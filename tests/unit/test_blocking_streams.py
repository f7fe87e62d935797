"""XREAD and XREADGROUP that wait: from where on, who gets what, and what they do not wait for."""

import pytest

from tests.unit.test_blocking import NIL, Waiting

BOTH = pytest.mark.parametrize("is_gateway", [False, True])


def read(*entries: tuple[str, str]) -> bytes:
    """Of the stream s, with a field f."""
    told = "".join(
        f"*2\r\n${len(number)}\r\n{number}\r\n*2\r\n$1\r\nf\r\n${len(value)}\r\n{value}\r\n"
        for number, value in entries
    )
    return f"*1\r\n*2\r\n$1\r\ns\r\n*{len(entries)}\r\n{told}".encode()


@BOTH
def test_a_dollar_is_from_when_it_came(is_gateway: bool) -> None:
    world = Waiting(is_gateway)
    world.write(b"xadd s 1-0 f old")
    clients = [world.waits(b"xread block 0 streams s $", b"ping") for _ in range(3)]
    assert world.blocked == 3
    world.write(b"xack s g 1-0")
    world.write(b"xadd s 2-0 f new")
    for client in clients:
        assert world.told(client) == read(("2-0", "new")) + b"+PONG\r\n"
    assert world.blocked == 0


@BOTH
def test_a_dollar_of_a_stream_that_is_not_there(is_gateway: bool) -> None:
    world = Waiting(is_gateway)
    client = world.waits(b"xread block 0 streams s $")
    world.write(b"xadd s 0-1 f v")
    assert world.told(client) == read(("0-1", "v"))


@BOTH
def test_each_entry_goes_to_one_consumer_of_a_group_and_to_each_group(is_gateway: bool) -> None:
    world = Waiting(is_gateway)
    for group in (b"g", b"h"):
        world.write(b"xgroup create s " + group + b" $ mkstream")
    ours = [world.waits(b"xreadgroup group g c%d block 0 streams s >" % n) for n in range(4)]
    others = [world.waits(b"xreadgroup group h c%d block 0 streams s >" % n) for n in range(2)]
    for n in range(1, 3):
        entry = read((f"{n}-0", "v"))
        world.write(b"xadd s %d-0 f v" % n)
        for group in (ours, others):
            told = [world.told(each) for each in group]
            assert sorted(told)[-1] == entry and told.count(b"") == len(told) - 1
            assert told[n - 1] == entry, "who came first is served first"
    assert world.blocked == 2


@BOTH
def test_what_is_there_for_a_group_is_given_though_others_wait(is_gateway: bool) -> None:
    world = Waiting(is_gateway)
    world.write(b"xadd s 1-0 f v")
    world.write(b"xgroup create s g $")
    world.write(b"xgroup create s h 0")
    waiting = world.waits(b"xreadgroup group g c block 0 streams s >")
    assert world.told(world.waits(b"xreadgroup group h c block 0 streams s >")) == read(
        ("1-0", "v")
    )
    assert world.told(world.waits(b"xreadgroup group g d block 0 streams s 0")) == read()
    assert world.told(waiting) == b"" and world.blocked == 1


@BOTH
def test_a_group_is_known_wherever_it_stands_among_the_options(is_gateway: bool) -> None:
    """Who stands for whom goes by it: were all of these rivals, most of them would not be asked."""
    world = Waiting(is_gateway)
    for group in (b"g", b"h"):
        world.write(b"xgroup create s " + group + b" $ mkstream")
    for n in range(5):
        world.waits(b"xreadgroup block 0 group g c%d streams s >" % n)
    last = world.waits(b"xreadgroup block 0 group h c streams s >")
    world.write(b"xadd s 1-0 f v")
    assert world.told(last) == read(("1-0", "v")) and world.blocked == 4


@BOTH
def test_a_consumer_is_told_what_its_stream_has_become_and_a_reader_waits_on(
    is_gateway: bool,
) -> None:
    """As since Redis 7.2, also where the group had to wait for others of it."""
    world = Waiting(is_gateway)
    for command, code in ((b"set s v", b"-WRONGTYPE "), (b"del s", b"-NOGROUP ")):
        world.write(b"xgroup create s g $ mkstream")
        clients = [world.waits(b"xreadgroup group g c%d block 0 streams s >" % n) for n in range(4)]
        reader = world.waits(b"xread block 0 streams s $")
        world.write(command)
        assert [world.told(client).startswith(code) for client in clients] == [True] * 4
        assert world.told(reader) == b"" and world.blocked == 1
        world.write(b"del s")
        world.write(b"xadd s 1-0 f v")
        assert world.told(reader) == read(("1-0", "v"))
        world.write(b"del s")


@BOTH
def test_it_ends_with_its_group_or_its_time(is_gateway: bool) -> None:
    world = Waiting(is_gateway)
    world.write(b"xgroup create s g $ mkstream")
    client = world.waits(b"xreadgroup group g c block 0 streams s >")
    patient = world.waits(b"xread block 1500 streams s $")
    world.write(b"xgroup destroy s g")
    assert world.told(client).startswith(b"-NOGROUP ")
    world.process.pass_time(1.6)
    world.settle()
    assert world.told(patient) == NIL and world.blocked == 0


def test_nothing_waits_in_a_transaction() -> None:
    world = Waiting()
    client = world.connect()
    world.say(client, b"multi", b"xread block 0 streams s $", b"exec")
    assert world.told(client).endswith(b"*1\r\n" + NIL) and world.blocked == 0


@BOTH
def test_what_is_wrong_does_not_wait(is_gateway: bool) -> None:
    world = Waiting(is_gateway)
    world.write(b"set k v")
    for line in (
        b"xread block -1 streams s $",
        b"xread block x streams s $",
        b"xread block 0 streams s",
        b"xread block 0 streams s >",
        b"xread block 0 streams k $",
        b"xreadgroup group g c block 0 streams s >",
    ):
        assert world.told(world.waits(line)).startswith(b"-"), line
    assert world.blocked == 0
