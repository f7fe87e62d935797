"""What a browser can be made to send runs nothing, however it is cut."""

import pytest

from tests.support.resp import pack
from tests.unit.session_world import World

BEHIND = pack(b"SET", b"a", b"1") + b"SET a 1\r\n"
# A page may send these without asking first, or after a question (OPTIONS) that ends it too.
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE"]
REQUESTS = [b"%b /x HTTP/1.1\r\nAccept: */*\r\n\r\n" % method for method in METHODS]
REQUESTS += [
    b"post / HTTP/1.0\n",
    b"POST\r\n",
    b"host: localhost\r\n",
    b"Host: 127.0.0.1:6379\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nHost: x\r\n\r\n",
    pack(b"POST", b"/"),
]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("cut", [False, True])
def test_a_request_ends_the_session_before_what_is_behind_it(request_: bytes, cut: bool) -> None:
    world = World()
    data = request_ + BEHIND
    for part in [data[n : n + 1] for n in range(len(data))] if cut else [data]:
        world.session.receive(part)
    assert world.finish() == b"", "a web page can read it"
    assert world.session.is_finished and "HTTP" in world.session.fault
    assert [store.key_count() for store in world.stores] == [0, 0, 0]


@pytest.mark.parametrize(
    "opening", [b"\x16\x03\x01\x02\x00", b"\x00\x03\x00\x10", b"\x01", b"\x1f"]
)
def test_tls_and_stun_end_at_their_first_byte(opening: bytes) -> None:
    world = World()
    output = world.ask(opening + b"\r\n" + BEHIND)
    assert output.startswith(b"-ERR Protocol error: expected") and output.count(b"\r\n") == 1
    assert world.session.is_finished


@pytest.mark.parametrize("line", [b"SET a HTTP/1.1\r\n", b"ECHO POST\r\n", b"GET HTTP/1.1\r\n"])
def test_commands_that_look_a_little_like_it_run(line: bytes) -> None:
    world = World()
    assert world.ask(line) and not world.session.is_closing
