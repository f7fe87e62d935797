"""The shell at a terminal: what it writes there, byte by byte."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

import pytest

from distrodb import LocalCluster
from distrodb.clock import monotonic
from tests.e2e.test_commands import DISTRODB, distrodb

COLOURS = re.compile(rb"\x1b\[(?!0?m)[0-9;]*m")


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3) as cluster:
        yield cluster


class Terminal:
    """A `distrodb` at a terminal of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(DISTRODB[0], [*DISTRODB, *arguments], {**os.environ, **environment})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.written = b""

    def wait_for(self, text: bytes) -> None:
        until = monotonic() + 30
        while text not in self.written:
            assert monotonic() < until, (text, self.written)
            self.read()

    def wait_after(self, begin: int, text: bytes) -> None:
        until = monotonic() + 30
        while text not in self.written[begin:]:
            assert monotonic() < until, (text, self.written[begin:])
            self.read()

    def read(self) -> None:
        if select.select([self.fd], [], [], 0.1)[0]:
            data = os.read(self.fd, 65536)
            self.written += data
            if b"\x1b[6n" in data:  # "where is the cursor?"
                os.write(self.fd, b"\x1b[1;1R")

    def type(self, line: str, answer: bytes) -> None:
        os.write(self.fd, line.encode() + b"\r")
        self.wait_for(answer)

    def end(self, line: str) -> int:
        os.write(self.fd, line.encode() + b"\r")
        until = monotonic() + 30
        while monotonic() < until:
            try:
                if select.select([self.fd], [], [], 0.1)[0]:
                    self.written += os.read(self.fd, 65536)
            except OSError:  # nobody holds the other end any more
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal():
    made = []

    def make(*arguments: str, **environment: str) -> Terminal:
        made.append(Terminal(*arguments, **environment))
        return made[-1]

    yield make
    for each in made:
        os.close(each.fd)
        try:
            os.kill(each.pid, signal.SIGKILL)
            os.waitpid(each.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def use(shell: Terminal, address: str) -> None:
    shell.wait_for(f"{address}>".encode())
    shell.type("SET a 1", b"OK")
    shell.type("GETT a", b"unknown command GETT; did you mean GET?")
    shell.type("NODES", b"holds")
    shell.type("WATCH-RING", b"healed: every partition has its 3 copies")
    assert shell.end("EXIT") == 0


def test_colours_and_their_absence(cluster, terminal):
    address = cluster.addresses["node1"]
    for no_colour in ("", "1"):
        shell = terminal("master", "--connect", address, TERM="xterm-256color", NO_COLOR=no_colour)
        use(shell, address)
        assert bool(COLOURS.search(shell.written)) == (not no_colour)


def test_a_dumb_terminal_gets_text_and_nothing_else(cluster, terminal):
    address = cluster.addresses["node1"]
    shell = terminal("master", "--connect", address, TERM="dumb")
    use(shell, address)
    assert b"\x1b" not in shell.written


@pytest.fixture
def stuck(cluster):
    """The ring cannot heal, which is looked at for some seconds."""
    hanging = ("node2", "node3")
    for node in hanging:
        cluster.pause(node)
    cluster.wait_until(
        lambda: all(cluster.status()["nodes"][node]["status"] == "suspect" for node in hanging),
        "both are suspect",
    )
    yield
    for node in hanging:
        cluster.resume(node)
    cluster.wait_healed()


def watching(address, terminal, kind):
    """A shell in WATCH-RING, and how much it has written so far."""
    shell = terminal("master", "--connect", address, TERM=kind)
    shell.wait_for(f"{address}>".encode())
    shell.type("WATCH-RING", b"node2 suspect")
    return shell, len(shell.written)


def test_what_is_typed_while_the_ring_is_drawn_moves_no_line(cluster, stuck, terminal):
    address = cluster.addresses["node1"]
    shell, before = watching(address, terminal, "xterm-256color")
    os.write(shell.fd, b"typed\x03")
    shell.wait_after(before, f"{address}>".encode())
    assert b"typed" not in shell.written and b"^C" not in shell.written
    shell.type("HELP KEEP", b"Call back")
    assert b"KEEP" in COLOURS.sub(b"", shell.written)
    assert shell.end("EXIT") == 0


def test_a_dumb_terminal_s_lines_are_ended(cluster, stuck, terminal):
    """By Ctrl-C where nothing is drawn over, and by Ctrl-D."""
    address = cluster.addresses["node1"]
    shell, before = watching(address, terminal, "dumb")
    os.write(shell.fd, b"\x03")
    shell.wait_after(before, f"\n{address}> ".encode())
    os.write(shell.fd, b"\x04")
    shell.wait_after(before, f"\n{address}> \r\n".encode())


def test_a_long_line_is_broken_at_blanks(terminal):
    shell = terminal("master", "--connect", "127.0.0.1:9", TERM="xterm-256color", COLUMNS="40")
    shell.wait_for(b"not connected>")
    lines = COLOURS.sub(b"", shell.written).splitlines()
    assert any(line.startswith(b"start one with `distrodb slave") for line in lines)
    assert shell.end("EXIT") == 0


def test_quit_asks_and_takes_no_for_an_answer(cluster, terminal):
    address = cluster.addresses["node1"]
    shell = terminal("master", "--connect", address, TERM="dumb")
    shell.wait_for(f"{address}>".encode())
    question = b"End node1 node2 node3? This shell did not start node1 node2 node3. [y/N] "
    shell.type("QUIT", question)
    shell.type("n", b"> ")
    assert shell.end("EXIT") == 0
    assert cluster.status("node1") is not None


def test_a_dead_port_is_said_at_once(terminal):
    shell = terminal("master", "--connect", "127.0.0.1:9", TERM="dumb")
    shell.wait_for(b"no slave is reachable at 127.0.0.1:9")
    shell.wait_for(b"not connected> ")
    assert shell.end("EXIT") == 0
    piped = distrodb("master", "--connect", "127.0.0.1:9")
    assert piped.returncode == 1 and piped.stderr.startswith("no slave is reachable")


def test_a_wait_says_what_it_is_for_and_can_be_ended(cluster, terminal):
    """Slaves that hang lead partitions: until others do, somebody wonders."""
    address = cluster.addresses["node1"]
    shell = terminal("master", "--connect", address, TERM="dumb")
    shell.wait_for(f"{address}>".encode())
    for node in ("node2", "node3"):
        cluster.pause(node)
    try:
        shell.type("SET a 1", b"waiting for ")
        before = shell.written.count(b"> ")
        os.write(shell.fd, b"\x03")
        until = monotonic() + 30
        while shell.written.count(b"> ") == before:
            assert monotonic() < until, shell.written
            shell.read()
        assert b"has no" not in shell.written  # it did not end by itself
    finally:
        for node in ("node2", "node3"):
            cluster.resume(node)
    cluster.wait_ready()
    assert shell.end("EXIT") == 0
