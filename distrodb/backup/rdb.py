"""An RDB file, by way of a ``redis-server`` of this machine that reads it.

No library reads what every version of Redis has written; a ``redis-server`` reads its own and all
older ones.  It gets the file as a link in a directory of its own, listens at a Unix socket in there
and nowhere else, writes nothing, and is ended when the block is left.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from distrodb.clock import sleep
from distrodb.errors import ConfigError, UnavailableError
from distrodb.local import die_with_parent

MAGIC = b"REDIS"
POLL_S = 0.05
SOCKET_BYTES_MAX = 107  # of the path of a Unix socket, on Linux
PROGRAMS = "redis-server", "valkey-server"


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The URL of a server that has loaded the file; a large one takes as long as it takes."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise ConfigError(
            f"{path}: an RDB file is read by a redis-server, and there is none on this machine;"
            " install one, or import from the running Redis (redis://HOST:PORT)"
        )
    with tempfile.TemporaryDirectory(prefix="distrodb-rdb-") as home:  # for us alone (0700)
        (Path(home) / "dump.rdb").symlink_to(path.absolute())
        socket, log = Path(home) / "socket", Path(home) / "log"
        if len(str(socket).encode()) > SOCKET_BYTES_MAX:
            raise ConfigError(f"{home}: too long a name for a socket in it; set TMPDIR to another")
        options = ["--port", "0", "--unixsocket", str(socket), "--dir", home]
        options += ["--dbfilename", "dump.rdb", "--save", "", "--appendonly", "no"]
        with open(log, "wb") as output:
            server = subprocess.Popen(
                [program, *options, "--logfile", "", "--daemonize", "no"],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us to handle
                preexec_fn=die_with_parent,
            )
        try:
            _wait(path, server, socket, log)
            yield f"unix://{socket}"
        finally:
            server.kill()
            server.wait()


def _wait(path: Path, server: "subprocess.Popen[bytes]", socket: Path, log: Path) -> None:
    while True:
        if server.poll() is not None:
            raise ConfigError(f"{path}: the redis-server cannot read it: {_last_words(log)}")
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                client.ping()
            return
        except (redis.BusyLoadingError, redis.ConnectionError, OSError):
            sleep(POLL_S)
        except redis.RedisError as error:
            raise UnavailableError(f"{path}: the redis-server says: {error}") from error


def _last_words(log: Path) -> str:
    """What of the log is about an error, or its end."""
    lines = log.read_text(errors="replace").splitlines()
    lines = [line.split(" # ", 1)[-1].split(" * ", 1)[-1].strip() for line in lines if line.strip()]
    wanted = ("rdb", "format", "corrupt", "version", "can't", "error", "short read")
    said = [line for line in lines if any(word in line.lower() for word in wanted)]
    return " ".join((said or lines or ["it ended without a word"])[-1].split())
