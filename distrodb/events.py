"""Every line that a slave's log may have: its name, its level, its words, and what a person is to
do about it.  Pure.

A name is for programs, and stays; so do the names of fields, which stand in the words in braces.
No field holds a secret, or what clients store.  docs/monitoring.md lists them all, and a test holds
both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEBUG, INFO, WARNING, ERROR, CRITICAL = "debug", "info", "warning", "error", "critical"


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    level: str
    text: str
    do: str = ""  # nothing has to be done


_ROWS = (
    # -- the slave itself
    Event("listening", INFO, "slave {slave} serves clients at {address}"),
    Event("announced", INFO, "it is announced to them as {address}"),
    Event(
        "moved",
        INFO,
        "is found at {client} and {peer} from now on; the cluster map says {before} until the"
        " others have let it in",
    ),
    Event("waits_to_join", INFO, "waits to be let into the cluster at {peers}"),
    Event(
        "waits_for_birth",
        INFO,
        "the cluster is not born yet: all of its slaves must meet once",
        "start those that do not run",
    ),
    Event(
        "waits_for_cluster",
        WARNING,
        "its directory is empty, and its file says that the cluster has been born: it waits for a"
        " slave that knows it",
        "see whether its disk is mounted where it should be; only if a new cluster is to begin,"
        " write born = false under [cluster] in every file",
    ),
    Event("born", INFO, "the cluster is there: epoch {epoch}, ring {ring}"),
    Event("ready", INFO, "is ready: clients may be sent here"),
    Event(
        "not_ready", WARNING, "is not ready: {why}", "see distrodb doctor if it does not come back"
    ),
    Event("ports_held", INFO, "one of its ports is in use; it waits for up to {seconds} s"),
    Event(
        "removed",
        WARNING,
        "{slave} is not one of the cluster any more, so it has ended; to join"
        " again it needs an empty directory, and in its file `join` and its own row only",
    ),
    Event(
        "few_files",
        WARNING,
        "connections_max is {connections} here: the system allows {files} files",
        "raise the limit of open files (LimitNOFILE=, ulimit -n) and start it again",
    ),
    Event("file_warning", WARNING, "{what}"),
    Event("report_failed", ERROR, "what this slave tells of itself failed: {problem}", "report it"),
    Event("loop_error", ERROR, "event loop: {what}"),
    Event("internal_error", CRITICAL, "internal error"),
    Event(
        "fails",
        CRITICAL,
        "ends: {problem}",
        "see what docs/troubleshooting.md says of it",
    ),
    Event(
        "clock_leapt",
        WARNING,
        "the machine's clock has leapt by {seconds} s",
        "see to it that it is set by NTP and slowly; keys expire by a time that follows it slowly",
    ),
    # -- its disk
    Event(
        "disk_slow",
        WARNING,
        "the disk is slow: a sync has taken {seconds} s; what this slave leads goes to slaves whose"
        " disks are much faster, if there are any",
    ),
    Event("disk_fast", WARNING, "the disk is fast again: no sync has taken {limit} s for {calm} s"),
    Event(
        "disk_nearly_full",
        WARNING,
        "the disk is nearly full: {free} of {total} are free",
        "make room, or let slaves join and BALANCE",
    ),
    Event(
        "disk_full",
        ERROR,
        "the disk is almost full: {free} of {total} are free",
        "make room now: a slave whose disk is full stops",
    ),
    Event("disk_has_room", INFO, "the disk has room again: {free} of {total} are free"),
    # -- certificates
    Event("certificates_read", INFO, "the certificates are read again"),
    Event(
        "certificates_not_read",
        ERROR,
        "the certificates are not read again, the old ones stay: {problem}",
    ),
    Event("certificate_ends", WARNING, "{what}"),
    # -- clients
    Event("client_closed", WARNING, "a client at {client} is closed: {reason}"),
    Event("client_given_up", INFO, "a client at {client} is closed: {reason}"),
    Event("client_ended", DEBUG, "a client at {client} closed: {reason}"),
    Event(
        "client_sent_away",
        WARNING,
        "a client at {client} is sent away: protected mode, no password",
        "set requirepass under [clients] in every file (docs/security.md)",
    ),
    Event(
        "client_memory",
        WARNING,
        "a client at {client} is closed, the one that holds the most ({held} bytes): all together"
        " hold {total}, and maxmemory_clients is {bound}",
    ),
    Event(
        "clients_refused",
        WARNING,
        "clients are refused: connections_max is {connections}",
        "raise it, or set timeout_s; CLIENT LIST shows who does not close",
    ),
    Event("accept_failed", WARNING, "no connection can be accepted: {problem}"),
    Event("tls_failed", INFO, "{host}: no TLS handshake: {problem}"),
    Event("tls_strangers", WARNING, "too many strangers at {host}: the oldest goes"),
    # -- the HTTP port
    Event("http_listening", INFO, "a page, metrics and health at {url}"),
    Event(
        "http_not_listening",
        WARNING,
        "nothing is served at {url}: {problem}; it is tried again each {seconds} s",
    ),
    Event("http_failed", ERROR, "HTTP: {what} failed: {problem}"),
    # -- links with other slaves
    Event("link_up", INFO, "link with {peer} is up"),
    Event("link_down", INFO, "link with {peer} is down"),
    Event("link_silent", WARNING, "link with {peer} closed: silent"),
    Event("link_refused", WARNING, "link with {peer} closed: {problem}"),
    Event("link_strangers", WARNING, "too many strangers at {host}: the oldest goes"),
    Event("link_behind", WARNING, "{what} for {peer} are dropped: its link does not keep up"),
    # -- leads
    Event("leads_won", INFO, "leads {partitions}: {cause}"),
    Event("leads_lost", INFO, "leads {partitions} no more: {cause}"),
    Event("lead_moved", DEBUG, "{slave} leads {partitions}{before}"),
    Event(
        "lead_gone",
        WARNING,
        "nobody leads {partitions}{before}",
        "if it stays so, distrodb doctor says whom to start",
    ),
    Event("map_led", INFO, "{slave} heals the ring"),
    Event(
        "map_leaderless",
        WARNING,
        "nobody leads the cluster map",
        "if it stays so, distrodb doctor says whom to start",
    ),
    # -- the cluster
    Event("slave_up", INFO, "{slave} is up"),
    Event("slave_not_heard", WARNING, "{slave} is not heard here"),
    Event(
        "slave_down",
        WARNING,
        "{slave} is down: a majority does not hear it",
        "start it with its directory, or REMOVE it if it is gone for good",
    ),
    Event("slave_leaving", INFO, "{slave} is leaving: others take over what it holds"),
    Event("slave_joined", INFO, "{slave} has joined the cluster"),
    Event("slave_left", INFO, "{slave} has left the cluster"),
    Event("slave_disk_slow", WARNING, "the disk of {slave} is slow: it hands on what it leads"),
    Event("slave_disk_fast", INFO, "the disk of {slave} is fast again"),
    Event("ring_changed", INFO, "the ring is {ring}"),
    Event("heal_begun", INFO, "the ring heals: copies are on their way"),
    Event("heal_ended", INFO, "the ring is whole: every copy is where it should be"),
    Event(
        "gap_closed",
        INFO,
        "the ring is whole: every copy is where it should be, without {slaves}",
    ),
    Event(
        "gap_left",
        WARNING,
        "nobody is left to take the copies of {slaves}, so these have one less: {partitions}",
        "start it, or let another slave join",
    ),
    Event("moves_begun", INFO, "copies are on their way: {partitions}"),
    Event("moves_ended", INFO, "all copies are there: {partitions}"),
    # -- snapshots
    Event("snapshot_taken", DEBUG, "group {partition}: a snapshot of {bytes} bytes is taken"),
    Event(
        "snapshot_sent",
        INFO,
        "group {partition}: a snapshot of about {bytes} bytes goes to {slave}",
    ),
    Event("snapshot_installed", INFO, "group {partition}: the snapshot from {slave} is in use"),
    Event(
        "snapshot_refused",
        WARNING,
        "group {partition}: the snapshot from {slave} is refused: {damage}",
        "it is sent again; if this repeats look at the memory of both machines",
    ),
)
EVENTS: Mapping[str, Event] = {event.name: event for event in _ROWS}


@dataclass(frozen=True, slots=True)
class Said:
    """An event that has happened.  As text: what is so, without what to do."""

    event: Event
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        return self.event.text.format_map(self.fields)


def said(name: str, /, **fields: Any) -> Said:
    return Said(EVENTS[name], fields)
