"""Whom the HTTP port does not answer: web pages elsewhere, that ask through somebody's browser."""

import pytest

from distrodb.config.address import Address
from distrodb.slave.http.conversation import Asked
from distrodb.slave.http.origins import Origins

ORIGINS = Origins([Address("db.example", 1), None, Address("10.0.0.1", 2)])
HERE = "127.0.0.1:3"


def status(host: str = HERE, is_followed: bool = True, **headers: str) -> int:
    """200: it is answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = ORIGINS.objection(Asked("/", "", host, headers=named), is_followed)
    return 200 if answer is None else answer.status


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [
        ("127.0.0.1:58551", True),
        ("[::1]:58551", True),
        ("192.168.7.7", True),
        ("localhost:58551", True),
        ("DB.example:3", True),
        ("db.example", True),
        ("", True),
        ("evil.example:58551", False),
        ("127.0.0.1.evil.example", False),
        ("a b", False),
        (":3", False),
    ],
)
def test_a_name_that_is_none_of_this_slave_s_is_refused(host, is_answered):
    """Else a web page could read it through the browser of somebody who reaches the port."""
    assert status(host) == (200 if is_answered else 421)


@pytest.mark.parametrize(
    ("origin", "is_answered"),
    [
        ("http://127.0.0.1:3", True),
        ("https://127.0.0.1:3", True),  # a proxy in between may speak TLS
        ("http://127.0.0.1:4", False),
        ("http://127.0.0.1", False),
        ("http://localhost:3", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_page_of_another_origin_is_refused(origin, is_answered):
    assert (status(origin=origin) == 200) == is_answered


def test_an_origin_where_the_request_does_not_say_where_it_goes_is_refused():
    assert status("", origin="") == status("", origin="http://a") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something new"])
def test_what_a_browser_says_a_page_elsewhere_asks_is_refused(site):
    for mode, what in (
        ("cors", "empty"),
        ("no-cors", "script"),
        ("no-cors", "image"),
        ("navigate", "iframe"),
    ):
        asked = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": what}
        assert status(**asked) == 403
    assert status(sec_fetch_site=site) == 403


def test_a_link_from_elsewhere_may_be_followed_but_where_it_would_do_something():
    followed = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert status(sec_fetch_site="cross-site", **followed) == 200
    assert status(sec_fetch_site="cross-site", is_followed=False, **followed) == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_and_a_person_at_a_browser_are_answered(site):
    assert status(sec_fetch_site=site, sec_fetch_mode="cors", sec_fetch_dest="empty") == 200
    assert status(sec_fetch_site=site, is_followed=False) == 200
