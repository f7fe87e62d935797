"""The page of a slave in a real browser: what a person sees when a slave dies, on a phone, in the
dark, without colour, by keyboard, and with a screen reader."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect

from distrodb import LocalCluster
from distrodb.clock import monotonic
from distrodb.ring.slots import slot_of
from tests.e2e.test_security import PASSWORD as TLS_PASSWORD
from tests.e2e.test_security import with_certificates

WAIT_MS = 60_000  # far above what is waited for here takes
WIDTHS, SCHEMES = (390, 1440), ("light", "dark")
HERE = Path(__file__).parent
CONTRAST_MIN = 4.5  # WCAG 2.2, AA
PASSWORD = "open, sesame"
ADMIN = {"username": "", "password": PASSWORD}


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        nodes=5, partitions=10, raft_dead_after_s=1.0, clients_requirepass=PASSWORD
    ) as cluster:
        cluster.wait_healed()
        with cluster.client() as client:
            for number in range(200):
                client.set(f"key{number}", "x" * 100)
        yield cluster


@contextmanager
def opened(
    browser: Browser, address: str, width: int = 1440, scheme: Any = "light", **more: Any
) -> Iterator[Page]:
    """A page without errors, that asks nobody but its own slave; logged in."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        **{"http_credentials": ADMIN, **more},
    )
    page = context.new_page()
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "ERR_CONNECTION_REFUSED" not in message.text:
            complaints.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith(f"http://{address}/"):
            complaints.append(f"it asks for {request.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", on_request)
    page.goto(f"http://{address}/")
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def state(page: Page) -> Any:
    return expect(page.locator("#state[role=status]"))


def is_well(page: Page) -> None:
    state(page).to_contain_text("All is well: 5 slaves, 10 partitions", timeout=WAIT_MS)


def cards(page: Page) -> list[str]:
    """What stands in the ring's picture, a slave each."""
    return page.locator("#ring g g text.name").all_text_contents()


def test_a_slave_dies_and_the_gap_closes_before_one_s_eyes(browser, cluster):
    with opened(browser, cluster.http_address("node1")) as page:
        is_well(page)
        assert cards(page) == [f"● node{n}" for n in range(1, 6)]
        cluster.kill("node3")
        state(page).to_contain_text("node3", timeout=WAIT_MS)
        state(page).to_contain_text("closed its gap", timeout=WAIT_MS)
        assert cards(page) == ["● node1", "● node2", "● node4", "● node5", "✕ node3"]
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="node3"))
        expect(row).to_contain_text("down")
        events = page.locator("#events")
        expect(events).to_contain_text("node3 is down: a majority does not hear it")
        expect(events).to_contain_text("the ring is node1 node2 node4 node5")
        expect(events).to_contain_text("the ring is whole", timeout=WAIT_MS)
        expect(page.locator("#partitions")).not_to_contain_text("node3")
        told = page.locator("#findings")
        expect(told).to_contain_text("Warning, node3: node3 is down. Its gap is closed.")
        expect(told).to_contain_text("Start node3 with its directory")
        cluster.revive("node3")
        is_well(page)
        assert sorted(cards(page)) == [f"● node{n}" for n in range(1, 6)]
        expect(events).to_contain_text("node3 is up")
        expect(told).not_to_contain_text("node3 is down")
    cluster.wait_healed()


def test_when_the_slave_itself_dies_the_page_says_so_and_where_to_look(browser, cluster):
    with opened(browser, cluster.http_address("node5")) as page:
        is_well(page)
        cluster.kill("node5")
        state(page).to_contain_text("node5 does not answer since", timeout=WAIT_MS)
        links = page.locator("#others a")
        expect(links).to_have_text(["node1", "node2", "node3", "node4"])
        assert links.first.get_attribute("href") == f"http://{cluster.http_address('node1')}/"
        cluster.revive("node5")
        is_well(page)
        expect(page.locator("#others")).to_be_hidden()
    cluster.wait_healed()


def test_throughput_and_latency_are_live(browser, cluster):
    with opened(browser, cluster.http_address("node1")) as page, cluster.client() as client:
        is_well(page)
        commands, write = page.locator("#commands"), page.locator("#write")
        shown, ends = [], monotonic() + 30.0
        latency = re.compile("≤\xa0[0-9.]+\xa0(µs|ms|s)")
        # Of the writes' time a bound is shown, which may stay the same.
        while len({*shown} - {"0", "–"}) < 2 or not latency.fullmatch(write.text_content()):
            assert monotonic() < ends, f"it does not move: {shown}, {write.text_content()}"
            for number in range(50):
                client.set(f"key{number}", "y")
            shown.append(commands.text_content())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_and_all_can_be_read(browser, cluster, width, scheme):
    with opened(browser, cluster.http_address("node1"), width, scheme) as page:
        page.route("**/doctor", lambda route: route.fulfill(json=FINDINGS))
        is_well(page)
        expect(page.locator("#findings")).to_contain_text("Warning")
        with cluster.client() as client:
            client.set("wide", "x" * 1000)
        page.get_by_role("textbox", name="Key").fill("wide")
        page.keyboard.press("Enter")
        expect(page.locator("#value")).to_have_text("x" * 1000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.evaluate(
            """() => [...document.querySelectorAll("#ring text")].filter((text) => {
                const inner = text.getBoundingClientRect();
                const outer = document.getElementById("ring").getBoundingClientRect();
                return inner.left < outer.left || inner.right > outer.right
                    || inner.top < outer.top || inner.bottom > outer.bottom || inner.height < 8;
            }).map((text) => text.textContent)"""
        )
        assert outside == []
        contrasts = page.evaluate((HERE / "contrast.js").read_text())
        assert {text: ratio for text, ratio in contrasts.items() if ratio < CONTRAST_MIN} == {}
        assert len(contrasts) > 40
        is_dark = scheme == "dark"
        assert (
            page.evaluate("luminance(getComputedStyle(document.body).backgroundColor)") < 0.2
        ) == is_dark


def test_it_is_used_by_keyboard(browser, cluster):
    with opened(browser, cluster.http_address("node2")) as page:
        is_well(page)
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the slaves")
        assert page.locator(":focus").bounding_box()["x"] >= 0  # it is seen once it is there
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
        shown = page.locator("#at").text_content()
        page.wait_for_timeout(2500)  # two looks
        assert page.locator("#at").text_content() == shown
        page.keyboard.press("Enter")
        expect(page.locator("#at")).not_to_have_text(shown)
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "name":
                break
        page.keyboard.type("{unicorn}ä %&+")
        page.keyboard.press("Enter")
        status = cluster.status()
        with cluster.connection("node1") as slave:
            slot = slave.execute_command("CLUSTER KEYSLOT", "unicorn")
        row = next(p for p in status["partitions"] if p["slots"][0] <= slot <= p["slots"][1])
        found = page.locator("#found")
        expect(found).to_contain_text(f"Slot {slot}, partition {row['id']} ")
        expect(found).to_contain_text(f"leader {row['leader']}")
        expect(found).to_contain_text("No value is shown: there is no such key.")
        page.wait_for_timeout(1500)  # a look later the keyboard is where it was
        assert page.evaluate("document.activeElement.id") == "name"


def test_a_value_is_shown_as_text_whatever_it_is(browser, cluster):
    evil = b"<img src=x onerror=window.evil=1>\x00\xff\n" + "\u202eä".encode()
    with opened(browser, cluster.http_address("node3")) as page, cluster.client() as client:
        is_well(page)
        value, found = page.locator("#value[role=group]"), page.locator("#found[role=status]")
        client.set("tale", evil + b"x" * 3000, ex=5000)
        client.set("short", "once")
        client.hset("hash", "f", "v")
        page.get_by_role("textbox", name="Key").fill("tale")
        page.get_by_role("button", name="Look up").click()
        expect(value).to_contain_text(r"<img src=x onerror=window.evil=1>\x00\xff\n\u202eäxxx")
        size = f"{len(evil) + 3000:,}"
        expect(found).to_contain_text(
            f"It holds a string of {size} bytes that expires in 83\xa0min."
        )
        expect(found).to_contain_text("Its first 1,024 bytes:")
        assert page.evaluate("window.evil") is None
        for key, said in (
            ("short", "It holds a string of 4 bytes without an end."),
            ("hash", "It holds a hash without an end. No value is shown: only strings are shown."),
        ):
            page.get_by_role("textbox", name="Key").fill(key)
            page.keyboard.press("Enter")
            expect(found).to_contain_text(said)
            assert (value.text_content() == "once") == value.is_visible() == (key == "short")


# -- who one is ------------------------------------------------------------------------------------


def test_who_does_not_log_in_sees_nothing(browser, cluster):
    """A browser that shows windows asks for the name and the password here."""
    at = f"http://{cluster.http_address('node4')}/"
    context = browser.new_context()
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        context.new_page().goto(at)
    context.close()
    context = browser.new_context(http_credentials={"username": "", "password": "wrong"})
    page = context.new_page()
    assert page.goto(at).status == 401
    assert page.locator("body").inner_text().strip() == "log in as a user of the cluster"
    context.close()


def test_a_page_whose_user_is_changed_says_so_and_asks_no_more(browser, cluster):
    """Else each look would be a failed login, and the browser would ask for the password each
    second."""
    at = cluster.http_address("node2")
    with cluster.connection("node2") as admin:
        admin.execute_command("ACL SETUSER eye on >x ~mine:* +@all")
        cluster.wait_until(lambda: "eye" in str(admin.execute_command("ACL USERS")), "it is there")
        context = browser.new_context(http_credentials={"username": "eye", "password": "x"})
        page = context.new_page()
        page.goto(f"http://{at}/")
        is_well(page)
        expect(page.locator("#user")).to_have_text(", for the user eye")
        page.get_by_role("textbox", name="Key").fill("other")
        page.keyboard.press("Enter")
        expect(page.locator("#found")).to_contain_text("eye: this user has no permissions")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for rules, said in (
            (
                "-distrodb",
                "no permissions to run the 'distrodb' command (it takes +distrodb|status)",
            ),
            ("+@all resetpass", "log in as a user of the cluster"),
        ):
            admin.execute_command(f"ACL SETUSER eye {rules}")
            state(page).to_contain_text(said, timeout=WAIT_MS)
            asked.clear()
            page.wait_for_timeout(1500)  # longer than between two looks
            assert asked == []
            admin.execute_command("ACL SETUSER eye reset on >x ~mine:* +@all")
            page.get_by_role("button", name="Try again").click()
            is_well(page)
        context.close()
        admin.execute_command("ACL DELUSER eye")


# -- what DOCTOR says ------------------------------------------------------------------------------

FINDINGS = [
    dict(zip(("severity", "about", "seen", "do"), texts, strict=True))
    for texts in (
        ("error", "partitions 0, 4", "They have no leader.", "Start node2."),
        ("warning", "node1's disk", "<b>11 %</b> is left.", "Make room."),
        ("note", "versions", "node2 runs 0.4.9.", ""),
    )
]


def test_what_is_wrong_is_told_at_the_top_worst_first_and_by_words(browser, cluster):
    told: list[dict[str, str]] = []
    with opened(browser, cluster.http_address("node1")) as page:
        page.route("**/doctor", lambda route: route.fulfill(json=told))
        section = page.get_by_role("region", name="What is wrong, and what to do")
        expect(section.get_by_role("listitem")).to_have_text(
            ["✓Nothing is wrong that this slave sees."]
        )
        told[:] = FINDINGS
        items = section.get_by_role("listitem")
        expect(items).to_have_text(
            [
                "✕Error, partitions 0, 4: They have no leader. Start node2.",
                "!Warning, node1's disk: <b>11 %</b> is left. Make room.",
                "·Note, versions: node2 runs 0.4.9.",
            ]
        )
        assert (
            section.bounding_box()["y"]
            < page.get_by_role("region", name="Ring").bounding_box()["y"]
        )
        # One that stays is the same element, so that a screen reader reads out only what is new.
        assert page.locator("#findings").get_attribute("aria-live") == "polite"
        page.evaluate("document.querySelectorAll('#findings li')[1].isOld = true")
        told[:] = [FINDINGS[1], {**FINDINGS[0], "severity": "warning", "about": "node9"}]
        expect(items).to_contain_text(["node1's disk", "node9"])
        assert page.evaluate("document.querySelector('#findings li').isOld")


def test_who_may_not_ask_doctor_sees_the_rest(browser, cluster):
    context = browser.new_context(http_credentials=ADMIN)
    page = context.new_page()
    asked: list[str] = []
    page.route("**/doctor", lambda route: (asked.append("x"), route.fulfill(status=403)))
    page.goto(f"http://{cluster.http_address('node1')}/")
    is_well(page)
    page.wait_for_timeout(1500)
    assert asked == ["x"]
    expect(page.locator("#doctor")).to_be_hidden()
    context.close()


def test_a_screen_reader_is_told_what_the_picture_says(browser, cluster):
    with opened(browser, cluster.http_address("node1")) as page:
        is_well(page)
        picture = page.get_by_role("img", name="Ring")
        name = picture.evaluate(
            "svg => svg.getAttribute('aria-labelledby').split(' ')"
            ".map(id => document.getElementById(id).textContent).join(' ')"
        )
        assert "5 slaves in ring order: node1 (up) owns 2 partitions; node2 (up)" in name
        for table, heads in (("slaves", 9), ("partitions", 5)):
            body = page.locator(f"#{table}")
            assert body.locator("th[scope=row]").count() == body.locator("tr").count() > 0
            assert page.locator(f"table:has(#{table}) thead th[scope=col]").count() == heads
        assert page.locator("main section").evaluate_all(
            "all => all.every(e => document.getElementById(e.getAttribute('aria-labelledby')))"
        )
        headings = page.locator("h1, h2, h3").evaluate_all("all => all.map(each => each.tagName)")
        assert headings[0] == "H1" and headings.count("H1") == 1


def test_colour_is_not_needed(browser, cluster):
    """Windows' high contrast takes all colours away; a person may see none."""
    with opened(browser, cluster.http_address("node1"), forced_colors="active") as page:
        is_well(page)
        for each in page.locator("#slaves tr").all():
            assert each.locator("td").first.text_content() == "●\xa0up"
        led = page.locator("#ring rect.part.led").first.evaluate("r => getComputedStyle(r).fill")
        assert led != "none"


# -- what a real cluster does not come to here: told by made-up answers ---------------------------


def made_up(slaves: int, partitions: int, **changed: Any) -> dict[str, Any]:
    names = [f"node{n}" for n in range(1, slaves + 1)]
    row = {
        "status": "up", "client": "h:1", "peer": "h:2", "gateway": None, "http": None,
        "incarnation": "1", "slow_disk": False, "sync_ms": 1, "commands_per_s": 1500,
        "write_us": 4096, "read_us": 512,
    }  # fmt: skip
    parts = [
        {
            "id": n,
            "slots": [n * 16384 // partitions, (n + 1) * 16384 // partitions - 1],
            "owner": names[n % slaves],
            "group": [names[(n + by) % slaves] for by in (-1, 0, 1)],
            "leader": names[n % slaves],
            "term": 1,
            "members": [f"{names[(n + by) % slaves]}/1" for by in (-1, 0, 1)],
        }
        for n in range(partitions)
    ]
    nothing = {"is_done": True, "moving": [], "waiting": [], "stuck": [], "is_map_moving": False}
    return {
        "asked": {"node": "node1", "incarnation": "1", "waits_to_join": False, "not_yet_in": []},
        "epoch": 5, "ring": names, "map_group": names[:5], "controller": "node1", "replicas": 3,
        "healing": nothing, "moves": [], "nodes": {name: dict(row) for name in names},
        "partitions": parts, **changed,
    }  # fmt: skip


@pytest.fixture
def shown(browser, cluster) -> Iterator[Callable[..., Page]]:
    """A page that is told this; closed, and free of errors, in the end."""
    contexts = []

    def show(status: dict[str, Any], width: int = 1440) -> Page:
        context = opened(browser, cluster.http_address("node1"), width)
        page = context.__enter__()
        contexts.append(context)
        page.route("**/cluster", lambda route: route.fulfill(body=json.dumps(status)))
        page.reload()
        return page

    yield show
    for context in contexts:
        context.__exit__(None, None, None)


def test_copies_on_their_way_are_arrows_with_their_progress(shown):
    status = made_up(5, 10)
    status["moves"] = [
        {"group": 1, "from": ["node3"], "to": ["node4"], "done": 250_000, "total": 1_000_000},
        {"group": 6, "from": [], "to": ["node4"], "done": 0, "total": 0},
    ]
    status["healing"] |= {"is_done": False, "moving": [1, 6], "waiting": [7]}
    page = shown(status)
    state(page).to_contain_text("The ring heals: 3 partitions on the way")
    moves = page.locator("#moves li")
    expect(moves.first).to_contain_text("partition 1 gets a copy at node4; leaves node3 (25 %")
    assert moves.first.get_by_role("progressbar").evaluate("bar => bar.value") == 0.25
    assert page.locator("#ring path.move").count() == 1  # one way, both from node2
    expect(page.locator("#ring text.how-far")).to_have_text("1, 6: 25 %")


def test_a_partition_without_a_leader_or_led_elsewhere_is_told_by_words_too(shown):
    status = made_up(3, 6)
    status["partitions"][4]["leader"] = None
    status["partitions"][5]["leader"] = "node1"
    page = shown(status)
    state(page).to_contain_text("1 of 6 partitions has no leader.")
    rows = page.locator("#partitions tr")
    expect(rows.nth(4)).to_contain_text("✕ nobody")
    expect(rows.nth(5)).to_contain_text("▲ node1")
    assert page.locator("#ring rect.part.none").count() == 1
    assert page.locator("#ring rect.part.away").count() == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_a_majority_that_is_lost_is_told_by_words(shown, width):
    status = made_up(3, 6)
    status["nodes"]["node2"]["status"] = "down"
    status["nodes"]["node3"]["status"] = "suspect"
    for row in status["partitions"]:
        row["leader"] = None
    status["healing"] |= {"is_done": False, "stuck": [0, 1, 2, 3, 4, 5]}
    page = shown(status, width)
    state(page).to_contain_text("6 of 6 partitions have no leader.")
    state(page).to_contain_text("node2 is down. node1 does not hear node3.")
    state(page).to_contain_text("6 partitions cannot move: a majority of their slaves is down.")
    assert page.locator("#ring rect.part.none").count() == 6
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_many_slaves_and_partitions_fit_too(shown, width):
    page = shown(made_up(24, 1024), width)
    state(page).to_contain_text("24 slaves, 1024 partitions")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#ring circle.card").count() == 24
    assert page.locator("#partitions tr").count() == 64
    page.get_by_role("button", name="Show 960 more").click()
    expect(page.locator("#partitions tr")).to_have_count(1024)


def test_what_slaves_call_themselves_is_text(shown):
    evil = "<img src=x onerror=window.evil=1>"
    status = made_up(3, 3)
    status["nodes"]["node2"]["client"] = evil
    status["nodes"]["node2"]["http"] = "javascript:window.evil=1//"
    status["nodes"]["node3"]["http"] = "http://h:1/<script>"
    status["partitions"][1]["owner"] = evil
    page = shown(status)
    expect(page.locator("#slaves")).to_contain_text(evil)
    expect(page.locator("#partitions")).to_contain_text(evil)
    assert page.locator("#slaves a").count() == 0
    assert page.evaluate("window.evil") is None


def test_no_script_runs_that_is_not_the_page_s_own(browser, cluster):
    context = browser.new_context(http_credentials=ADMIN)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"http://{cluster.http_address('node1')}/")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.evil = 1";
            document.body.append(script);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.evil") is None
    assert any("Content Security Policy" in text for text in refused)
    context.close()


# -- a cluster's life, from its page ---------------------------------------------------------------


@pytest.mark.soak
def test_a_slave_joins_a_majority_is_lost_and_comes_back(browser):
    with LocalCluster(nodes=3, partitions=6, raft_dead_after_s=1.0) as cluster:
        cluster.wait_healed()
        with cluster.client() as client:
            for number in range(3000):
                client.set(f"key{number}", "x" * 1000)
        with opened(browser, cluster.http_address("node1")) as page:
            state(page).to_contain_text("All is well: 3 slaves, 6 partitions", timeout=WAIT_MS)
            events = page.locator("#events")
            joiner = cluster.add()
            expect(events).to_contain_text(f"{joiner} has joined the cluster", timeout=WAIT_MS)
            expect(events).to_contain_text(f"the ring is node1 node2 node3 {joiner}")
            state(page).to_contain_text("All is well: 4 slaves", timeout=WAIT_MS)
            assert cards(page)[-1] == f"● {joiner}"
            expect(page.locator("#partitions")).to_contain_text(joiner)
            with opened(browser, cluster.http_address(joiner)) as its_own:
                state(its_own).to_contain_text("All is well: 4 slaves", timeout=WAIT_MS)
            # Two of four at once: of the groups that lose a majority nobody leads any more.
            for node in ("node2", "node3"):
                cluster.kill(node)
            state(page).to_contain_text("have no leader", timeout=WAIT_MS)
            expect(page.locator("#partitions td[data-kind=bad]").first).to_have_text("✕ nobody")
            expect(events).to_contain_text("nobody leads partition", timeout=WAIT_MS)
            expect(page.locator("#own")).to_contain_text("Not ready: ")
            expect(page.locator("#findings li").first).to_contain_text("Error, partition")
            page.get_by_role("textbox", name="Key").fill(_lost_key(cluster))
            page.keyboard.press("Enter")
            found = page.locator("#found")
            expect(found).to_contain_text("No value is shown: no answer in 3", timeout=WAIT_MS)
            expect(found).to_contain_text("leader nobody")
            for node in ("node2", "node3"):
                cluster.revive(node)
            state(page).to_contain_text("All is well: 4 slaves", timeout=WAIT_MS)
            expect(events).to_contain_text("node2 is up")
            page.keyboard.press("Enter")
            expect(page.locator("#found")).to_contain_text("It holds a string of 1,000 bytes")


def _lost_key(cluster: LocalCluster) -> str:
    """One that is there, of a partition that nobody leads."""
    lost = {
        slot
        for row in cluster.status("node1")["partitions"]
        if row["leader"] is None
        for slot in range(row["slots"][0], row["slots"][1] + 1)
    }
    return next(f"key{n}" for n in range(3000) if slot_of(f"key{n}".encode()) in lost)


@pytest.mark.soak
def test_by_tls_the_page_and_the_links_to_others_are_https(browser, tmp_path):
    with with_certificates(tmp_path) as cluster:
        cluster.wait_healed()
        login = {"username": "default", "password": TLS_PASSWORD}
        context = browser.new_context(http_credentials=login, ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"{cluster.http_url('node1')}/")
        state(page).to_contain_text("All is well: 3 slaves", timeout=WAIT_MS)
        link = page.get_by_role("link", name="node2")
        assert link.get_attribute("href") == f"{cluster.http_url('node2')}/"
        link.click()
        state(page).to_contain_text("All is well: 3 slaves", timeout=WAIT_MS)
        expect(page.locator("#node")).to_have_text("node2")
        context.close()
