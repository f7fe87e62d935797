"""What is counted adds up, and what is shown is what was counted."""

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from distrodb.bench import run
from distrodb.bench.arguments import add_to
from distrodb.bench.books import TEXTS_MAX, Books
from distrodb.bench.chart import bars, columns, short, time_label
from distrodb.bench.histogram import Histogram
from distrodb.bench.options import checked
from distrodb.bench.render import charts, described, distribution, step_of, summary
from tests.unit.test_bench_options import given_by


def books(**errors: int) -> Books:
    made = Books()
    for at in (0.25, 0.5, 0.75):
        made.count(0.001, sets=10, gets=0)
        made.count(0.020, sets=0, gets=5)
        made.sample(at)
    for text, times in errors.items():
        made.fail(text, times)
    made.asked = made.done + made.failed
    made.close_window(0.75)
    return made


def test_the_report_is_json_and_adds_up():
    made = books(CLUSTERDOWN=3, OOM=1)
    report = json.loads(json.dumps(made.report()))
    assert report["asked"] == report["done"] + report["failed"] + report["in_flight"] == 49
    assert sum(report["errors"].values()) == report["failed"] == 4
    kinds = report["latency_ms"]
    assert kinds["get"]["count"] + kinds["set"]["count"] == kinds["all"]["count"] == 45
    assert report["a_second"] == 60.0 and [row["a_second"] for row in report["samples"]] == [60] * 3
    assert kinds["get"]["p50"] >= 20 and kinds["set"]["p99.9"] < 1.01


def test_replies_after_the_end_count_but_not_for_the_rate():
    made = books()
    made.count(1.0, sets=55, gets=0)
    assert made.a_second == 60.0 and made.report()["done"] == 100


def test_so_many_texts_that_they_are_counted_together():
    made = Books()
    for number in range(2 * TEXTS_MAX):
        made.fail(f"ERR number {number}")
    assert made.failed == 2 * TEXTS_MAX and len(made.errors) == TEXTS_MAX + 1
    made.fail("")
    made.fail("x\r\ny" + "z" * 1000)
    assert made.failed == 2 * TEXTS_MAX + 2


def test_an_error_is_in_the_sample_of_its_time():
    made = Books()
    made.fail("ERR", 3)
    assert made.sample(1.0).errors == 3 and made.sample(2.0).errors == 0


def test_a_last_sample_too_short_is_none():
    made = books()
    made.last_sample(0.76, 0.1)
    assert len(made.samples) == 3
    made.last_sample(0.9, 0.1)
    assert len(made.samples) == 4 and made.shown() == made.samples[:3], "the load ended at 0.75"
    alone = Books()
    alone.last_sample(0.01, 0.1)
    assert len(alone.samples) == 1


def test_people_read_the_same():
    options = checked(given_by("--rate", "100", "-n", "50"))
    made = books(**{"OOM": 2})
    made.misses, made.redirected, made.in_flight, made.is_interrupted = 4, 1, 7, True
    text = "\n".join([described(options, "here"), *summary(made, options)])
    for words in (
        "here: 50 clients, pipeline 1, 50 % GET, 100000 keys, values of 64 bytes, 50 commands",
        "interrupted; so far:",
        "60 commands a second of 100 asked for; 45 done in 0.75 s",
        "p99.9",
        "2 errors:\n         2  OOM",
        "4 GETs found no such key",
        "1 redirections were followed",
        "7 were still under way",
    ):
        assert words in text, text


def test_nothing_done_is_shown_too():
    options = checked(given_by())
    assert summary(Books(), options)[0] == "0 commands a second; 0 done in 0.00 s"
    assert charts(Books(), 80, False) == []


def test_a_chart_has_its_size_and_its_highest():
    lines = columns([1.0, 2.0, 4.0, 0.0], 51, 4)
    assert len(lines) == 4 and "4 ┤" in lines[0] and " 0 ┤" in lines[-1]
    drawn = [line[11:].ljust(40) for line in lines]
    heights = [sum(line[10 * n] == "█" for line in drawn) for n in range(4)]
    assert heights == [1, 2, 4, 0]


@given(st.lists(st.floats(0, 1e9), max_size=300), st.integers(1, 120), st.integers(1, 12))
def test_a_chart_stays_within_its_width(values, width, height):
    for is_plain in (False, True):
        lines = columns(values, width, height, is_plain)
        assert all(len(line) <= max(width, 12) for line in lines)
        assert not is_plain or "".join(lines).isascii()


def test_charts_for_a_terminal_that_knows_ascii_only():
    made = books(OOM=1)
    made.count(2e-6, sets=1, gets=0)
    plain, full = ("\n".join(charts(made, 80, is_plain)) for is_plain in (True, False))
    assert (
        plain.isascii() and " us " in plain and " µs " in full and "errors, over time" not in full
    )


def test_a_share_that_is_not_nothing_is_seen():
    lines = bars([("a", 1.0), ("b", 1e6), ("c", 0.0)], 60)
    assert "▏ < 0.1 %" in lines[0] and lines[2] == "c"
    assert "".join(bars([("a", 1.0), ("b", 3.0)], 60, is_plain=True)).isascii()


@given(st.floats(1e-7, 80_000))
def test_steps_are_1_2_5(seconds):
    step = step_of(seconds)
    assert f"{step:.0e}"[0] in "125" and seconds <= step * (1 + 1e-6) and step < seconds * 2.6


@given(st.lists(st.floats(0, 3000), min_size=1, max_size=50))
def test_the_distribution_leaves_nobody_out(took):
    histogram = Histogram()
    for seconds in took:
        histogram.record(seconds)
    rows = distribution(histogram)
    assert sum(times for _, times in rows) == len(took) and len(rows) <= 14


def test_numbers_are_short():
    assert [short(n) for n in (0, 999, 1000, 12345, 1.05e6)] == ["0", "999", "1k", "12.3k", "1.05M"]
    assert [time_label(s) for s in (2e-6, 1e-3, 0.5, 2)] == ["2 µs", "1 ms", "500 ms", "2 s"]


def test_arguments_are_declared_without_an_import_of_ours():
    assert add_to.__module__ == "distrodb.bench.arguments"


class _Pipe(io.RawIOBase):
    """One that has room for what is small only, as a pipe's that nobody reads at the moment."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)[:4096]
        self.taken += part
        return len(part)


def test_a_report_reaches_a_pipe_whole_where_python_does_not_buffer(monkeypatch):
    made, pipe = books(), _Pipe()
    for number in range(1000):
        made.count(0.001, sets=1, gets=0)
        made.sample(1.0 + number)
    options = given_by("--json")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(pipe, "utf-8", write_through=True))
    run._show(made, checked(options), options, "a load")
    assert len(pipe.taken) > 65536 and len(json.loads(pipe.taken)["samples"]) == 1003
