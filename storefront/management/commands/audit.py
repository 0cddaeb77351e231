from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from domain.payments import check_books


class Command(BaseCommand):
    help = "Checks that stock, orders, payments, refunds and discounts add up. Lists each row that does not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        text = "also compare the payments of the last DAYS days with the gateways"
        parser.add_argument("--gateway-days", type=int, default=0, metavar="DAYS", help=text)

    def handle(self, *, gateway_days: int, **options: Any) -> None:
        breaches = check_books.breaches()
        if gateway_days:
            breaches += check_books.gateway_breaches(since=timezone.now() - timedelta(days=gateway_days))
        for breach in breaches:
            self.stdout.write(f"{breach.rule}: {breach.row}: {breach.found}")
        if breaches:
            raise SystemExit(1)
        self.stdout.write("The books balance.")
