"""ACL SETUSER and ACL DELUSER on their way into the cluster map.  Pure.

A client may ask any slave; that one asks whoever leads the map's group, which makes the new rules
of those that its map has, and puts them into the map, one change at a time.  The client is answered
when a majority has the change on disk and its own slave goes by it, so that it may log in there at
once; the other slaves follow within a moment.

What always holds:

- a change is made of the newest rules: the leader has applied all that is in its log, and no other
  change of the map is under way;
- what surely was not done is asked again, for a bounded time; what may have been done is not, and
  its client is told so.

Limits: ``ASKS_MAX`` of a slave's clients, and as many of each peer's.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distrodb.commands.acl_user import DEFAULT, RuleError, UnmatchedError, User, is_name
from distrodb.commands.error_replies import shown
from distrodb.commands.table import at_level
from distrodb.errors import PeerError
from distrodb.resp.plain import from_plain, to_plain
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.map_commands import fits
from distrodb.slave.dispatch import LOST
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.links.framing import USERS
from distrodb.slave.map_changes import MapChanges
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.routing import Routing
from distrodb.slave.users import Users

WAIT_S = 5.0  # for a leader of the map, and for its answer; some elections long
LOOK_S = 0.02  # between two looks while somebody waits
ASKS_MAX = 1000
QUESTION, ANSWER, NOT_ME = range(3)  # the first field of a frame
FRAME_BYTES = 64  # of a frame beside its words, about

SETUSER, DELUSER = b"SETUSER", b"DELUSER"
_DEFAULT_STAYS = error("ERR", "The 'default' user cannot be removed")
_BAD_NAME = error("ERR", "Usernames can't contain spaces or null characters")
_TOO_MANY = error("ERR", "the cluster has too many users, or their rules are too long together")
_NOBODY = error("TRYAGAIN", "nobody leads the cluster map, which has the users; nothing was done")
_UNKNOWN = error(
    "UNKNOWN", "the leader of the cluster map did not answer; ACL LIST tells whether it was done"
)
_TOO_MANY_ASKS = error("TRYAGAIN", "too many changes of users wait")

Answer = Callable[[int, Reply, int], None]  # ANSWER or NOT_ME, the reply, the map's epoch


def change(
    cluster_map: ClusterMap, users: Users, words: Sequence[bytes]
) -> tuple[Sequence[str] | None, Reply]:
    """The map's command for ACL SETUSER name [rule …] or DELUSER name …, and the reply when that is
    done; without a command that is all."""
    there = users.those_of(cluster_map.users)
    verb, *names = words
    if verb == DELUSER:
        gone = [name.decode("latin-1") for name in names if name in there]
        if DEFAULT in names:
            return None, _DEFAULT_STAYS
        return (["delete_users", *gone] if gone else None), len(set(gone))
    name, *rules = names
    if not is_name(name):
        return None, _BAD_NAME
    try:
        allowed = at_level(users.table, cluster_map.level)  # all slaves must read the rules
        user = there.get(name, User(name)).changed(rules, allowed)
    except RuleError as problem:
        rule = shown(problem.rule)
        return None, error("ERR", f"Error in ACL SETUSER modifier '{rule}': {problem}")
    except UnmatchedError as problem:
        begins = f"Unmatched parenthesis in acl selector starting at '{problem}'."
        return None, error("ERR", begins)
    key, text = name.decode("latin-1"), user.text.decode("latin-1")
    if cluster_map.users.get(key) == text or there.get(name) == user:
        return None, OK
    if not fits({**cluster_map.users, key: text}):
        return None, _TOO_MANY
    return ["set_user", key, text], OK


@dataclass(slots=True)
class _Ask:
    """Of a client of this slave."""

    words: Sequence[bytes]
    resolve: Callable[[Reply], None]
    give_up_at: float
    asked: str | None = None  # the slave that has it
    reply: Reply = None
    epoch: int = 0  # of the map in which it is done; 0: it is not answered


class UserChanges:
    def __init__(self, users: Users, changes: MapChanges, routing: Routing, outgoing: Outgoing):
        self._users, self._changes = users, changes
        self._routing, self._outgoing = routing, outgoing
        self._asks: dict[int, _Ask] = {}
        self._number = 0
        self._led: deque[tuple[Sequence[bytes], Answer]] = deque()  # to be done here
        self._led_of: dict[str, int] = {}  # how many of these are a peer's
        self.next_due = math.inf  # seconds: when ``look`` is to be called

    def ask(self, now: float, words: Sequence[bytes], resolve: Callable[[Reply], None]) -> None:
        """``words``: SETUSER or DELUSER, and what stands behind it."""
        if len(self._asks) >= ASKS_MAX:
            resolve(_TOO_MANY_ASKS)
            return
        self._number += 1
        self._asks[self._number] = _Ask(words, resolve, now + WAIT_S)
        self.next_due = now

    # -- peers -----------------------------------------------------------------------------------

    def receive(self, now: float, peer: str, content: object) -> None:
        """Raises ``PeerError``."""
        match content:
            case [int(form), int(number), list(words)] if form == QUESTION and _is_asked(words):
                self._asked_by(peer, number, words)
            case [int(form), int(number), plain, int(epoch)] if form in (ANSWER, NOT_ME):
                self._answered(peer, number, form, _reply(plain), epoch)
            case _:
                raise PeerError("malformed change of users")
        self.next_due = now

    def _asked_by(self, peer: str, number: int, words: Sequence[bytes]) -> None:
        def answer(form: int, reply: Reply, epoch: int) -> None:
            self._led_of[peer] = self._led_of.get(peer, 1) - 1
            self._send(peer, [form, number, to_plain(reply), epoch], 0)

        if self._led_of.get(peer, 0) >= ASKS_MAX:
            self._send(peer, [ANSWER, number, to_plain(_TOO_MANY_ASKS), 0], 0)
            return
        self._led_of[peer] = self._led_of.get(peer, 0) + 1
        self._led.append((words, answer))

    def _answered(self, peer: str, number: int, form: int, reply: Reply, epoch: int) -> None:
        ask = self._asks.get(number)
        if ask is None or ask.asked != peer:
            return
        ask.asked = None
        if form == ANSWER:
            ask.reply, ask.epoch = reply, max(epoch, 1)

    def link_down(self, now: float, peer: str) -> None:
        for number, ask in list(self._asks.items()):
            if ask.asked == peer:
                self._end(number, _UNKNOWN)
        self._led_of.pop(peer, None)

    def _send(self, peer: str, content: list[Any], size: int) -> None:
        self._outgoing.send_parcel(peer, (USERS, content, size + FRAME_BYTES))

    # -- now and then ------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """If it is due."""
        if now < self.next_due:
            return
        for number, ask in list(self._asks.items()):
            self._go_on(now, number, ask)
        self._lead()
        self.next_due = now + LOOK_S if self._asks or self._led else math.inf

    def _go_on(self, now: float, number: int, ask: _Ask) -> None:
        is_late = now >= ask.give_up_at
        if ask.epoch:
            if is_late or self._routing.maps.map.epoch >= ask.epoch:
                self._end(number, ask.reply)
        elif ask.asked is not None:
            if is_late:
                self._end(number, _UNKNOWN)
        elif is_late:
            self._end(number, _NOBODY)
        else:
            self._give(number, ask)

    def _give(self, number: int, ask: _Ask) -> None:
        """To the map's leader, if one is known."""
        routing = self._routing
        me = routing.maps.me
        leader = me if self._changes.is_led else routing.leader_of(MAP_GROUP)
        if leader == me:
            ask.asked = me

            def answer(form: int, reply: Reply, epoch: int) -> None:
                self._answered(me, number, form, reply, epoch)

            self._led.append((ask.words, answer))
        elif leader is not None and leader in routing.peers.links:
            ask.asked = leader
            size = sum(map(len, ask.words))
            self._send(leader, [QUESTION, number, list(ask.words)], size)

    def _end(self, number: int, reply: Reply) -> None:
        self._asks.pop(number).resolve(reply)

    def _lead(self) -> None:
        """The next change, if this slave leads the map and none is under way."""
        changes = self._changes
        while self._led:
            if not changes.is_led:
                _, answer = self._led.popleft()
                answer(NOT_ME, None, 0)
                continue
            cluster_map = changes.map_if_idle()
            if cluster_map is None:
                return
            words, answer = self._led.popleft()
            command, reply = change(cluster_map, self._users, words)
            if command is None:
                answer(ANSWER, reply, cluster_map.epoch)
            else:
                changes.submit(command, _when_done(answer, reply, cluster_map.epoch + 1))


def _when_done(answer: Answer, reply: Reply, epoch: int) -> Callable[[Reply], None]:
    def done(result: Reply) -> None:
        if result is LOST:
            answer(NOT_ME, None, 0)
        elif isinstance(result, ErrorReply):
            answer(ANSWER, result, 0)
        else:
            answer(ANSWER, reply, epoch)

    return done


def _is_asked(words: Sequence[object]) -> bool:
    if len(words) < 2 or not all(isinstance(word, bytes) for word in words):
        return False
    return words[0] in (SETUSER, DELUSER)


def _reply(plain: object) -> Reply:
    try:
        return from_plain(plain)
    except ValueError as problem:
        raise PeerError(f"malformed answer: {problem}") from None
