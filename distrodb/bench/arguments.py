"""The arguments of ``distrodb bench``; every call of ``distrodb`` reads this, so
it imports nothing of ours.
"""

from argparse import ArgumentParser


def add_to(parser: ArgumentParser) -> None:
    where = parser.add_argument_group("where; the cluster that the shell finds if nothing is given")
    where.add_argument("--config", metavar="FILE", help="a slave's file, e.g. conf/node1.toml")
    where.add_argument("--host", help="any server of the Redis protocol (default 127.0.0.1)")
    where.add_argument("-p", "--port", type=int, help="its port: a slave's, a gateway's, Redis'")
    where.add_argument(
        "--cluster", action="store_true", help="with --port: ask the leaders of the slots"
    )
    load = parser.add_argument_group("load")
    load.add_argument("-c", "--clients", type=int, default=50, help="(default 50)")
    load.add_argument("-P", "--pipeline", type=int, default=1, help="commands at once (default 1)")
    load.add_argument(
        "-d", "--size", default="64", help="of values, in bytes, or several: 64,4k,1m (default 64)"
    )
    load.add_argument("--gets", type=float, default=50.0, help="percent of GETs (default 50)")
    load.add_argument("-r", "--keys", type=int, default=100_000, help="(default 100000)")
    load.add_argument("--prefix", default="bench:", help="of the keys' names (default bench:)")
    load.add_argument("--fill", action="store_true", help="write every key first, not measured")
    load.add_argument("--seconds", type=float, help="how long (default 10)")
    load.add_argument("-n", "--requests", type=int, help="or how many commands")
    load.add_argument(
        "--rate", type=float, help="commands a second; late replies do not make it fewer"
    )
    load.add_argument("--timeout", type=float, default=5.0, help="of a reply, seconds (default 5)")
    load.add_argument("--seed", type=int, default=1, help="of keys, sizes and mix (default 1)")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--json", action="store_true", help="for programs")
    shown.add_argument("--chart", action="store_true", help="draw also where no terminal is")
    shown.add_argument("--plot", metavar="FILE", help="FILE.png or FILE.svg")
