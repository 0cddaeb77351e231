"""What is over and of no use to anybody: sessions past their end, counters of attempts."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from domain import sessions, throttle


class Command(BaseCommand):
    help = "Deletes sessions and counters that are over. To be run once a day."

    def handle(self, **options: Any) -> None:
        now = timezone.now()
        ended, counted = sessions.prune(now=now), throttle.prune(now=now)
        self.stdout.write(f"Deleted {ended} sessions and {counted} counters of attempts.")
