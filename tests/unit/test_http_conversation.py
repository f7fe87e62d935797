"""What an HTTP connection makes of bytes, however they come: requests, refusals, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.slave.http.conversation import (
    HEAD_BYTES_MAX,
    HEADERS,
    Answer,
    Asked,
    Conversation,
    RefusedError,
)

GET = b"GET /cluster?a=b HTTP/1.1\r\nHost: node1:80\r\n\r\n"
OK = Answer(200, b"ok\n")


def hear(conversation: Conversation, data: bytes) -> Asked | None:
    conversation.receive(data)
    return conversation.next()


def test_a_request_is_known_when_its_last_byte_is_there():
    conversation = Conversation()
    assert [hear(conversation, GET[n : n + 1]) for n in range(len(GET) - 1)] == [None] * (
        len(GET) - 1
    )
    assert hear(conversation, GET[-1:]) == Asked("/cluster", "a=b", "node1:80")


def test_the_next_request_waits_until_the_first_one_is_answered():
    conversation = Conversation()
    assert hear(conversation, GET + GET.replace(b"cluster", b"metrics")).path == "/cluster"
    assert conversation.next() is None
    sent = b"".join(conversation.answer(OK))
    assert sent.startswith(b"HTTP/1.1 200") and sent.endswith(b"\r\n\r\nok\n")
    assert b"Content-Length: 3\r\n" in sent
    assert conversation.go_on() and conversation.next().path == "/metrics"


def test_every_answer_says_that_nothing_from_elsewhere_is_needed():
    conversation = Conversation()
    hear(conversation, GET)
    sent = b"".join(conversation.answer(OK)).decode()
    assert all(f"\r\n{name}: {value}\r\n" in sent for name, value in HEADERS)
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy


def test_head_gets_the_length_and_no_body():
    conversation = Conversation()
    hear(conversation, GET.replace(b"GET", b"HEAD"))
    sent = b"".join(conversation.answer(OK))
    assert b"Content-Length: 3" in sent and sent.endswith(b"\r\n\r\n")
    assert conversation.go_on()


def test_a_connection_ends_when_its_client_wants_that():
    for head in (
        GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        b"GET / HTTP/1.0\r\n\r\n",
    ):
        conversation = Conversation()
        hear(conversation, head)
        conversation.answer(OK)
        assert not conversation.go_on()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"*1\r\n$4\r\nPING\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 413),
        (b"GET /" + b"a" * HEAD_BYTES_MAX, 431),
    ],
)
def test_what_is_no_request_is_refused_and_is_the_last_one(data, status):
    conversation = Conversation()
    with pytest.raises(RefusedError) as refused:
        hear(conversation, data)
    assert refused.value.answer.status == status
    sent = b"".join(conversation.answer(refused.value.answer, is_last=True))
    assert sent.startswith(f"HTTP/1.1 {status}".encode()) and b"Connection: close" in sent
    assert not conversation.go_on()


def test_a_head_that_does_not_end_is_refused_before_it_takes_memory():
    conversation, sent = Conversation(), 0
    conversation.receive(b"GET / HTTP/1.1\r\nHost: a\r\n")
    with pytest.raises(RefusedError):
        while True:
            assert sent <= HEAD_BYTES_MAX
            assert hear(conversation, b"x: " + b"y" * 100 + b"\r\n") is None
            sent += 100


pieces = st.sampled_from(
    [GET, b"GET ", b"HEAD / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"Content-Length: 2\r\n"]
) | st.binary(max_size=8)


@given(st.lists(pieces, max_size=8).map(b"".join), st.data())
def test_it_does_not_matter_how_bytes_are_cut(data, draws):
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert story([part for part in parts if part]) == story([data] if data else [])


def story(parts: list[bytes]) -> list[object]:
    """What it answers; each request at once."""
    conversation, told = Conversation(), []
    for part in [*parts, b""]:
        conversation.receive(part)
        while True:
            try:
                asked = conversation.next()
            except RefusedError as refused:
                conversation.answer(refused.answer, is_last=True)
                return [*told, refused.answer.status]
            if asked is None:
                break
            told.append(asked)
            conversation.answer(OK)
            if not conversation.go_on():
                return told
    return told
