from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.base.errors import InvalidInput
from domain.payments import refunds
from domain.reporting import reports
from domain.reporting.reports import Period
from storefront.models import Order, Payment
from tests.factories import NOW, VariantFactory

pytestmark = pytest.mark.django_db

MONDAY = datetime(2030, 1, 14, tzinfo=UTC)
YEAR = {"since": datetime(2030, 1, 1, tzinfo=UTC), "until": datetime(2031, 1, 1, tzinfo=UTC)}


def told(**given):
    """The periods in which something was sold."""
    found = reports.sales(**given)
    return {each.starts_at: (each.orders, each.total, each.refunded) for each in found if each.orders}


@pytest.fixture
def sold(paid_order):
    """`sold(moment, "10")`: an order of that total, paid."""

    def sell(placed_at, total, **columns):
        order = paid_order({VariantFactory(): 1})
        Order.objects.filter(pk=order.pk).update(placed_at=placed_at, total=Decimal(total), **columns)
        return order

    return sell


def test_orders_count_in_the_period_in_which_they_were_placed(sold):
    for placed_at, total in [
        (MONDAY - timedelta(microseconds=1), 1),
        (MONDAY, 2),
        (MONDAY + timedelta(days=6, hours=23), 4),
        (MONDAY + timedelta(days=20), 8),
    ]:
        sold(placed_at, total)
    assert told(**YEAR, by=Period.DAY)[MONDAY] == (1, Decimal(2), 0)
    weeks = told(**YEAR, by=Period.WEEK)
    assert {start.day: figures for start, figures in weeks.items()} == {7: (1, 1, 0), 14: (2, 6, 0), 28: (1, 8, 0)}
    months = told(**YEAR, by=Period.MONTH)
    assert {start.month: figures for start, figures in months.items()} == {1: (3, 7, 0), 2: (1, 8, 0)}


def test_the_end_is_not_in_it_and_periods_without_a_sale_are(sold):
    sold(MONDAY, 1)
    sold(MONDAY + timedelta(days=2), 1)
    found = reports.sales(since=MONDAY, until=MONDAY + timedelta(days=2), by=Period.DAY)
    assert [(each.starts_at.day, each.orders) for each in found] == [(14, 1), (15, 0)]


def test_the_first_period_is_as_long_as_the_range_has_of_it(sold):
    sold(MONDAY + timedelta(days=1), 1)
    sold(MONDAY + timedelta(days=3), 2)
    found = reports.sales(since=MONDAY + timedelta(days=2), until=MONDAY + timedelta(days=9), by=Period.WEEK)
    assert [(each.starts_at.day, each.total) for each in found] == [(16, 2), (21, 0)]


def test_what_was_not_paid_does_not_count_and_what_was_given_back_stands_beside(sold, placed_order):
    placed_order({VariantFactory(): 1})
    order = sold(NOW, "24.80")
    payment = Payment.objects.get(order=order)
    refunds.refund(payment_id=payment.pk, request_id="1", amount=Decimal(5), actor=None, now=NOW)
    assert list(told(**YEAR, by=Period.MONTH).values()) == [(1, Decimal("24.80"), Decimal(5))]
    refunds.refund(payment_id=payment.pk, request_id="2", actor=None, now=NOW)
    assert list(told(**YEAR, by=Period.MONTH).values()) == [(1, Decimal("24.80"), payment.amount)]


def test_other_currencies_count_at_the_rate_that_each_order_was_placed_at(sold):
    sold(NOW, "11", currency="USD", exchange_rate=Decimal("1.1"))
    sold(NOW, "10", currency="USD", exchange_rate=Decimal("1.25"))
    sold(NOW, "1000", currency="JPY", exchange_rate=Decimal(165))
    sold(NOW, "3")
    assert list(told(**YEAR, by=Period.MONTH).values()) == [(4, Decimal("27.06"), 0)]


def test_a_report_costs_the_same_for_many_orders(sold, statements):
    costs = set()
    for size in (1, 5):
        for number in range(size):
            sold(NOW + timedelta(days=number), 1)
        with statements() as counted:
            reports.sales(**YEAR, by=Period.DAY)
        costs.add(len(counted))
    assert costs == {2}


@pytest.mark.parametrize("days", [0, -1, 401])
def test_a_range_of_no_or_of_too_many_periods_is_refused(days):
    with pytest.raises(InvalidInput):
        reports.sales(since=MONDAY, until=MONDAY + timedelta(days=days), by=Period.DAY)
    assert len(reports.sales(since=MONDAY, until=MONDAY + timedelta(days=400), by=Period.DAY)) == 400
