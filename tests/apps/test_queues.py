"""Queues of jobs through a gateway, while a leader dies: each job is done once, as with Redis.

Each test sends a job a step and is never far ahead of the worker, so that the leader dies, and
comes back, while jobs are sent, taken, done and answered.  Set up by docs/applications.md.
"""

import contextlib
import importlib
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta

import pytest
from redis import Redis

from tests.apps.conftest import STEPS
from tests.apps.workers import Book, program, working
from tests.support.pages import ROOT

pytestmark = [pytest.mark.apps, pytest.mark.timeout(300)]
AHEAD = 4  # jobs sent before the first of them must be done
SQUARES = sum(number * number for number in range(STEPS))
ONCE = Counter({str(number): 1 for number in range(STEPS)})


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path / "book")


@pytest.fixture
def jobs(place, book, monkeypatch):
    """The modules of jobs, as the side that sends them has them: with this place's address."""
    Redis(place.host, place.port).flushall()
    monkeypatch.setenv("APPS_URL", place.url)
    monkeypatch.setenv("APPS_BOOK", str(book.path))
    for name in [name for name in sys.modules if name.startswith("tests.apps.jobs")]:
        del sys.modules[name]
    return lambda name: importlib.import_module(f"tests.apps.jobs.{name}")


def test_celery(place, book, jobs):
    from celery import chain, chord, group

    jobs = jobs("celery_jobs")
    words = [sys.executable, "-m", "celery", "-A", "tests.apps.jobs.celery_jobs", "worker"]
    with working([*words, "-c", "2", "--loglevel", "INFO"], place.url, book) as worker:
        results = []
        for number in place.steps():
            results.append(jobs.square.delay(number))
            book.wait_for(number - AHEAD, worker)
        assert sum(result.get(timeout=60) for result in results) == SQUARES
        assert book.lines() == ONCE
        squares = group(jobs.square.s(number) for number in range(5))
        assert squares().get(timeout=60) == [0, 1, 4, 9, 16]
        assert chord(squares)(jobs.total.s()).get(timeout=60) == 30
        assert chain(jobs.square.s(3), jobs.square.s())().get(timeout=60) == 81
        assert jobs.square.apply_async((2,), countdown=0.5).get(timeout=60) == 4
        assert jobs.second_time.delay().get(timeout=60) == "done"
        assert book.lines()["try"] == 2
        assert book.lines()["total"] == 1
        assert results[0].forget() is None and results[0].status == "PENDING"
        assert len(jobs.app.control.inspect(timeout=5).ping()) == 1
        jobs.square.apply_async((7,), countdown=600).revoke()
    jobs.app.close()


def test_rq(place, book, jobs, tmp_path):
    from rq import Retry
    from rq.registry import FinishedJobRegistry

    jobs = jobs("rq_jobs")
    queue = place.set_up("from rq import")["queue"]
    words = [program("rq"), "worker", "--url", place.url, "--with-scheduler", "work"]
    with working(words, place.url, book) as worker:
        sent = []
        for number in place.steps():
            sent.append(queue.enqueue(jobs.square, number))
            book.wait_for(number - AHEAD, worker)
        last = queue.enqueue(jobs.square, 100, depends_on=sent[-1])
        failing = queue.enqueue(jobs.fail_once, str(tmp_path / "tries"), retry=Retry(max=2))
        later = queue.enqueue_in(timedelta(seconds=1), jobs.square, 101)
        book.wait_for(STEPS + 4, worker)
        for job in [*sent, last, later]:
            assert job.latest_result(timeout=30).type.name == "SUCCESSFUL"
        assert sum(job.return_value() for job in sent) == SQUARES
        until(lambda: failing.get_status(refresh=True).value == "finished")
        assert book.lines() == ONCE + Counter({"100": 1, "101": 1, "try": 2})
        assert len(FinishedJobRegistry(queue=queue)) == STEPS + 3
        assert queue.count == 0


def until(holds):
    given_up = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < given_up
        time.sleep(0.05)


def test_dramatiq(place, book, jobs, tmp_path):
    jobs = jobs("dramatiq_jobs")
    words = [program("dramatiq"), "tests.apps.jobs.dramatiq_jobs", "-p", "1", "-t", "2"]
    with working(words, place.url, book) as worker:
        sent = []
        for number in place.steps():
            sent.append(jobs.square.send(number))
            book.wait_for(number - AHEAD, worker)
        results = [message.get_result(block=True, timeout=60_000) for message in sent]
        assert sum(results) == SQUARES
        late = jobs.square.send_with_options(args=(100,), delay=500)
        assert late.get_result(block=True, timeout=60_000) == 10_000
        jobs.fail_once.send(str(tmp_path / "tries"))
        book.wait_for(STEPS + 3, worker)
        assert book.lines() == ONCE + Counter({"100": 1, "try": 2})
        jobs.broker.join("default", timeout=60_000)


def test_huey(place, book, jobs, tmp_path):
    jobs = jobs("huey_jobs")
    words = [program("huey_consumer"), "tests.apps.jobs.huey_jobs.huey", "-w", "2"]
    with working(words, place.url, book) as worker:
        sent = []
        for number in place.steps():
            sent.append(jobs.square(number))
            book.wait_for(number - AHEAD, worker)
        assert sum(result.get(blocking=True, timeout=60) for result in sent) == SQUARES
        late = jobs.square.schedule((100,), delay=1)
        assert late.get(blocking=True, timeout=60) == 10_000
        failing = jobs.fail_once(str(tmp_path / "tries"))
        book.wait_for(STEPS + 3, worker)
        assert failing.get(blocking=True, timeout=60) == "done"
        assert book.lines() == ONCE + Counter({"100": 1, "try": 2})
        assert jobs.huey.pending_count() == jobs.huey.scheduled_count() == 0
        with jobs.huey.lock_task("a lock"):
            assert jobs.huey.is_locked("a lock")
        assert not jobs.huey.is_locked("a lock")


@pytest.mark.parametrize("kind", ["list", "stream"])
def test_taskiq(place, book, jobs, kind):
    import asyncio

    jobs = jobs("taskiq_jobs")
    broker, task = {
        "list": (jobs.broker, jobs.square),
        "stream": (jobs.stream_broker, jobs.square_of_stream),
    }[kind]
    name = {"list": "broker", "stream": "stream_broker"}[kind]
    words = [program("taskiq"), "worker", f"tests.apps.jobs.taskiq_jobs:{name}", "-w", "1"]

    async def send():
        await broker.startup()
        sent = []
        for number in place.steps():
            sent.append(await task.kiq(number))
            await asyncio.to_thread(book.wait_for, number - AHEAD, worker)
        results = [await one.wait_result(timeout=60) for one in sent]
        assert sum(result.return_value for result in results) == SQUARES
        await broker.shutdown()

    with working(words, place.url, book) as worker:
        asyncio.run(send())
        assert book.lines() == ONCE


@contextlib.contextmanager
def sending(words):
    """The side that sends, where it is a process of its own: give it a line, and it answers one."""
    sender = subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def send(word):
        print(word, file=sender.stdin, flush=True)
        return sender.stdout.readline().strip()

    try:
        yield send
    finally:
        sender.kill()
        sender.communicate()


def test_arq(place, book, own_python):
    python = own_python("arq")
    words = [python, "-m", "tests.apps.jobs.arq_jobs", place.url, str(book.path)]
    with sending([*words, "send"]) as send, working([*words, "work"], place.url, book) as worker:
        for number in place.steps():
            assert send(number) == f"job{number}"
            book.wait_for(number - AHEAD, worker)
        book.wait_for(STEPS, worker)
        assert send("results") == str(SQUARES)
        assert send("fail") == "done"
        assert book.lines() == ONCE + Counter({"try": 2})


def test_prefect_redis(place, book, own_python):
    """Messages by a stream, beside locks, leases, results, a queue and an order of events."""
    Redis(place.host, place.port).flushall()
    python = own_python("prefect-redis")
    words = [python, "-m", "tests.apps.jobs.prefect_jobs", place.url, str(book.path)]
    with sending([*words, "send"]) as send, working([*words, "work"], place.url, book) as worker:
        for number in place.steps():
            assert send(number) == "ok"
            book.wait_for(number - AHEAD, worker)
        assert send("fail") == "ok"  # comes again after five seconds, since nobody acknowledges it
        book.wait_for(STEPS + 2, worker)
        assert book.lines() == ONCE + Counter({"fail": 2})
        client = Redis(place.host, place.port, decode_responses=True)
        until(lambda: client.xpending("numbers", "numbers")["pending"] == 0)
        until(lambda: client.xlen("numbers") == 1)  # those before the last one are trimmed


RUNS: list[str] = []


def scheduled(name: str) -> None:
    RUNS.append(name)


def test_apscheduler(place):
    """Its jobs survive the scheduler: each is run once, by the one that finds it due."""

    def scheduler():
        made = place.set_up("from apscheduler")["scheduler"]
        made.start()
        return made

    RUNS.clear()
    running = scheduler()
    for number in place.steps():
        running.add_job(scheduled, "date", args=[f"{number}"], id=f"job{number}")
        until(lambda due=number - AHEAD: len(RUNS) >= due)
    running.add_job(scheduled, "interval", seconds=600, args=["often"], id="often")
    until(lambda: len(RUNS) >= STEPS)
    running.shutdown()
    running = scheduler()
    assert [job.id for job in running.get_jobs()] == ["often"]
    running.remove_all_jobs()
    assert running.get_jobs() == []
    running.shutdown()
    assert Counter(RUNS) == ONCE
