"""CONFIG, INFO, SLOWLOG, LATENCY, ACL and what a slave says of replicas and files."""

import json
from typing import Any

import pytest

from distrodb.commands.powers import Powers
from distrodb.commands.table import COMMANDS
from distrodb.config import LimitsConfig
from distrodb.resp.reply import OK, ErrorReply, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.machine_factory import new_store
from distrodb.slave.statistics import Statistics
from distrodb.slave.unled import Unled
from tests.support.resp import pack, read_replies
from tests.unit.session_world import World


def ask(world: World, *words: str) -> Any:
    (reply,) = read_replies(world.ask(pack(*[word.encode() for word in words])))
    return reply


def says(world: World, line: str) -> str:
    reply: Reply = ask(world, *line.split(" "))
    assert isinstance(reply, ErrorReply), reply
    return reply.text.decode()


def config(world: World, name: str) -> str:
    _, value = ask(world, "CONFIG", "GET", name)
    return str(value, "utf8")


def info(world: World, *sections: str) -> dict[str, str]:
    lines = str(ask(world, "INFO", *sections), "utf8").splitlines()
    return dict(line.split(":", 1) for line in lines if line and line[0] != "#")


# -- CONFIG ------------------------------------------------------------------------------------


def test_what_is_set_is_told_and_gone_by() -> None:
    world = World()
    wanted = ["timeout", "60", "maxclients", "50", "command_bytes_max", "1mb"]
    assert ask(world, "CONFIG", "SET", *wanted) == OK
    limits = world.service.limits
    assert (limits.timeout_s, limits.connections_max) == (60, 50)
    assert limits.command_bytes_max == 1 << 20
    assert config(world, "timeout_s") == config(world, "TIMEOUT") == "60"
    assert ask(world, "CONFIG", "SET", "output_bytes_max", "65536") == OK
    assert world.session.replies.output_bytes_max == 65536
    assert ask(world, "CONFIG", "GET", "MAXCLIENTS", "nosuch*") == [b"MAXCLIENTS", b"50"]


def test_settings_that_are_set_together_change_together_or_not_at_all() -> None:
    world = World()
    for rest, why in [
        ("tcp-keepalive x", "couldn't be parsed into an integer"),
        ("tcp-keepalive -5", "argument must be between 0 and 86400 inclusive"),
        ("cluster-enabled no", "can't set immutable config"),
        ("timeout 61", "duplicate parameter"),
        ("maxmemory-policy allkeys-lru", "noeviction is the only policy"),
        ("appendonly no", "cannot be changed"),
        ("save 60", "there are no RDB files"),
        ("notify-keyspace-events Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ]:
        text = says(world, f"CONFIG SET timeout 60 {rest}")
        name = rest.split()[0]
        about = f"ERR CONFIG SET failed (possibly related to argument '{name}') - "
        assert (text.startswith(about) and text.endswith(why)) or why in text
    unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"
    assert says(world, "CONFIG SET timeout 60 nope 1") == unknown
    assert says(world, "CONFIG SET timeout 60 save") == "ERR syntax error"
    assert config(world, "timeout") == "0"


def test_what_clients_set_to_what_it_is_anyway_is_taken() -> None:
    world = World()
    for name, value in [("save", ""), ("appendonly", "yes"), ("maxmemory-policy", "noeviction")]:
        assert ask(world, "CONFIG", "SET", name, value) == OK


@pytest.mark.parametrize(
    ("given", "shown"), [("KEA", "AKE"), ("Kx", "xK"), ("", ""), ("Eg$", "g$E"), ("KEn", "nKE")]
)
def test_classes_of_keyspace_events_are_shown_as_redis_shows_them(given: str, shown: str) -> None:
    world = World()
    assert ask(world, "CONFIG", "SET", "notify-keyspace-events", given) == OK
    assert config(world, "notify-keyspace-events") == shown
    assert world.service.settings.keyspace_events == shown


def test_every_option_of_limits_has_a_setting() -> None:
    world = World()
    for name in LimitsConfig.__dataclass_fields__:
        assert config(world, name) == str(getattr(world.service.limits, name))


# -- INFO --------------------------------------------------------------------------------------


def test_info_has_the_sections_that_are_asked_for() -> None:
    world = World()

    def titles(*sections: str) -> list[str]:
        lines = str(ask(world, "INFO", *sections), "utf8").splitlines()
        return [line[2:].lower() for line in lines if line.startswith("# ")]

    usual = "server clients memory persistence stats replication cpu modules errorstats"
    assert titles() == titles("DEFAULT") == [*usual.split(), "cluster", "keyspace"]
    assert titles("memory", "cpu", "nosuch") == ["memory", "cpu"]
    assert len(titles("all")) == len(titles("everything")) == len(titles()) + 2
    assert titles("commandstats", "default")[8] == "commandstats"


# What redis-cli --stat, redis-py's parser, Prometheus' exporter and dashboards read.
READ_BY_TOOLS = """redis_version redis_mode os process_id run_id tcp_port uptime_in_seconds
uptime_in_days connected_clients blocked_clients maxclients client_recent_max_input_buffer
client_recent_max_output_buffer tracking_clients used_memory used_memory_human used_memory_rss
used_memory_peak used_memory_overhead used_memory_startup used_memory_dataset
used_memory_dataset_perc mem_fragmentation_bytes tracking_total_keys tracking_total_prefixes
maxmemory maxmemory_policy mem_fragmentation_ratio mem_clients_normal loading expired_keys
rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status
aof_enabled aof_rewrite_in_progress aof_last_bgrewrite_status aof_last_write_status
total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes
total_net_output_bytes instantaneous_input_kbps instantaneous_output_kbps rejected_connections
evicted_keys keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec
total_error_replies role connected_slaves master_repl_offset used_cpu_sys used_cpu_user
cluster_enabled"""


def test_info_has_what_tools_read() -> None:
    world = World()
    told = info(world)
    assert set(READ_BY_TOOLS.split()) <= set(told)


def test_an_empty_slave_does_not_seem_to_waste_its_memory() -> None:
    world = World()
    world.data_bytes = 0
    told = info(world)
    assert told["mem_fragmentation_ratio"] == "1.00" and told["used_memory_dataset"] == "0"
    assert int(told["used_memory"]) >= int(told["used_memory_startup"]) > 90 << 20
    assert told["used_memory_dataset_perc"] == "0.00%"


def test_keys_that_expire_are_counted() -> None:
    store = new_store(0, 16383)
    slot = slot_of(b"a")
    for key in (b"{a}1", b"{a}2", b"{a}3"):
        store.execute(slot, [b"SET", key, b"1", b"PX", b"10"], 0)
    store.execute(slot, [b"DEL", b"{a}1"], 5)
    store.execute(slot, [b"APPEND", b"{a}2", b"1"], 20)
    assert store.expired_count == 1
    store.advance(20, 100)
    assert store.expired_count == 2
    world = World()
    world.ask(pack(b"SET", b"a", b"1", b"PX", b"10"))
    for each in world.stores:
        each.advance(1 << 50, 100)
    assert info(world)["expired_keys"] == "1"


def test_commands_errors_and_misses_are_counted() -> None:
    world = World()
    world.ask(pack(b"SET", b"a", b"1") + pack(b"GET", b"a") * 3 + pack(b"get", b"b"))
    world.ask(pack(b"GET") + pack(b"HGET", b"a", b"f") + pack(b"CLIENT", b"SETNAME", b"a b"))
    told = info(world, "everything")
    assert told["cmdstat_get"].startswith("calls=4,usec=0,usec_per_call=0.00,rejected_calls=1,")
    assert told["cmdstat_hget"].endswith("failed_calls=1")
    assert told["cmdstat_client|setname"].endswith("failed_calls=1")
    assert told["errorstat_ERR"] == "count=2" and told["errorstat_WRONGTYPE"] == "count=1"
    assert (told["keyspace_hits"], told["keyspace_misses"]) == ("4", "1")
    assert told["total_commands_processed"] == "8"
    assert ask(world, "CONFIG", "RESETSTAT") == OK
    told = info(world, "everything")
    assert "cmdstat_get" not in told and told["keyspace_misses"] == "0"


def test_rates_are_those_of_the_last_samples() -> None:
    statistics = Statistics()
    assert statistics.rates() == (0, 0, 0)
    for second in range(40):
        statistics.sample(float(second))
        statistics.calls["get"] += 100 if second < 20 else 50
        statistics.input_bytes += 1000
    assert statistics.rates() == (50, 1000, 0)


# -- SLOWLOG and LATENCY -----------------------------------------------------------------------


def slow(world: World, line: str, took_s: float) -> None:
    """A command during which the clock goes on so far."""
    clock = iter([world.process.time_s, world.process.time_s + took_s] + [9e9] * 9)
    timing = world.service.timing
    before, timing._clock = timing._clock, lambda: next(clock)
    rows = timing.table(COMMANDS)
    timing._clock = before
    world.session._table = {**world.session._table, **rows}
    ask(world, *line.split(" "))
    world.session._table = world.service.table


def test_a_slow_command_is_logged_with_who_asked_and_no_secret() -> None:
    world = World()
    ask(world, "CLIENT", "SETNAME", "me")
    slow(world, "ECHO " + "x" * 200, 0.5)
    slow(world, "AUTH default secret", 0.02)
    slow(world, "PING", 0.001)
    (auth, echo) = ask(world, "SLOWLOG", "GET")
    assert auth[3] == [b"AUTH", b"(redacted)", b"(redacted)"] and auth[0] == echo[0] + 1
    assert echo[2:] == [
        500000,
        [b"ECHO", b"x" * 128 + b"... (72 more bytes)"],
        b"client:1",
        b"me",
    ]
    assert ask(world, "SLOWLOG", "LEN") == 2
    assert ask(world, "SLOWLOG", "RESET") == OK and ask(world, "SLOWLOG", "GET", "-1") == []


def test_the_slow_log_is_bounded_and_may_be_off() -> None:
    world = World()
    assert ask(world, "CONFIG", "SET", "slowlog-max-len", "3") == OK
    for _ in range(5):
        slow(world, "PING", 1.0)
    assert ask(world, "SLOWLOG", "LEN") == 3
    assert ask(world, "CONFIG", "SET", "slowlog-max-len", "1") == OK
    assert ask(world, "SLOWLOG", "LEN") == 1
    assert ask(world, "CONFIG", "SET", "slowlog-log-slower-than", "-1") == OK
    slow(world, "PING", 1.0)
    assert [entry[0] for entry in ask(world, "SLOWLOG", "GET")] == [4]
    assert says(world, "SLOWLOG GET -2") == "ERR count should be greater than or equal to -1"


def test_what_takes_long_is_noted_by_kind_if_it_is_asked_for() -> None:
    world = World()
    timing = world.service.timing
    timing.note("disk-sync", 5.0)
    assert ask(world, "LATENCY", "LATEST") == []
    assert b"off" in ask(world, "LATENCY", "DOCTOR")
    assert ask(world, "CONFIG", "SET", "latency-monitor-threshold", "100") == OK
    for took_s in (0.05, 0.2, 0.3):
        timing.note("disk-sync", took_s)
    world.process.pass_time(2.0)
    timing.note("disk-sync", 0.15)
    slow(world, "PING", 1.0)
    (sync, command) = ask(world, "LATENCY", "LATEST")
    assert sync[0] == b"disk-sync" and sync[2:] == [150, 300] and command[2:] == [1000, 1000]
    history = ask(world, "LATENCY", "HISTORY", "disk-sync")
    assert [ms for _, ms in history] == [300, 150]
    assert ask(world, "LATENCY", "GRAPH", "disk-sync").startswith(b"disk-sync - high 300 ms, low")
    assert b"disk-sync: 2 times, 225 ms" in ask(world, "LATENCY", "DOCTOR")
    assert ask(world, "LATENCY", "RESET", "disk-sync", "x") == 1
    assert ask(world, "LATENCY", "RESET") == 1 and ask(world, "LATENCY", "HISTORY", "command") == []
    assert says(world, "LATENCY GRAPH command").startswith("ERR No samples available")


def test_a_loop_that_comes_late_was_kept_from_its_work() -> None:
    world = World()
    ask(world, "CONFIG", "SET", "latency-monitor-threshold", "100")
    for passed in (0.25, 0.27, 0.6505):
        world.service.timing.beat(0.25)
        world.process.pass_time(passed)
    world.service.timing.beat(0.25)
    assert [event[3] for event in ask(world, "LATENCY", "LATEST")] == [400]


def test_a_partition_without_a_leader_is_timed() -> None:
    unled = Unled()
    assert unled.look(1.0, [3, 4]) == [] and unled.is_waiting
    assert unled.look(2.0, [4]) == [1.0]
    assert unled.look(5.0, []) == [4.0] and not unled.is_waiting


def test_times_are_told_by_powers_of_two() -> None:
    times = Powers()
    for took_us in (1, 3, 100, 100, 5000):
        times.add(took_us)
    assert times.cumulative() == [(1, 1), (4, 2), (128, 4), (8192, 5)]
    assert (times.percentile(50), times.percentile(99)) == (128, 8192)
    assert (times.count, times.total) == (5, 5204)


# -- the rest ----------------------------------------------------------------------------------


def test_a_write_is_known_to_be_where_the_copies_are() -> None:
    world = World()
    assert ask(world, "WAIT", "2", "0") == 2 and ask(world, "WAITAOF", "1", "2", "0") == [1, 2]
    assert says(world, "WAIT 1 -1") == "ERR timeout is negative"
    assert says(world, "WAITAOF 2 1 0").startswith("ERR value is out of range")
    assert ask(world, "ROLE") == [b"master", 0, []]
    assert ask(world, "SAVE") == OK
    assert says(world, "REPLICAOF no one") == "ERR REPLICAOF not allowed in cluster mode."


def test_there_is_one_user_at_first() -> None:
    world = World()
    assert ask(world, "ACL", "WHOAMI") == b"default"
    assert b"config|set" in ask(world, "ACL", "CAT", "dangerous")
    assert ask(world, "ACL", "DRYRUN", "default", "get", "a") == OK
    assert len(ask(world, "ACL", "GENPASS", "5")) == 2
    assert ask(world, "ACL", "USERS") == [b"default"]


def test_shutdown_takes_redis_options() -> None:
    world = World()
    assert says(world, "SHUTDOWN ABORT") == "ERR No shutdown in progress."
    assert says(world, "SHUTDOWN SAVE NOSAVE") == says(world, "SHUTDOWN X") == "ERR syntax error"
    assert json.dumps(world.asked_to) == "[]"
