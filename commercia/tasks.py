"""What the workers run: each is one call of the domain, and may run late, twice, or at once on two hosts."""

from celery import shared_task
from django.utils import timezone

from domain.base import outbox
from domain.jobs import clocks
from domain.jobs.handlers import HANDLERS


@shared_task
def relay() -> int:
    """Delivers what is due in the outbox, for as long as one task may take; the next one goes on."""
    return outbox.relay(handlers=HANDLERS, clock=timezone.now, most=200)


@shared_task
def run_clock(name: str) -> int:
    """Runs one of `domain.jobs.clocks.CLOCKS`."""
    return clocks.run(name=name, now=timezone.now())
