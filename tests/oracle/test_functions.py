"""Libraries go from a real Redis to ours and back, by what each dumps."""

from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer
from tests.unit.test_functions import MYLIB

CALL = [b"FCALL", b"f1", b"1", b"{t}k", b"v"]


def test_what_each_dumps_the_other_restores(single: RedisServer) -> None:
    theirs, ours = single.connect(), PureServer(is_cluster=False)
    for server, other in ((theirs, ours), (ours, theirs)):
        server.ask_all([[b"FUNCTION", b"FLUSH"], [b"FUNCTION", b"LOAD", MYLIB.encode() * 3]])
        loaded = server.ask_all([[b"FUNCTION", b"LOAD", MYLIB.encode()]])[0]
        assert loaded == (b"$", b"mylib")
        payload = server.ask_all([[b"FUNCTION", b"DUMP"]])[0][1]
        restored = other.ask_all([[b"FUNCTION", b"RESTORE", payload, b"FLUSH"]])[0]
        assert restored == (b"+", b"OK")
        assert other.ask_all([CALL])[0] == (b"*", [(b"$", b"{t}k"), (b"$", b"v"), (b":", 1)])
        names = [[b"FUNCTION", b"LIST"]]
        one, two = server.ask_all(names)[0], other.ask_all(names)[0]
        assert one[1][0][1][:4] == two[1][0][1][:4]
        other.ask_all([[b"FUNCTION", b"FLUSH"]])
    theirs.close()
