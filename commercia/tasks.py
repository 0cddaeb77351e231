"""The Celery tasks. Each is one call of the domain, and may run late, twice, or concurrently."""

from celery import shared_task
from django.utils import timezone

from domain.base import outbox
from domain.jobs import clocks
from domain.jobs.handlers import HANDLERS


@shared_task
def relay() -> int:
    """Delivers due outbox messages, within the time limit of a task. The next task continues."""
    return outbox.relay(handlers=HANDLERS, clock=timezone.now, limit=200)


@shared_task
def run_clock(name: str) -> int:
    """Runs one of `domain.jobs.clocks.CLOCKS`."""
    return clocks.run(name=name, now=timezone.now())
