"""gunicorn's threads, of which few work at once: docs/adr/0027.

Threads of one interpreter take turns. Where many have something to do, most of what they gain they lose by taking
turns; where some wait, as for a gateway, many are needed. So a few have places to work at. Whoever waits for somebody
outside gives its place to another, and whoever needs long loses it.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock, Thread, local
from typing import Any, NamedTuple

from gunicorn.workers.gthread import ThreadWorker

from domain.base import outside

WORKING = 2
# Who has worked at one thing for so many seconds goes on without a place.
PATIENCE = 0.05


class _Job(NamedTuple):
    future: Future[Any]
    do: Callable[[], Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.do())
        except BaseException as error:
            self.future.set_exception(error)


class _Hand:
    """A thread. It waits for its turn, which is to have a place."""

    def __init__(self) -> None:
        self.has_place, self.began = True, math.inf
        self.turn = Lock()
        self.turn.acquire()


class Threads(Executor):
    """At most `most` threads, of which `working` work at once. What is submitted first is begun first."""

    def __init__(self, most: int, *, working: int = WORKING) -> None:
        self._most, self._free = most, min(working, most)  # Of places, those that nobody has.
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = Lock()
        self._hands: list[_Hand] = []
        self._resting: list[_Hand] = []
        self._returning: deque[_Hand] = deque()
        self._here = local()
        Thread(target=self._watch, name="watch", daemon=True).start()

    def submit(self, do: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        job = _Job(Future(), lambda: do(*given, **named))
        self._jobs.put(job)
        with self._lock:
            if self._free:
                self._free -= 1
                self._give_place()
        return job.future

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Has another thread work at this one's place; waits for a place in the end."""
        hand: _Hand | None = getattr(self._here, "hand", None)
        if hand is None or not hand.has_place:
            yield
            return
        hand.began = math.inf
        with self._lock:
            self._leave(hand)
        try:
            yield
        finally:
            self._return(hand)
            hand.began = time.monotonic()

    def _return(self, hand: _Hand) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                hand.has_place = True
                return
            self._returning.append(hand)
        self._jobs.put(None)  # Should all others wait for something to do.
        hand.turn.acquire()

    def _work(self, hand: _Hand) -> None:
        self._here.hand = hand
        while True:
            if job := self._jobs.get():
                hand.began = time.monotonic()
                job.run()
                hand.began = math.inf
            with self._lock:
                if hand.has_place:
                    if not self._returning:
                        continue
                    self._leave(hand)
                elif self._free and self._jobs.qsize():
                    self._free -= 1
                    hand.has_place = True
                    continue
                self._resting.append(hand)
            hand.turn.acquire()

    def _leave(self, hand: _Hand) -> None:
        if hand.has_place:
            hand.has_place = False
            self._give_place()

    def _give_place(self) -> None:
        """To whoever comes back; else to whoever has none, or is new, if there is something to do."""
        if self._returning:
            hand = self._returning.popleft()
        elif not self._jobs.qsize():
            self._free += 1
            return
        elif self._resting:
            hand = self._resting.pop()
        elif len(self._hands) < self._most:
            self._hands.append(new := _Hand())
            Thread(target=self._work, args=[new], name=f"thread {len(self._hands)}", daemon=True).start()
            return
        else:
            self._free += 1
            return
        hand.has_place = True
        hand.turn.release()

    def _watch(self) -> None:
        while True:
            time.sleep(PATIENCE)
            late = time.monotonic() - PATIENCE
            with self._lock:
                for hand in self._hands:
                    if hand.began < late:
                        self._leave(hand)


class Worker(ThreadWorker):  # type: ignore[misc]
    def get_thread_pool(self) -> Threads:
        threads = Threads(self.cfg.threads)
        outside.server.aside = threads.aside
        return threads
