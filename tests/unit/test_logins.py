"""Who may log in, and what guessing a password comes to."""

from distrodb.commands.table import DISPATCHED
from distrodb.slave.logins import (
    ADDRESSES_MAX,
    GOOD_MAX,
    OF_CLIENTS,
    OF_HTTP,
    Attempts,
    Logins,
)
from distrodb.slave.users import Users
from tests.unit.session_world import World

FAILED_AT_ONCE = int(OF_HTTP.at_once)


def test_who_guesses_is_not_told_when_he_is_right_until_time_has_passed():
    logins = Logins(Users(DISPATCHED, "secret"), OF_CLIENTS)
    tried = [logins.takes("h", b"default", b"%d" % n, 0.0) for n in range(1000)]
    assert tried.count(False) == OF_CLIENTS.at_once and tried[-1] is None
    assert logins.takes("h", b"default", b"secret", 0.0) is None
    assert logins.takes("elsewhere", b"default", b"secret", 0.0) is True
    assert logins.takes("h", b"default", b"secret", 1.0 / OF_CLIENTS.per_s) is True


def test_he_keeps_out_nobody_of_his_address_who_was_let_in_before():
    logins = Logins(Users(DISPATCHED, "secret"), OF_CLIENTS)
    assert logins.takes("h", b"default", b"secret", 0.0)
    for number in range(1000):
        logins.takes("h", b"default", b"%d" % number, 0.0)
    assert logins.takes("h", b"default", b"secret", 0.0)


def test_logins_that_are_remembered_are_bounded_and_hold_no_password():
    logins = Logins(Users(DISPATCHED, ""), OF_HTTP)  # it takes any password
    for number in range(2 * GOOD_MAX):
        assert logins.takes("h", b"default", b"%d" % number, 0.0)
    kept = logins._good
    assert len(kept) == GOOD_MAX and all(len(each) == 64 for each in kept)


def test_where_a_name_ends_is_not_mistaken():
    logins = Logins(Users(DISPATCHED, "b"), OF_HTTP)
    assert logins.takes("h", b"default", b"b", 0.0)
    for number in range(FAILED_AT_ONCE):
        logins.takes("h", b"default", b"%d" % number, 0.0)
    assert logins.takes("h", b"defaultb", b"", 0.0) is None


def test_auth_and_hello_of_all_connections_of_an_address_are_bounded_together():
    world = World(requirepass="secret")
    wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    for number in range(int(OF_CLIENTS.at_once) // 2):
        assert world.ask(b"AUTH %d\r\n" % number) == wrong
        assert world.ask(b"HELLO 3 AUTH default x\r\n") == wrong
    world.session = world.service.open_session(world._woken, "client:2")
    refused = b"-ERR too many failed logins from this address; wait some seconds\r\n"
    assert world.ask(b"AUTH secret\r\n") == refused
    assert world.ask(b"HELLO 2 AUTH default secret\r\n") == refused
    world.session = world.service.open_session(world._woken, "other:1")
    assert world.ask(b"AUTH secret\r\n") == b"+OK\r\n"


def test_the_network_of_an_ipv6_address_counts():
    attempts = Attempts(OF_HTTP)
    for number in range(FAILED_AT_ONCE):
        attempts.failed(f"2001:db8::{number:x}", 0.0)
    assert not attempts.may_try("2001:db8::ffff:1", 0.0)
    assert attempts.may_try("2001:db8:0:1::1", 0.0)
    for _ in range(FAILED_AT_ONCE):
        attempts.failed("::ffff:10.0.0.1", 0.0)
    assert not attempts.may_try("10.0.0.1", 0.0)
    assert attempts.may_try("10.0.0.2", 0.0)


def test_addresses_are_bounded():
    attempts = Attempts(OF_HTTP)
    for number in range(3 * ADDRESSES_MAX):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(attempts) == ADDRESSES_MAX


def test_whatever_calls_itself_an_address_is_one():
    attempts = Attempts(OF_HTTP)
    for host in ("", "fe80::1%eth0", "no address"):
        for _ in range(FAILED_AT_ONCE):
            attempts.failed(host, 0.0)
        assert not attempts.may_try(host, 0.0)
