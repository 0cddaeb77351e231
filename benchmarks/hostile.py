"""How long buyers wait beside somebody who sends hostile documents as fast as they are refused."""

import itertools
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from multiprocessing import Event, Process, Value
from statistics import quantiles

from benchmarks.hostile_documents import KINDS
from benchmarks.load import Plan, Step

BUYER = "203.0.114.7"
A_SECOND = 40  # requests of buyers


def waits(port: int, plan: Plan, step: Step, seconds: float) -> float:
    """The 95th percentile of what buyers wait, in milliseconds. Raises RuntimeError if one is refused."""
    connection, taken = HTTPConnection("127.0.0.1", port, timeout=60), []
    due = time.perf_counter()
    end = due + seconds
    while due < end:  # Each has its time, from which it waits, however long the one before had to.
        time.sleep(max(0, due - time.perf_counter()))
        body = step.body.replace("%{slug}", random.choice(plan.values["slug"]))  # noqa: S311
        status, answer = _sent(connection, body, BUYER)
        if status != 200 or b'"errors"' in answer:
            raise RuntimeError(f"A buyer was refused: {status} {answer[:600]!r}")
        taken.append((time.perf_counter() - due) * 1000)
        due += random.uniform(0.5, 1.5) / A_SECOND  # noqa: S311
    return quantiles(taken, n=20)[-1]


@contextmanager
def beside(port: int, *, addresses: int) -> Iterator[Value]:
    """One who sends each kind in turn, by so many addresses in turn; gives the number of documents sent so far."""
    over, sent = Event(), Value("q", 0)
    process = Process(target=_send, args=(port, addresses, over, sent), daemon=True)
    process.start()
    time.sleep(1)
    try:
        yield sent
        if not process.is_alive():
            raise RuntimeError("The hostile one gave up.")
    finally:
        over.set()
        process.join(30)


def _send(port: int, addresses: int, over: Event, sent: Value) -> None:
    os.nice(19)  # In life it has another machine than the shop.
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    bodies = [json.dumps({"query": f"{document} # @"}) for document in KINDS.values()]
    first = time.time_ns()
    for number, body in enumerate(itertools.cycle(bodies), first):
        if over.is_set():
            return
        another = body.replace("# @", f"# {number}")  # Each time another text, so that nothing is known of it.
        try:
            _sent(connection, another, f"203.0.115.{(number - first) % addresses + 1}")
        except (OSError, HTTPException):  # A body that is too long is not read to its end.
            connection.close()
        sent.value += 1


def _sent(connection: HTTPConnection, body: str, address: str) -> tuple[int, bytes]:
    connection.request("POST", "/graphql/", body, {"Content-Type": "application/json", "X-Forwarded-For": address})
    response = connection.getresponse()
    return response.status, response.read()
