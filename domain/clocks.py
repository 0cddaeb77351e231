"""What is to be done again and again, whoever runs it: a worker in this process, Celery's beat, or `manage.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from domain import cart, images, imports, orders, outbox, payments, refunds, sessions, throttle, webhooks
from storefront.models import ClockRun


@dataclass(frozen=True, slots=True)
class Clock:
    """`run` may be called late, twice, or by two at once; it says how many rows it was about."""

    every: timedelta
    run: Callable[[datetime], int]


def _expire_orders(now: datetime) -> int:
    return orders.expire_unpaid(placed_before=now - timedelta(hours=settings.UNPAID_ORDER_HOURS), now=now)


def _abandon_carts(now: datetime) -> int:
    return cart.abandon(untouched_since=now - timedelta(days=settings.ABANDONED_CART_DAYS), now=now)


def _prune(now: datetime) -> int:
    return sum(room.prune(now=now) for room in (sessions, throttle, outbox, webhooks, imports, payments))


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


def run(name: str, now: datetime) -> int:
    """Runs one of CLOCKS and notes how that went, for whoever watches. Raises what it raises."""
    try:
        number = CLOCKS[name].run(now)
    except Exception as error:
        noted = {"failed_at": now, "error": f"{type(error).__name__}: {error}"[:2000]}
        ClockRun.objects.update_or_create(clock=name, defaults=noted)
        raise
    ClockRun.objects.update_or_create(clock=name, defaults={"succeeded_at": now})
    return number
