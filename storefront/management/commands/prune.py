"""What is over and of no use to anybody: sessions past their end, counters of attempts, delivered messages."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from domain.jobs.clocks import CLOCKS


class Command(BaseCommand):
    help = "Deletes what is over, as the workers do once a day."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"Deleted {CLOCKS['prune'].run(timezone.now())} rows.")
