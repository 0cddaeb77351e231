"""What is owed, done without a broker: by the serving process itself, or by this command beside it."""

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections, connections
from django.utils import timezone

from domain.base import outbox
from domain.jobs import clocks
from domain.jobs.handlers import HANDLERS

logger = logging.getLogger(__name__)


class Worker(threading.Thread):
    """Delivers what is due and runs the clocks, until `stop` is called. A failure is logged, and tried again."""

    # Other processes write messages too: they are found so late at most.
    PAUSE = 1.0

    def __init__(self) -> None:
        super().__init__(name="worker", daemon=True)
        self._stopped = False
        self._due = dict.fromkeys(clocks.CLOCKS, timezone.now())

    def stop(self) -> None:
        self._stopped = True
        outbox.news.set()

    def run(self) -> None:
        while not self._stopped:
            outbox.news.clear()
            close_old_connections()
            try:
                self.work()
            except Exception:
                logger.exception("The worker failed, and goes on.")
            finally:
                close_old_connections()
            outbox.news.wait(self.PAUSE)
        connections.close_all()

    def work(self) -> None:
        """Whatever is due now."""
        for name, clock in clocks.CLOCKS.items():
            now = timezone.now()
            if self._due[name] <= now:
                self._due[name] = now + clock.every
                clocks.run(name=name, now=now)
        outbox.relay(handlers=HANDLERS, clock=timezone.now)


class Command(BaseCommand):
    help = "Sends mails and runs the clocks without a broker. Several may run; Ctrl-C stops it."

    def handle(self, **options: Any) -> None:
        worker = Worker()

        def stop(*_: object) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write("Working. Ctrl-C stops it.")
        worker.run()
