"""How the shop does, in figures."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from enum import Enum

from django.conf import settings
from django.db.models import Count, F, Sum
from django.db.models.functions import Trunc

from domain.base.errors import InvalidInput
from domain.base.money import PRECISION, ZERO, quantize
from storefront.models import Order, OrderState, Payment

MAX_PERIODS = 400
_WAS_PAID = [OrderState.PAID, OrderState.SHIPPED, OrderState.DELIVERED, OrderState.REFUNDED]


class Period(Enum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(slots=True)
class Sales:
    """The orders placed from a moment until the next one's, and what they came to, in the shop's currency."""

    starts_at: datetime
    orders: int = 0
    total: Decimal = ZERO
    refunded: Decimal = ZERO


def sales(*, since: datetime, until: datetime, by: Period) -> list[Sales]:
    """What was sold from `since` until before `until`, period by period (UTC; weeks begin on Monday), those without a
    sale too; the first and the last are as long as the range has of them.

    Orders that were paid count, by the moment at which they were placed, with their totals; what was given back of
    them stands beside that, whenever it was. An order in another currency counts at the rate that it was placed at,
    rounded once a period and rate. Raises InvalidInput for a range of no or of too many periods.
    """
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    periods = {period.starts_at: period for period in _periods(since, until, by)}
    of_order = {"state__in": _WAS_PAID, "placed_at__gte": since, "placed_at__lt": until}
    sold = (
        Order.objects.filter(**of_order)
        .annotate(start=Trunc("placed_at", by.value, tzinfo=UTC))
        .values_list("start", "exchange_rate")
        .annotate(orders=Count("pk"), sum=Sum("total"))
    )
    for start, rate, orders, total in sold.order_by():
        period = periods[max(start, since)]
        period.orders += orders
        period.total += _in_shop_currency(total, rate)
    given_back = (
        Payment.objects.filter(refunded__gt=0, **{f"order__{name}": value for name, value in of_order.items()})
        .annotate(start=Trunc("order__placed_at", by.value, tzinfo=UTC), rate=F("order__exchange_rate"))
        .values_list("start", "rate")
        .annotate(sum=Sum("refunded"))
    )
    for start, rate, refunded in given_back.order_by():
        periods[max(start, since)].refunded += _in_shop_currency(refunded, rate)
    return list(periods.values())


def _in_shop_currency(amount: Decimal, rate: Decimal) -> Decimal:
    with localcontext(prec=PRECISION):
        return quantize(amount=amount / rate, currency=settings.SHOP_CURRENCY)


def _periods(since: datetime, until: datetime, by: Period) -> list[Sales]:
    if since >= until:
        raise InvalidInput("It has to end after it begins.", field=["to"])
    found = [Sales(since)]
    while (start := _next(found[-1].starts_at, by)) < until:
        found.append(Sales(start))
        if len(found) > MAX_PERIODS:
            raise InvalidInput(f"At most {MAX_PERIODS} periods.", field=["to"])
    return found


def _next(moment: datetime, by: Period) -> datetime:
    """When the period after the one of that moment begins."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match by:
        case Period.DAY:
            return midnight + timedelta(days=1)
        case Period.WEEK:
            return midnight + timedelta(days=7 - midnight.weekday())
        case Period.MONTH:
            return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
