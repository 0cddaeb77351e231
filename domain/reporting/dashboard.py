"""What staff see first: how the shop sells, and what waits for somebody. Each costs one or two statements."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from domain.base.money import ZERO, quantize
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
# A gateway answers in seconds, and one that did not is asked again by the minute: after an hour it is a person's turn.
_ANSWERED_WITHIN = timedelta(hours=1)
_EVENTS_OF = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Day:
    """`orders` that were placed on it, and the money the shop has of those, in its own currency."""

    date: date
    orders: int
    takings: Decimal


def sales(*, days: int, now: datetime) -> list[Day]:
    """The last days, today included, oldest first. What was given back, or is being given back, is taken off."""
    today = timezone.localdate(now)
    dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
    since = timezone.make_aware(datetime.combine(dates[0], time.min))
    placed = Order.objects.filter(placed_at__gte=since, state__in=_SOLD).annotate(day=TruncDate("placed_at"))
    orders = dict(placed.values_list("day").annotate(Count("pk")))
    taken = Payment.objects.filter(order__placed_at__gte=since, state=PaymentState.SUCCEEDED)
    by_day = taken.annotate(day=TruncDate("order__placed_at")).order_by().values_list("day", "order__exchange_rate")
    takings: dict[date, Decimal] = {}
    for day, rate, kept in by_day.annotate(kept=Sum(F("amount") - F("refunded"))):
        takings[day] = takings.get(day, ZERO) + kept / rate
    return [
        Day(day, orders.get(day, 0), quantize(amount=takings.get(day, ZERO), currency=settings.SHOP_CURRENCY))
        for day in dates
    ]


def orders_to_ship() -> QuerySet[Order]:
    """Those that are paid, whoever has waited longest first."""
    return Order.objects.filter(state=OrderState.PAID).order_by("placed_at")


def orders_owed_a_refund() -> QuerySet[Order]:
    """Those with money that has to be given back, and was not since."""
    given = OrderEvent.objects.filter(order=OuterRef("order"), kind=OrderEventKind.REFUNDED, pk__gt=OuterRef("pk"))
    due = OrderEvent.objects.filter(order=OuterRef("pk"), kind=OrderEventKind.REFUND_DUE).exclude(Exists(given))
    return Order.objects.filter(Exists(due)).order_by("placed_at")


def unanswered_payments(*, now: datetime) -> QuerySet[Payment]:
    """Those of which nobody knows how they ended, for longer than a gateway needs to say so."""
    waiting = Payment.objects.filter(state=PaymentState.PENDING, asked_at__lt=now - _ANSWERED_WITHIN)
    return waiting.select_related("order").order_by("asked_at")


def unanswered_refunds(*, now: datetime) -> QuerySet[Refund]:
    """The same of money that is to go back."""
    waiting = Refund.objects.filter(state=PaymentState.PENDING, created_at__lt=now - _ANSWERED_WITHIN)
    return waiting.select_related("payment__order").order_by("created_at")


def events_about_nothing(*, now: datetime) -> QuerySet[GatewayEvent]:
    """What gateways told us lately of money that we know nothing of."""
    return GatewayEvent.objects.filter(payment=None, received_at__gte=now - _EVENTS_OF)


def running_low() -> QuerySet[Stock]:
    """The stock of what is counted, not withdrawn, and nearly gone, or gone: the least first."""
    low = Stock.objects.filter(variant__in=stock.low(at_most=settings.SHOP_LOW_STOCK).values("pk"))
    return low.select_related("variant__product").order_by(F("on_hand") - F("reserved"), "pk")


def dead_letters() -> QuerySet[OutboxMessage]:
    """What the shop owes and has given up on."""
    return OutboxMessage.objects.exclude(given_up_at=None)


def failing_clocks() -> QuerySet[ClockRun]:
    """What is done again and again, and failed the last time."""
    return ClockRun.objects.filter(Q(succeeded_at=None) | Q(failed_at__gt=F("succeeded_at"))).exclude(failed_at=None)
