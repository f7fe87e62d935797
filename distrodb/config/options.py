"""Every option of a slave's file, once: its type and default, its bounds and their unit, and what
is said about it in conf/.  Pure.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a file: its type and default, its bounds, and what is said about it."""

    section: str
    name: str
    default: Any
    text: str  # what it does, its unit, what changing it costs: the why
    low: float | None = None
    high: float | None = None  # bounds of a number, both or neither
    choices: tuple[Any, ...] = ()
    unit: str = ""  # of a number

    @property
    def type(self) -> type:
        """That of the default; a string if there is none, and the option must be given."""
        return str if self.default is None else type(self.default)

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"


OPTIONS = (
    Option("node", "id", None, "This slave's id: one of those under [[cluster.nodes]]."),
    Option(
        "node",
        "directory",
        None,
        "Where this slave keeps its journal and snapshots, relative to this file. One slave, one"
        " directory. Losing it is losing this slave's copies and its votes.",
    ),
    Option(
        "node",
        "join",
        [],
        "Peer addresses of slaves of a running cluster that this one shall join, in the form"
        ' ["host:port"]; any that are up will do. Empty for the slaves that a cluster is born'
        " with. With it [[cluster.nodes]] holds this slave's own row only. It may stay for good.",
    ),
    Option(
        "node",
        "protected_mode",
        True,
        "Whether a slave that others than this machine can reach asks who they are. It does not"
        " start where its client port, gateway or HTTP port listens at such an address and needs no"
        " password (requirepass, or users by ACL SETUSER), or its peer port does and there is no"
        " secret; and"
        " whoever connects from elsewhere while no password is needed is sent away. false: the"
        " network alone decides who may do everything.",
    ),
    Option(
        "cluster",
        "id",
        "distrodb",
        "The cluster's name. Slaves of another cluster are refused at the handshake. Changing it"
        " makes the slave refuse its old directory.",
    ),
    Option(
        "cluster",
        "secret",
        "",
        "A secret that slaves prove to each other that they know; empty: anybody who reaches the"
        " peer port may join in. The same in every file. Links are encrypted by [tls] peers alone.",
    ),
    Option(
        "cluster",
        "born",
        False,
        "Whether the cluster has been born. false: slaves that all have empty directories make a"
        " new one when all of them have met. true, to be written once it runs: a slave with an"
        " empty directory never does; it waits for one that knows the cluster. So machines that all"
        " come up without their disks do not begin anew, empty.",
    ),
    Option(
        "cluster",
        "partitions",
        0,
        "How many Raft groups share the 16384 slots; 0: twice the number of slaves. Chosen once,"
        " for ever: when the cluster is born. More of them spread better over many slaves and make"
        " each write dearer.",
        0,
        16384,
        unit="partitions",
    ),
    Option(
        "cluster",
        "replicas",
        3,
        "Copies of each partition: 1, 3 or 5. A partition survives the loss of 0, 1 or 2 of them."
        " Each write waits for a majority of them to reach their disks.",
        choices=(1, 3, 5),
    ),
    Option(
        "raft",
        "heartbeat_ms",
        100,
        "Milliseconds between a leader's heartbeats. Lower costs idle CPU, higher slows the"
        " copies' view of what is committed.",
        5,
        10000,
        unit="ms",
    ),
    Option(
        "raft",
        "election_timeout_ms",
        1000,
        "Milliseconds of silence after which a leader is given up (at random up to twice as long)."
        " A broken link is noticed at once; this is for slaves that hang. Lower: elections while"
        " the machine is merely busy. Higher: longer pauses.",
        50,
        60000,
        unit="ms",
    ),
    Option(
        "raft",
        "unknown_after_ms",
        2000,
        "Milliseconds that a write under way waits, once its leader has lost the lead, to learn"
        " its fate before it is answered UNKNOWN.",
        100,
        600000,
        unit="ms",
    ),
    Option(
        "raft",
        "election_wait_ms",
        1500,
        "Milliseconds that a client's command waits while its partition has no leader, before it is"
        " answered CLUSTERDOWN. An election mostly ends within some ten, and many clients do not"
        " try again by themselves: what waits sees nothing of it. When there was no leader for so"
        " long all are answered at once until there is one. Lower: clients hear sooner that a"
        " majority is gone. Higher: slow elections are covered too, and more commands wait in"
        " memory (64 MiB at most). Below the time after which clients give up.",
        0,
        60000,
        unit="ms",
    ),
    Option(
        "raft",
        "snapshot_log_bytes",
        16777216,
        "Bytes of log, per partition, after which a snapshot is taken and the log cut (but not"
        " before the log has half the bytes of the last snapshot). Lower: faster restarts, more"
        " writing. Higher: the reverse, and more memory.",
        65536,
        1 << 36,
        unit="bytes",
    ),
    Option(
        "raft",
        "dead_after_s",
        10.0,
        "Seconds without a link after which a slave is marked down in the cluster map. The link of"
        " one that hangs is given up after three seconds, or two election timeouts.",
        0.1,
        86400,
        unit="s",
    ),
    Option(
        "raft",
        "reads",
        "quorum",
        "How a leader knows that it still leads when it answers a read. quorum: it asks a majority,"
        " one small exchange for all reads that wait; relies on no clock. lease: most slaves have"
        " promised to elect no other for a tenth of a second, and it asks only for new promises."
        " Cheaper, but a read may be stale if a slave's clock runs a fifth faster than another's,"
        " or stands still while others' run (a virtual machine that is frozen); writes rely on no"
        " clock in either case. A slave promises, and relies on promises, only if its own file says"
        " so; and elections wait for up to a tenth of a second longer.",
        choices=("quorum", "lease"),
    ),
    Option(
        "healing",
        "moves_at_once",
        4,
        "How many partitions are on their way to other slaves at a time. Higher: the ring heals"
        " sooner. Lower: clients notice less.",
        1,
        1024,
        unit="moves",
    ),
    Option(
        "healing",
        "copy_bytes_per_s",
        67108864,
        "The most bytes of snapshots that this slave sends in a second, to members that are new or"
        " lag behind. Lower: clients notice less. Higher: copies are restored sooner. What is"
        " written to a partition meanwhile stays in its leader's memory until the copy is there; a"
        " copy that takes so long that this is four times its own size (and 16 times"
        " snapshot_log_bytes) begins anew.",
        65536,
        1 << 40,
        unit="bytes a second",
    ),
    Option(
        "gateway",
        "wait_ms",
        10000,
        "Milliseconds that a command which came to a slave's gateway may wait for its partition's"
        " leader to answer, through elections; then it is answered CLUSTERDOWN, or UNKNOWN if it is"
        " a write that may have happened. Higher: clients see no error, but a longer pause, when a"
        " majority is gone for a while.",
        100,
        600000,
        unit="ms",
    ),
    Option(
        "limits",
        "key_bytes_max",
        65536,
        "Bytes of a key. Keys are held in memory on every copy.",
        1,
        1 << 24,
        unit="bytes",
    ),
    Option(
        "limits",
        "value_bytes_max",
        16777216,
        "Bytes of a value. A value travels whole in one log entry and delays what is behind it.",
        1,
        1 << 26,
        unit="bytes",
    ),
    Option(
        "limits",
        "databases",
        16,
        "How many logical databases SELECT knows: 0 up to one less than this. The same in every"
        " file. With fewer than before, the keys of the others stay and are not reached.",
        1,
        1024,
        unit="databases",
    ),
    Option(
        "limits",
        "inline_bytes_max",
        65536,
        "Bytes of an inline command (typed by hand), as in Redis.",
        64,
        1 << 20,
        unit="bytes",
    ),
    Option(
        "limits",
        "arguments_max",
        65536,
        "Arguments of one command; their list is held whole before it runs.",
        8,
        1 << 20,
        unit="arguments",
    ),
    Option(
        "limits",
        "command_bytes_max",
        25165824,
        "Bytes of one command with all its arguments; it becomes one log entry. Above 32 MiB each"
        " copy of it in memory takes ten times as long, while which the slave answers nobody: with"
        " slow machines leaders change.",
        1024,
        1 << 27,
        unit="bytes",
    ),
    Option(
        "limits",
        "output_bytes_max",
        67108864,
        "Bytes of replies that wait on one connection; beyond, reads are answered with an error.",
        65536,
        1 << 30,
        unit="bytes",
    ),
    Option(
        "limits",
        "subscription_bytes_max",
        16777216,
        "Bytes of the channels and patterns that one connection has subscribed to, and 256 for"
        " each; beyond, SUBSCRIBE is refused.",
        4096,
        1 << 30,
        unit="bytes",
    ),
    Option(
        "limits",
        "maxmemory",
        0,
        "Bytes of data that this slave may hold, led or as copies, about. Beyond, commands that may"
        " need more are answered with an error (Redis' noeviction); nothing is given up. What the"
        " system sees is more: half as much again, and what clients take. 0: no bound.",
        0,
        1 << 50,
        unit="bytes",
    ),
    Option(
        "limits",
        "maxmemory_clients",
        0,
        "Bytes that the inputs and outputs of all clients may take together: half commands,"
        " commands that wait, replies that are not taken. Beyond, the client that holds the most is"
        " closed."
        " 0: an eighth of the memory of the machine, or of the container. As Redis' option.",
        0,
        1 << 40,
        unit="bytes",
    ),
    Option(
        "limits",
        "input_pending_max",
        1024,
        "Commands of one connection under way; beyond, it is not read until they are answered.",
        1,
        1 << 20,
        unit="commands",
    ),
    Option(
        "limits",
        "connections_max",
        10000,
        "Client connections; each costs a few KiB and a file descriptor.",
        1,
        1 << 20,
        unit="connections",
    ),
    Option(
        "limits",
        "tcp_keepalive_s",
        300,
        "Seconds of silence after which the system asks a client whether it is still there; one"
        " that vanished without a word is closed when three such questions, a third of this apart,"
        " stay without an answer. 0: never. As Redis' tcp-keepalive.",
        0,
        86400,
        unit="s",
    ),
    Option(
        "limits",
        "timeout_s",
        0,
        "Seconds of silence after which a client is closed, whether it is there or not; not while"
        " it waits for an answer or for messages. 0: never. As Redis' timeout.",
        0,
        31536000,
        unit="s",
    ),
    Option(
        "limits",
        "half_command_s",
        120,
        "Seconds within which the rest of a command must follow its beginning; then the client is"
        " closed. What has come of it waits in memory. 0: no limit.",
        0,
        86400,
        unit="s",
    ),
    Option(
        "limits",
        "partition_queue_max",
        100000,
        "Commands that wait on one partition; beyond, TRYAGAIN. They wait in memory.",
        1,
        1 << 24,
        unit="commands",
    ),
    Option(
        "limits",
        "partition_queue_bytes_max",
        134217728,
        "The same in bytes.",
        65536,
        1 << 34,
        unit="bytes",
    ),
    Option(
        "limits",
        "batch_bytes_max",
        1048576,
        "Bytes of writes gathered into one log entry (a larger command goes alone). Higher: more"
        " writes a disk sync, longer waits behind each.",
        1024,
        1 << 26,
        unit="bytes",
    ),
    Option(
        "limits",
        "transaction_ms_max",
        500,
        "Milliseconds that a transaction may take to run, estimated from the sizes of the values"
        " that it works on; beyond, EXEC is refused. While it runs no copy of its partition serves"
        " anybody, in any partition, so it must stay well below election_timeout_ms.",
        1,
        60000,
        unit="ms",
    ),
    Option(
        "clients",
        "requirepass",
        "",
        "The password of the user `default`, as Redis' requirepass: clients that do not log in may"
        " ask for nothing. Either the password, or # and its SHA-256 in 64 hexadecimal digits, so"
        " that it does not stand here. The same in every file. It counts until ACL SETUSER changes"
        " `default`; then the users of the cluster map rule. Empty: none.",
    ),
    Option(
        "clients",
        "notify_keyspace_events",
        "",
        "Which changes of keys, wherever they are led, are told to clients of this slave that"
        " subscribe to __keyspace@0__:* or __keyevent@0__:*, as Redis' notify-keyspace-events: K"
        " or E, and A or some of g$lshzxetdnm. Empty: none. Each costs its leader a message.",
    ),
    Option(
        "clients",
        "tracking_table_max_keys",
        1000000,
        "Keys that this slave remembers for CLIENT TRACKING, some 400 bytes each; beyond, clients"
        " are told of the oldest as if it had changed. As Redis' tracking-table-max-keys.",
        1,
        1 << 30,
        unit="keys",
    ),
    Option(
        "tls",
        "certificate",
        "",
        "This slave's certificate, a PEM file, with those that lead to the authority behind it; the"
        " path is relative to this file. `distrodb certs` makes it. Read again after SIGHUP.",
    ),
    Option("tls", "key", "", "Its key: a PEM file that only this user may read."),
    Option(
        "tls",
        "ca",
        "",
        "The certificates of the authorities that are trusted to say who clients and slaves are: a"
        " PEM file. Your own, for this cluster alone: whatever it has signed may connect.",
    ),
    Option(
        "tls",
        "clients",
        "off",
        "Whether clients, also those of the gateway, come by TLS. off: no. on: they do, and see"
        " this slave's certificate. certificate: they show one as well. Passwords are asked for all"
        " the same.",
        choices=("off", "on", "certificate"),
    ),
    Option(
        "tls",
        "users",
        "off",
        "Whether a client's certificate says which user it is, without a password. off: no. cn: the"
        " user of the name that is its common name, if there is one and it is on; clients is"
        ' "certificate" then.',
        choices=("off", "cn"),
    ),
    Option(
        "tls",
        "http",
        "clients",
        "The same for the HTTP port: the page, metrics and health. clients: as it is for clients.",
        choices=("clients", "off", "on", "certificate"),
    ),
    Option(
        "tls",
        "peers",
        False,
        "Whether slaves link by TLS, each with its own certificate, on which the host stands at"
        " which the others find it. The same in every file. The secret is asked for all the same.",
    ),
    Option(
        "log",
        "level",
        "info",
        "What is logged (to standard error): debug, info, warning or error.",
        choices=("debug", "info", "warning", "error"),
    ),
    Option(
        "log",
        "format",
        "text",
        "How: text, for people; logfmt or json, for programs: a line an event, with its name and"
        " fields (docs/monitoring.md).",
        choices=("text", "logfmt", "json"),
    ),
)
SECTIONS = tuple(dict.fromkeys(option.section for option in OPTIONS))  # in this order
