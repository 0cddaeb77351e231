"""Periodic jobs ("clocks"), run by the in-process worker, by Celery's beat, or by `manage.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from domain.accounts import sessions, throttle
from domain.base import outbox, webhooks
from domain.catalog import images
from domain.importing import imports
from domain.payments import payments, refunds
from domain.sales import cart, orders
from storefront.models import ClockRun


@dataclass(frozen=True, slots=True)
class Clock:
    """A job to run at each interval. `run` may be called late, twice or concurrently. It returns how many rows it
    handled."""

    every: timedelta
    run: Callable[[datetime], int]


def _expire_orders(now: datetime) -> int:
    return orders.expire_unpaid(placed_before=now - timedelta(hours=settings.UNPAID_ORDER_HOURS), now=now)


def _abandon_carts(now: datetime) -> int:
    return cart.abandon(untouched_since=now - timedelta(days=settings.ABANDONED_CART_DAYS), now=now)


def _prune(now: datetime) -> int:
    return sum(module.prune(now=now) for module in (sessions, throttle, outbox, webhooks, imports, payments))


def _reconcile(now: datetime) -> int:
    return payments.reconcile(now=now) + refunds.reconcile(now=now)


def _prune_images(now: datetime) -> int:
    return images.prune(now=now)


CLOCKS = {
    "reconcile": Clock(timedelta(minutes=1), _reconcile),
    "expire_orders": Clock(timedelta(minutes=5), _expire_orders),
    "abandon_carts": Clock(timedelta(hours=1), _abandon_carts),
    "prune_images": Clock(timedelta(hours=1), _prune_images),
    "prune": Clock(timedelta(days=1), _prune),
}


def run(*, name: str, now: datetime) -> int:
    """Runs one of CLOCKS and records the result in ClockRun, for monitoring. Raises the job's errors."""
    try:
        number = CLOCKS[name].run(now)
    except Exception as error:
        noted = {"failed_at": now, "error": f"{type(error).__name__}: {error}"[:2000]}
        ClockRun.objects.update_or_create(clock=name, defaults=noted)
        raise
    ClockRun.objects.update_or_create(clock=name, defaults={"succeeded_at": now})
    return number
