"""The sales report."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from enum import Enum

from django.conf import settings
from django.db.models import Count, F, Sum
from django.db.models.functions import Trunc

from domain.base.errors import InvalidInput
from domain.base.money import PRECISION, ZERO, ExactAmount, quantize
from storefront.models import Order, OrderState, Payment

MAX_PERIODS = 400
_WAS_PAID = [OrderState.PAID, OrderState.SHIPPED, OrderState.DELIVERED, OrderState.REFUNDED]


class Period(Enum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(slots=True)
class Sales:
    """One period of the report, from `starts_at`: number and total of its orders, in the shop's currency."""

    starts_at: datetime
    orders: int = 0
    total: Decimal = ZERO
    refunded: Decimal = ZERO


def sales(*, since: datetime, until: datetime, by: Period) -> list[Sales]:
    """The sales from `since` until before `until`, by period (UTC; weeks start on Monday), including empty periods.
    The first and the last period may be partial.

    Counts paid orders by the time they were placed. `refunded` is what was refunded of them at any time. Orders in
    another currency are converted at the rate of the order, rounded once for each period and rate. Raises
    InvalidInput for an empty range and for more than MAX_PERIODS periods.
    """
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    periods = {period.starts_at: period for period in _periods(since, until, by)}
    of_order = {"state__in": _WAS_PAID, "placed_at__gte": since, "placed_at__lt": until}
    sold = (
        Order.objects.filter(**of_order)
        .annotate(start=Trunc("placed_at", by.value, tzinfo=UTC))
        .values_list("start", "exchange_rate")
        .annotate(orders=Count("pk"), sum=ExactAmount(Sum("total")))
    )
    for start, rate, orders, total in sold.order_by():
        period = periods[max(start, since)]
        period.orders += orders
        period.total += _in_shop_currency(total, rate)
    given_back = (
        Payment.objects.filter(refunded__gt=0, **{f"order__{name}": value for name, value in of_order.items()})
        .annotate(start=Trunc("order__placed_at", by.value, tzinfo=UTC), rate=F("order__exchange_rate"))
        .values_list("start", "rate")
        .annotate(sum=ExactAmount(Sum("refunded")))
    )
    for start, rate, refunded in given_back.order_by():
        periods[max(start, since)].refunded += _in_shop_currency(refunded, rate)
    return list(periods.values())


def _in_shop_currency(amount: Decimal, rate: Decimal) -> Decimal:
    with localcontext(prec=PRECISION):
        return quantize(amount=amount / rate, currency=settings.SHOP_CURRENCY)


def _periods(since: datetime, until: datetime, by: Period) -> list[Sales]:
    if since >= until:
        raise InvalidInput("The range has to end after it starts.", field=["to"])
    found = [Sales(since)]
    while (start := _next(found[-1].starts_at, by)) < until:
        found.append(Sales(start))
        if len(found) > MAX_PERIODS:
            raise InvalidInput(f"A report has at most {MAX_PERIODS} periods.", field=["to"])
    return found


def _next(moment: datetime, by: Period) -> datetime:
    """The start of the period after the one that contains the moment."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match by:
        case Period.DAY:
            return midnight + timedelta(days=1)
        case Period.WEEK:
            return midnight + timedelta(days=7 - midnight.weekday())
        case Period.MONTH:
            return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
