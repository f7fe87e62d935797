"""What a script can say: one verb a line, each a small function on the simulated cluster.

A verb's pattern stands above its function.  Words in capitals take what the script says there
(``TAKES``), three dots behind one of them take all the rest; small words stand for themselves.  The
first line of a function's text is what ``python -m tests.scripts`` prints about it.

A verb that waits waits for virtual seconds, and for ``PATIENCE_S`` of them at most.  What must hold
is claimed with ``Stage.claim``, so that a failure names the line of the script.
"""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgpack

from distrodb.raft.messages import KIND_NAMES
from distrodb.resp.reply import OK, ErrorReply, Reply, Status
from distrodb.ring.clustermap import STATUSES
from distrodb.ring.slots import slot_of
from tests.sim.connection import Connection
from tests.sim.continuity import leftovers
from tests.sim.simulation import STEP_S, Simulation
from tests.sim.workload import Client
from tests.support.history import Operation, check

PATIENCE_S = 60.0
DONE = Status(b"done")  # in place of the replies of a transaction
AGAIN_S = 1.0  # until a controller that does not answer is asked again
KINDS = {name.replace(" ", "-"): kind for kind, name in KIND_NAMES.items()}


class Refused(Exception):
    """The script cannot be carried out as it stands."""


class NotSo(AssertionError):
    """What the script claims does not hold."""


@dataclass
class Stage:
    """What a script plays on."""

    cluster: Simulation
    names: dict[str, str] = field(default_factory=dict)  # given by ``call``
    answers: dict[str, list[Reply]] = field(default_factory=dict)  # to what ``send`` sent
    watching: dict[str, Connection] = field(default_factory=dict)
    sent: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # (from, to, kind)
    history: list[Operation] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def claim(self, holds: object, what: str) -> None:
        if not holds:
            raise NotSo(what)

    def until(self, condition: Callable[[], object]) -> None:
        try:
            self.cluster.run_until(lambda: bool(condition()), PATIENCE_S)
        except AssertionError as problem:
            raise NotSo(str(problem)) from problem

    def leader_of(self, key: str) -> str:
        self.until(lambda: self.cluster.leader(key))
        return str(self.cluster.leader(key))

    def controller(self) -> Any:
        self.until(self.cluster.controller)
        return self.cluster.controller()

    def ask_controller(self, *args: str) -> None:
        """Again while another change is under way, or the controller has changed."""
        until, replies = self.cluster.now + PATIENCE_S, list[Reply]()
        while OK not in replies:
            last = replies[-1] if replies else None
            if isinstance(last, ErrorReply) and last.code not in ("TRYAGAIN", "NOTCONTROLLER"):
                raise NotSo(f"the controller refuses: {last.text.decode()}")
            self.claim(self.cluster.now < until, f"the controller says {_shown(last)}")
            if last is not None:
                self.cluster.run(STEP_S)  # it says so at once, and nothing would ever happen
            slave, count = self.controller(), len(replies)
            slave.core.change_map(args, replies.append)
            slave.turn_soon()
            again = self.cluster.now + AGAIN_S
            self.cluster.at_once(
                lambda again=again, n=count: len(replies) > n or self.cluster.now > again
            )

    def watch(self) -> None:
        """Count from now on what slaves send each other, by kind."""
        network = self.cluster.network
        transmit = network.transmit

        def counted(sender: str, receiver: str, frame: bytes) -> None:
            for message in msgpack.unpackb(frame)[0]:
                self.sent[sender, receiver, message[1]] += 1
            transmit(sender, receiver, frame)

        network.transmit = counted  # type: ignore[method-assign]


def _node(stage: Stage, word: str) -> str:
    name = stage.names.get(word, word)
    if name not in stage.cluster.slaves:
        raise Refused(f"there is no slave {word!r}")
    return name


def _seconds(_: Stage, word: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", word):
        raise Refused(f"{word!r} is not a number of seconds")
    return float(word)


def _count(_: Stage, word: str) -> int:
    if not word.isdecimal():
        raise Refused(f"{word!r} is not a whole number")
    return int(word)


def _kind(_: Stage, word: str) -> int:
    if word not in KINDS:
        raise Refused(f"no message is called {word!r}; there are {' '.join(KINDS)}")
    return KINDS[word]


def _status(_: Stage, word: str) -> str:
    statuses = [status for status in STATUSES if status != "suspect"]  # which is in no map
    if word not in statuses:
        raise Refused(f"{word!r} is no status; there are {' '.join(statuses)}")
    return word


def _word(_: Stage, word: str) -> str:
    return word


# What a word in capitals takes.
TAKES: dict[str, Callable[[Stage, str], object]] = {
    "NODE": _node,
    "SECONDS": _seconds,
    "COUNT": _count,
    "KIND": _kind,
    "STATUS": _status,
    "KEY": _word,
    "VALUE": _word,
    "NAME": _word,
}


@dataclass(frozen=True)
class Verb:
    pattern: list[str]
    do: Callable[..., None]

    def match(self, words: list[str]) -> list[tuple[str, str]] | None:
        """Each word that is taken, with what takes it; None when the line does not fit."""
        taken, pattern = [], list(self.pattern)
        if pattern[-1].endswith("..."):
            last = pattern.pop().removesuffix("...")
            pattern += [last] * max(1, len(words) - len(pattern))
        if len(pattern) != len(words):
            return None
        for expected, word in zip(pattern, words, strict=True):
            if expected in TAKES:
                taken.append((expected, word))
            elif expected != word:
                return None
        return taken

    @property
    def usage(self) -> str:
        return " ".join(self.pattern)

    @property
    def says(self) -> str:
        return (inspect.getdoc(self.do) or "").splitlines()[0]


VERBS: list[Verb] = []


def verb(pattern: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def note(do: Callable[..., None]) -> Callable[..., None]:
        VERBS.append(Verb(pattern.split(), do))
        return do

    return note


# -- clients ----------------------------------------------------------------------------------


@verb("set KEY VALUE")
def set_(stage: Stage, key: str, value: str) -> None:
    """A patient client sets a key; the write must be acknowledged."""
    reply = stage.cluster.ask("SET", key, value)
    stage.claim(reply == OK, f"the answer is {_shown(reply)}")


@verb("get KEY is VALUE")
def get(stage: Stage, key: str, value: str) -> None:
    """A patient client reads a key; VALUE may be ``nothing``."""
    reply = stage.cluster.ask("GET", key)
    stage.claim(_shown(reply) == value, f"it is {_shown(reply)}")


@verb("expire KEY in SECONDS")
def expire(stage: Stage, key: str, seconds: float) -> None:
    """A patient client lets a key that is there expire."""
    reply = stage.cluster.ask("PEXPIRE", key, str(round(seconds * 1000)))
    stage.claim(reply == 1, f"the answer is {_shown(reply)}")


@verb("fill COUNT keys of COUNT bytes")
def fill(stage: Stage, keys: int, size: int) -> None:
    """Set key0, key1, …; each write must be acknowledged."""
    for number in range(keys):
        set_(stage, f"key{number}", "x" * size)


@verb("find COUNT keys of COUNT bytes")
def find(stage: Stage, keys: int, size: int) -> None:
    """Read what ``fill`` has set; all must be there."""
    missing = [n for n in range(keys) if stage.cluster.ask("GET", f"key{n}") != b"x" * size]
    stage.claim(not missing, f"missing are {missing}")


@verb("send NAME to NODE set KEY VALUE")
def send_set(stage: Stage, name: str, node: str, key: str, value: str) -> None:
    """Send a write to this very slave and go on without an answer."""
    _send(stage, name, node, "SET", key, value)


@verb("send NAME to NODE get KEY")
def send_get(stage: Stage, name: str, node: str, key: str) -> None:
    """Send a read to this very slave and go on without an answer."""
    _send(stage, name, node, "GET", key)


@verb("send NAME to NODE multi VALUE...")
def send_multi(stage: Stage, name: str, node: str, *words: str) -> None:
    """Send a transaction to this very slave: commands with ``;`` between them.

    It goes to the connection that watches under that name, if there is one.  Its answer is that of
    EXEC: ``done``, or ``nothing`` when a watched key may have changed.
    """
    connection = stage.watching.pop(name, None) or _connection(stage, node)
    replies = stage.answers.setdefault(name, [])
    replies.clear()
    commands = " ".join(words).split(" ; ")
    lines = [[word.encode() for word in line.split()] for line in ["multi", *commands, "exec"]]

    def answered(number: int, reply: Reply) -> None:
        if number == len(lines) - 1:
            replies.append(DONE if isinstance(reply, list) else reply)

    connection.ask_all(lines, answered)


@verb("watch KEY at NODE as NAME")
def watch(stage: Stage, key: str, node: str, name: str) -> None:
    """A client of this very slave watches a key, for the transaction of that name."""
    connection = stage.watching[name] = _connection(stage, node)
    replies: list[Reply] = []
    connection.ask([b"WATCH", key.encode()], replies.append)
    stage.until(lambda: replies)
    stage.claim(replies == [OK], f"the answer is {_shown(replies[0])}")


def _connection(stage: Stage, node: str) -> Connection:
    if not stage.cluster.is_up(node):
        raise Refused(f"{node} is down")
    return Connection(stage.cluster.slaves[node], stage.cluster.random_for_clients)


def _send(stage: Stage, name: str, node: str, *command: str) -> None:
    if not stage.cluster.is_up(node):
        raise Refused(f"{node} is down")
    replies = stage.answers.setdefault(name, [])
    replies.clear()
    stage.cluster.submit(node, *command, done=replies.append)


@verb("answer NAME is VALUE")
def answer(stage: Stage, name: str, value: str) -> None:
    """The answer to what was sent under that name: a value, or ``nothing``, or ``OK``.

    Of an error VALUE is the first word, as ``MOVED`` or ``UNKNOWN``; without an answer it is
    ``missing``.
    """
    given = _answer(stage, name)
    stage.claim(given == value, f"it is {given}")


@verb("answer NAME is not VALUE")
def answer_is_not(stage: Stage, name: str, value: str) -> None:
    """The opposite: the answer is anything but that."""
    given = _answer(stage, name)
    stage.claim(given != value, f"it is {given}")


def _answer(stage: Stage, name: str) -> str:
    if name not in stage.answers:
        raise Refused(f"nothing was sent under the name {name!r}")
    return _shown(stage.answers[name][0]) if stage.answers[name] else "missing"


def _shown(reply: Reply) -> str:
    if isinstance(reply, ErrorReply):
        return reply.code
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")
    if isinstance(reply, Status):
        return reply.text.decode()
    return "nothing" if reply is None else str(reply)


@verb("load COUNT clients")
def load(stage: Stage, count: int) -> None:
    """From now on so many clients contend for a few keys."""
    first = len(stage.clients)
    stage.clients += [
        Client(stage.cluster, number, stage.history) for number in range(first, first + count)
    ]


@verb("judge clients")
def judge(stage: Stage) -> None:
    """The clients stop; one single Redis could have told them all that they heard."""
    if not stage.clients:
        raise Refused("there are no clients; load some before")
    for client in stage.clients:
        client.is_stopped = True
    stage.until(lambda: not any(client.is_waiting for client in stage.clients))
    stage.claim(any(client.answered for client in stage.clients), "nobody was ever answered")
    check(stage.history)


# -- slaves and links -------------------------------------------------------------------------


@verb("call NAME the leader of KEY")
def call_leader(stage: Stage, name: str, key: str) -> None:
    """Give a name to the slave that leads a key's partition now."""
    stage.names[name] = stage.leader_of(key)


@verb("call NAME a follower of KEY")
def call_follower(stage: Stage, name: str, key: str) -> None:
    """Give a name to a slave that runs, has a copy of the key's partition and does not lead it."""
    leader = stage.leader_of(key)
    copies = _copies(stage, key)
    stage.names[name] = next(n for n in copies if n != leader and stage.cluster.is_up(n))


@verb("call NAME the other follower of KEY")
def call_other(stage: Stage, name: str, key: str) -> None:
    """The same, but one that has no name yet."""
    leader, named = stage.leader_of(key), stage.names.values()
    free = [n for n in _copies(stage, key) if n != leader and n not in named]
    if not free:
        raise Refused(f"every follower of {key} has a name")
    stage.names[name] = free[0]


@verb("call NAME the controller")
def call_controller(stage: Stage, name: str) -> None:
    """Give a name to the slave that leads the cluster map now."""
    stage.names[name] = stage.controller().id


def _copies(stage: Stage, key: str) -> list[str]:
    core = stage.controller().core
    return list(core.map.partitions[_partition(stage, key)].group)


def _partition(stage: Stage, key: str) -> int:
    slot, rows = slot_of(key.encode()), stage.controller().core.map.partitions
    return int(next(row.id for row in rows if row.first <= slot <= row.last))


@verb("kill NODE...")
def kill(stage: Stage, *nodes: str) -> None:
    """As kill -9 and a power cut: what was not synced is lost."""
    for node in nodes:
        if not stage.cluster.is_up(node):
            raise Refused(f"{node} is down already")
    for node in nodes:
        stage.cluster.crash(node)


@verb("stop NODE")
def stop(stage: Stage, node: str) -> None:
    """As SIGTERM: the slave hands its leaderships over, if somebody can take them, and ends."""
    slave = stage.cluster.slaves[node]
    if slave.core is None:
        raise Refused(f"{node} is down already")

    def is_done() -> bool:
        slave.turn_soon()
        return slave.core.hand_over(slave.now)

    stage.until(is_done)
    stage.cluster.crash(node)


@verb("start NODE...")
def start(stage: Stage, *nodes: str) -> None:
    """Start slaves that are down."""
    for node in nodes:
        if stage.cluster.is_up(node):
            raise Refused(f"{node} runs already")
        stage.cluster.start(node)


@verb("wipe NODE")
def wipe(stage: Stage, node: str) -> None:
    """Kill a slave, if it runs, and take its directory away."""
    stage.cluster.wipe(node)


@verb("pause NODE SECONDS")
def pause(stage: Stage, node: str, seconds: float) -> None:
    """As SIGSTOP and, so much later, SIGCONT; the script goes on at once."""
    stage.cluster.pause(node, seconds)


@verb("cut NODE NODE")
def cut(stage: Stage, one: str, other: str) -> None:
    """Nothing gets through between two slaves."""
    stage.cluster.cut(one, other)


@verb("cut from NODE to NODE")
def cut_one_way(stage: Stage, sender: str, receiver: str) -> None:
    """Nothing gets through in this direction; the other one is whole."""
    stage.cluster.network.cut_one_way(sender, receiver)


@verb("isolate NODE")
def isolate(stage: Stage, node: str) -> None:
    """Cut a slave off from all others."""
    stage.cluster.isolate(node)


@verb("slow NODE NODE COUNT times")
def slow(stage: Stage, one: str, other: str, factor: int) -> None:
    """What goes between two slaves takes so many times longer."""
    stage.cluster.network.slow(one, other, float(factor))


@verb("mend links")
def mend(stage: Stage) -> None:
    """No link is cut or slow any more."""
    stage.cluster.heal()


# -- the ring ---------------------------------------------------------------------------------


@verb("add NAME")
def add(stage: Stage, name: str) -> None:
    """One slave more joins; its name is node and the next number."""
    coming = f"node{len(stage.cluster.slaves) + 1}"
    if name != coming:
        raise Refused(f"the next slave is {coming}")
    stage.cluster.add()


@verb("remove NODE")
def remove(stage: Stage, node: str) -> None:
    """A person asks the ring to do without a slave."""
    stage.ask_controller("REMOVE", node)


@verb("keep NODE")
def keep(stage: Stage, node: str) -> None:
    """A person calls a slave back that is leaving."""
    stage.ask_controller("KEEP", node)


@verb("move KEY to NODE")
def move(stage: Stage, key: str, node: str) -> None:
    """A person makes a slave the owner of a key's partition."""
    stage.ask_controller("MOVE", str(_partition(stage, key)), node)


# -- time -------------------------------------------------------------------------------------


@verb("wait SECONDS")
def wait(stage: Stage, seconds: float) -> None:
    """Let virtual time pass."""
    stage.cluster.run(seconds)


@verb("until whole")
def until_whole(stage: Stage) -> None:
    """Everybody runs, and every group has a leader and the members that it should have."""
    stage.until(stage.cluster.is_whole)


@verb("until healed")
def until_healed(stage: Stage) -> None:
    """There are as many live copies as there should be, led by their owners, and no others."""
    stage.until(lambda: stage.cluster.is_healed() and not leftovers(stage.cluster))


@verb("until NODE is STATUS")
def until_status(stage: Stage, node: str, status: str) -> None:
    """Wait until the cluster map says so of a slave: ``up``, ``down``, ``joining`` or ``leaving``.

    From ``down`` and ``leaving`` on the ring heals.
    """
    stage.until(lambda: stage.controller().core.map.nodes[node].status == status)


@verb("until answer NAME")
def until_answer(stage: Stage, name: str) -> None:
    """Wait until what was sent under that name is answered."""
    _answer(stage, name)
    stage.until(lambda: stage.answers[name])


@verb("until COUNT answers")
def until_answers(stage: Stage, count: int) -> None:
    """Wait until the clients that were loaded have been answered so often, all of them together."""
    stage.until(lambda: sum(client.answered for client in stage.clients) >= count)


@verb("until NODE has cut its log of KEY")
def until_cut(stage: Stage, node: str, key: str) -> None:
    """Wait until a snapshot has made the beginning of the log of a key's partition superfluous."""
    partition = _partition(stage, key)
    stage.until(lambda: stage.cluster.slaves[node].core.groups[partition].log.first_index > 1)


@verb("until NODE leads KEY")
def until_leads(stage: Stage, node: str, key: str) -> None:
    """Wait for this slave to lead a key's partition."""
    stage.until(lambda: stage.cluster.leader(key) == node)


@verb("until another than NODE leads KEY")
def until_another_leads(stage: Stage, node: str, key: str) -> None:
    """Wait for somebody else to lead a key's partition."""
    stage.until(lambda: stage.cluster.leader(key) not in (node, None))


@verb("until NODE has left")
def until_left(stage: Stage, node: str) -> None:
    """Wait for a removed slave to be drained and to end."""
    stage.until(lambda: stage.cluster.slaves[node].is_removed)


@verb("until KIND from NODE to NODE")
def until_sent(stage: Stage, kind: int, sender: str, receiver: str) -> None:
    """Stop at the very moment at which the next message of that kind has left."""
    place = sender, receiver, kind
    before = stage.sent[place]
    try:
        stage.cluster.at_once(lambda: stage.sent[place] > before, PATIENCE_S)
    except AssertionError as problem:
        raise NotSo(str(problem)) from problem


# -- what must hold ---------------------------------------------------------------------------


@verb("expect not healed")
def expect_not_healed(stage: Stage) -> None:
    """Somewhere the copies, or who leads, are not as they should be."""
    stage.claim(not stage.cluster.is_healed(), "it is")


@verb("expect nobody leads KEY")
def expect_nobody(stage: Stage, key: str) -> None:
    """A key's partition has no leader now."""
    leader = stage.cluster.leader(key)
    stage.claim(leader is None, f"{leader} does")


@verb("expect NODE leads KEY")
def expect_leads(stage: Stage, node: str, key: str) -> None:
    """This slave leads a key's partition now."""
    leader = stage.cluster.leader(key)
    stage.claim(leader == node, f"{leader or 'nobody'} does")


@verb("expect ring NODE...")
def expect_ring(stage: Stage, *nodes: str) -> None:
    """These slaves stand in the ring, in this order."""
    ring = stage.controller().core.map.ring
    stage.claim(ring == nodes, f"it is {' '.join(ring)}")


@verb("expect NODE owns KEY")
def expect_owns(stage: Stage, node: str, key: str) -> None:
    """By the map this slave should lead a key's partition."""
    owner = stage.controller().core.map.partitions[_partition(stage, key)].owner
    stage.claim(owner == node, f"{owner} does")


@verb("expect NODE has a copy of KEY")
def expect_copy(stage: Stage, node: str, key: str) -> None:
    """By the map this slave holds a key's partition."""
    copies = _copies(stage, key)
    stage.claim(node in copies, f"{' '.join(copies)} have one")


@verb("expect KIND was sent from NODE to NODE")
def expect_sent(stage: Stage, kind: int, sender: str, receiver: str) -> None:
    """A message of that kind has left since the script began."""
    stage.claim(stage.sent[sender, receiver, kind], "none was")


def vocabulary() -> Iterator[str]:
    width = max(len(each.usage) for each in VERBS)
    return (f"{each.usage:{width}}  {each.says}" for each in VERBS)
