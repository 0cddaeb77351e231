"""Deletes expired sessions, expired attempt counters, delivered messages and old logs."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from domain.jobs.clocks import CLOCKS


class Command(BaseCommand):
    help = "Deletes expired data, as the workers do once a day."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"Deleted {CLOCKS['prune'].run(timezone.now())} rows.")
