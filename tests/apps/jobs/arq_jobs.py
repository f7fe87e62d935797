"""Arq, which wants an older redis-py than distrodb's tests: `arq_jobs.py URL BOOK work|send`.

`send` reads a number from each line that comes in, and answers with a line: the job's id or, for
the word "results", the sum of all results.
"""

import asyncio
import sys

from arq import create_pool, run_worker

from tests.apps.page import set_up

URL, PATH, KIND = sys.argv[1:]
WorkerSettings = set_up("from arq.connections", URL)["WorkerSettings"]


async def square(context, number: int) -> int:
    with open(PATH, "ab", buffering=0) as book:
        book.write(f"{number}\n".encode())
    return number * number


async def fail_once(context) -> str:
    with open(PATH, "ab", buffering=0) as book:
        book.write(b"try\n")
    if context["job_try"] == 1:
        from arq import Retry

        raise Retry(defer=1)
    return "done"


WorkerSettings.functions = [square, fail_once]  # of a class above it arq sees nothing


async def send() -> None:
    pool = await create_pool(WorkerSettings.redis_settings)
    jobs = []
    for line in sys.stdin:
        match line.strip():
            case "fail":
                job = await pool.enqueue_job("fail_once")
                print(await job.result(timeout=60, poll_delay=0.05), flush=True)
            case "results":
                print(sum([await job.result(timeout=60) for job in jobs]), flush=True)
            case number:
                jobs.append(await pool.enqueue_job("square", int(number), _job_id=f"job{number}"))
                assert not await pool.enqueue_job("square", int(number), _job_id=f"job{number}")
                print(jobs[-1].job_id, flush=True)


if KIND == "work":
    run_worker(WorkerSettings)
else:
    asyncio.run(send())
