"""The arguments of ``distrodb backup``, ``restore``, ``verify``, ``recover``,
``export`` and ``import``; every
call of ``distrodb`` reads this, so it imports nothing of ours that takes time before one of them
runs.
"""

from argparse import ArgumentParser, Namespace
from typing import Any

from distrodb.login import add_to as add_login_arguments

_SLAVE = "any slave's client address"


def add_to(verbs: Any) -> None:
    """``verbs``: the subparsers of ``distrodb``."""
    backup = verbs.add_parser("backup", help="write a running cluster into a file")
    backup.add_argument("file", metavar="FILE|DIR", help="a new file, or a directory for one")
    _connects(backup).set_defaults(run=_backup)

    restore = verbs.add_parser("restore", help="read a backup into a running cluster")
    restore.add_argument("file", metavar="FILE", help="a backup")
    restore.add_argument("--overwrite", action="store_true", help="also if the cluster has keys")
    restore.add_argument(
        "--note", metavar="FILE", help="where it notes how far it is (default: beside the backup)"
    )
    _connects(restore).set_defaults(run=_restore)

    verify = verbs.add_parser("verify", help="check a backup from its first byte to its last")
    verify.add_argument("file", metavar="FILE", help="a backup")
    verify.set_defaults(run=_verify)

    recover = verbs.add_parser(
        "recover", help="write what stopped slaves' directories hold into a backup"
    )
    recover.add_argument("file", metavar="FILE", help="a new file: the backup")
    recover.add_argument(
        "directories", metavar="DIR", nargs="+", help="a stopped slave's directory"
    )
    recover.add_argument("--yes", action="store_true", help="do not ask")
    recover.add_argument(
        "--accept-lost-partitions", action="store_true", help="also if some have no copy"
    )
    recover.set_defaults(run=_recover)

    export = verbs.add_parser("export", help="write keys as lines of JSON")
    export.add_argument("file", metavar="FILE", help="a new file, or - for standard output")
    export.add_argument(
        "--from", dest="source", metavar="BACKUP", help="out of a backup (default: the cluster)"
    )
    _connects(export).set_defaults(run=_export)

    import_ = verbs.add_parser("import", help="read keys from JSON, a Redis, or an RDB file")
    import_.add_argument(
        "source",
        metavar="SOURCE",
        help="FILE or - with lines of JSON, a FILE.rdb, or redis://[USER:PASSWORD@]HOST:PORT[/DB]",
    )
    _connects(import_).set_defaults(run=_import)


def _connects(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("--connect", metavar="HOST:PORT", help=_SLAVE)
    add_login_arguments(parser)
    return parser


def _log_in(options: Namespace) -> None:
    from distrodb.master.connections import log_in

    log_in(options)


def _backup(options: Namespace) -> int:
    from distrodb.backup.make import run

    _log_in(options)
    return run(options)


def _restore(options: Namespace) -> int:
    from distrodb.backup.restore import run

    _log_in(options)
    return run(options)


def _recover(options: Namespace) -> int:
    from distrodb.backup.recover import run

    return run(options)


def _verify(options: Namespace) -> int:
    from distrodb.backup.verify import run

    return run(options)


def _export(options: Namespace) -> int:
    from distrodb.backup.export import run

    _log_in(options)
    return run(options)


def _import(options: Namespace) -> int:
    from distrodb.backup.importing import run

    _log_in(options)
    return run(options)
