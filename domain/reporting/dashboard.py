"""The figures of the admin's front page: sales, and what needs attention. Each takes one or two SQL statements."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from domain.base.money import ZERO, ExactAmount, quantize
from domain.catalog import stock
from storefront.models import (
    ClockRun,
    GatewayEvent,
    Order,
    OrderEvent,
    OrderEventKind,
    OrderState,
    OutboxMessage,
    Payment,
    PaymentState,
    Refund,
    Stock,
)

_SOLD = [OrderState.PAID, OrderState.SHIPPED, OrderState.DELIVERED]
# Gateways answer in seconds, and pending requests are retried every few minutes. After an hour, staff should look.
_ANSWERED_WITHIN = timedelta(hours=1)
_EVENTS_OF = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Day:
    """A day's number of paid `orders`, by the day they were placed, and the money taken for them less refunds, in the
    shop's currency."""

    date: date
    orders: int
    revenue: Decimal


def sales(*, days: int, now: datetime) -> list[Day]:
    """The last `days` days including today, oldest first. Pending refunds count as refunded."""
    today = timezone.localdate(now)
    dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
    since = timezone.make_aware(datetime.combine(dates[0], time.min))
    placed = Order.objects.filter(placed_at__gte=since, state__in=_SOLD).annotate(day=TruncDate("placed_at"))
    orders = dict(placed.values_list("day").annotate(Count("pk")))
    taken = Payment.objects.filter(order__placed_at__gte=since, state=PaymentState.SUCCEEDED)
    by_day = taken.annotate(day=TruncDate("order__placed_at")).order_by().values_list("day", "order__exchange_rate")
    revenue: dict[date, Decimal] = {}
    for day, rate, kept in by_day.annotate(kept=ExactAmount(Sum(F("amount") - F("refunded")))):
        revenue[day] = revenue.get(day, ZERO) + kept / rate
    return [
        Day(day, orders.get(day, 0), quantize(amount=revenue.get(day, ZERO), currency=settings.SHOP_CURRENCY))
        for day in dates
    ]


def orders_to_ship() -> QuerySet[Order]:
    """Paid orders that are not shipped, oldest first."""
    return Order.objects.filter(state=OrderState.PAID).order_by("placed_at")


def orders_with_refund_due() -> QuerySet[Order]:
    """Orders with money that is due for refund and was not refunded since."""
    given = OrderEvent.objects.filter(order=OuterRef("order"), kind=OrderEventKind.REFUNDED, pk__gt=OuterRef("pk"))
    due = OrderEvent.objects.filter(order=OuterRef("pk"), kind=OrderEventKind.REFUND_DUE).exclude(Exists(given))
    return Order.objects.filter(Exists(due)).order_by("placed_at")


def unanswered_payments(*, now: datetime) -> QuerySet[Payment]:
    """Payments that have waited for the gateway's answer for more than an hour."""
    waiting = Payment.objects.filter(state=PaymentState.PENDING, asked_at__lt=now - _ANSWERED_WITHIN)
    return waiting.select_related("order").order_by("asked_at")


def unanswered_refunds(*, now: datetime) -> QuerySet[Refund]:
    """Refunds that have waited for the gateway's answer for more than an hour."""
    waiting = Refund.objects.filter(state=PaymentState.PENDING, created_at__lt=now - _ANSWERED_WITHIN)
    return waiting.select_related("payment__order").order_by("created_at")


def unmatched_gateway_events(*, now: datetime) -> QuerySet[GatewayEvent]:
    """Gateway events of the last 30 days that match no payment."""
    return GatewayEvent.objects.filter(payment=None, received_at__gte=now - _EVENTS_OF)


def low_stock() -> QuerySet[Stock]:
    """Stock rows of tracked variants on sale with at most SHOP_LOW_STOCK units available, lowest first."""
    low = Stock.objects.filter(variant__in=stock.low_variants(at_most=settings.SHOP_LOW_STOCK).values("pk"))
    return low.select_related("variant__product").order_by(F("on_hand") - F("reserved"), "pk")


def failed_messages() -> QuerySet[OutboxMessage]:
    """Outbox messages that were given up after too many failures."""
    return OutboxMessage.objects.exclude(given_up_at=None)


def failing_clocks() -> QuerySet[ClockRun]:
    """Periodic jobs whose last run failed."""
    return ClockRun.objects.filter(Q(succeeded_at=None) | Q(failed_at__gt=F("succeeded_at"))).exclude(failed_at=None)
