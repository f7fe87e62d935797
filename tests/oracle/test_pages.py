"""The reader of Redis' documentation finds what its pages show, and what differs from them."""

from pathlib import Path

from tests.oracle import pages
from tests.oracle.pages import Example, examples
from tests.oracle.redis_server import RedisServer

PAGE = """
Words, and `GET` in them.

```cli
SET {k} "a\\x00b"
GET {k}
```

{{% redis-cli %}}
redis> XADD {x} * f v
"1526919030474-0"
redis> XRANGE {x} 1526919030474-0 +
{{% /redis-cli %}}

```
> HGET {k} f
127.0.0.1:6379> BLPOP {none} 0
(nil)
```
"""
NEWER = """
```
> HSET {h} a 1 b 2
(integer) 2
> HGETDEL {h} FIELDS 1 a
1) "1"
> HGETALL {h}
1) "b"
2) "2"
> HGETDEL {h} FIELDS 1 b
1) "wrong"
```
"""


def test_examples_are_read_with_their_answers() -> None:
    assert [*examples(PAGE)] == [
        Example([b"SET", b"{k}", b"a\0b"], ""),
        Example([b"GET", b"{k}"], ""),
        Example([b"XADD", b"{x}", b"*", b"f", b"v"], '"1526919030474-0"'),
        Example([b"XRANGE", b"{x}", b"1526919030474-0", b"+"], ""),
        Example([b"HGET", b"{k}", b"f"], ""),
        Example([b"BLPOP", b"{none}", b"0"], "(nil)"),
    ]


def test_they_run_beside_redis_and_what_differs_is_told(
    tmp_path: Path, node: RedisServer, single: RedisServer
) -> None:
    (tmp_path / "known.md").write_text(PAGE)
    servers = {True: node, False: single}
    outcome = pages.run(tmp_path, servers)
    assert outcome.differences == []
    assert outcome.commands == {"as redis-server": 4 * 5, "waits for others": 4}
    (tmp_path / "newer.md").write_text(NEWER)
    outcome = pages.run(tmp_path, servers)
    assert outcome.commands["as the page prints"] == 2 * 2
    assert outcome.commands["DIFFERENT"] == 2
    (story,) = outcome.differences
    assert "newer.md: 'HGETDEL' '{h}' 'FIELDS' '1' 'b'" in story
    assert "*[$b'2']" in story
