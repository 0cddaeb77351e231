"""Background jobs without a broker: in a thread of the web process, or in a process of its own by this command."""

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
    """Runs the jobs that are due and the scheduled jobs until `stop` is called. Failures are logged and retried."""

    # Seconds between checks for messages of other processes.
    PAUSE = 1.0

    def __init__(self) -> None:
        super().__init__(name="worker", daemon=True)
        self._stopped = False
        self._due = dict.fromkeys(clocks.CLOCKS, timezone.now())

    def stop(self) -> None:
        self._stopped = True
        outbox.new_messages.set()

    def run(self) -> None:
        while not self._stopped:
            outbox.new_messages.clear()
            close_old_connections()
            try:
                self.work()
            except Exception:
                logger.exception("The worker failed and continues.")
            finally:
                close_old_connections()
            outbox.new_messages.wait(self.PAUSE)
        connections.close_all()

    def work(self) -> None:
        """Runs everything that is due now."""
        for name, clock in clocks.CLOCKS.items():
            now = timezone.now()
            if self._due[name] <= now:
                self._due[name] = now + clock.every
                clocks.run(name=name, now=now)
        outbox.relay(handlers=HANDLERS, clock=timezone.now)


class Command(BaseCommand):
    help = "Sends mails and runs scheduled jobs without a broker. Several workers may run. Stop one with Ctrl-C."

    def handle(self, **options: Any) -> None:
        worker = Worker()

        def stop(*_: object) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write("The worker is running. Stop it with Ctrl-C.")
        worker.run()
