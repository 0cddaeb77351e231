"""What staff see first: sums that are right to the cent, and only what waits for somebody."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from domain.payments import refunds
from domain.reporting import dashboard
from domain.sales import fulfilment, orders
from storefront import models
from tests.factories import NOW, CurrencyFactory, VariantFactory

pytestmark = pytest.mark.django_db

TODAY = NOW.date()


@pytest.fixture
def bought(paid_order):
    """An order of 20.00 and 4.90 for shipping, placed so many days ago: `bought(3)`."""

    def buy(days_ago=0):
        order = paid_order({VariantFactory(price=Decimal(20)): 1})
        models.Order.objects.filter(pk=order.pk).update(placed_at=NOW - timedelta(days=days_ago))
        return order

    return buy


def brought(days=30):
    """The days that were not empty: date, orders, revenue."""
    return [(day.date, day.orders, day.revenue) for day in dashboard.sales(days=days, now=NOW) if day.orders]


def give_back(order, **part):
    refunds.refund(payment_id=order.payments.get().pk, request_id=str(part), actor=None, now=NOW, **part)


def test_a_shop_that_sold_nothing_has_thirty_empty_days():
    days = dashboard.sales(days=30, now=NOW)
    assert [day.date for day in days] == [TODAY - timedelta(days=ago) for ago in range(29, -1, -1)]
    assert {(day.orders, day.revenue) for day in days} == {(0, 0)}


def test_orders_are_summed_by_the_day_they_were_placed(bought):
    for days_ago in (0, 0, 3, 29, 30):
        bought(days_ago)
    assert brought() == [
        (TODAY - timedelta(days=29), 1, Decimal("24.90")),
        (TODAY - timedelta(days=3), 1, Decimal("24.90")),
        (TODAY, 2, Decimal("49.80")),
    ]


def test_what_nobody_paid_and_what_was_given_up_is_no_sale(placed_order):
    waiting, given_up = (placed_order({VariantFactory(): 1}) for _ in range(2))
    orders.cancel(order_id=given_up.pk, viewer=None, receipt=orders.receipt(order=given_up), now=NOW)
    assert brought() == []
    assert waiting.state == models.OrderState.AWAITING_PAYMENT


def test_what_went_back_is_taken_off_and_an_order_without_money_is_no_sale(bought):
    part, whole = bought(), bought()
    give_back(part, amount=Decimal("4.90"))
    give_back(whole)
    assert brought() == [(TODAY, 1, Decimal("20.00"))]


def test_another_currency_is_counted_in_the_shops_at_the_rate_of_the_sale(bought):
    CurrencyFactory()
    foreign = bought()
    models.Order.objects.filter(pk=foreign.pk).update(currency="USD", exchange_rate=Decimal("1.25"))
    bought()
    assert brought() == [(TODAY, 2, Decimal("24.90") + Decimal("19.92"))]


def test_an_order_of_one_second_before_midnight_is_of_that_day(bought):
    order = bought()
    models.Order.objects.filter(pk=order.pk).update(placed_at=NOW.replace(hour=0) - timedelta(seconds=1))
    assert [day for day, _, _ in brought()] == [date(2030, 1, 14)]


def test_whoever_waited_longest_is_shipped_first(bought):
    late, early, gone = bought(1), bought(2), bought(3)
    fulfilment.ship(order_id=gone.pk, carrier="DHL", tracking_number="1", actor=None, now=NOW)
    assert list(dashboard.orders_to_ship()) == [early, late]


def test_money_that_is_due_is_looked_at_until_it_went_back(bought):
    order = bought()
    assert not dashboard.orders_with_refund_due().exists()
    orders.add_event(order=order, kind=models.OrderEventKind.REFUND_DUE, now=NOW)
    assert list(dashboard.orders_with_refund_due()) == [order]
    give_back(order)
    assert not dashboard.orders_with_refund_due().exists()
    orders.add_event(order=order, kind=models.OrderEventKind.REFUND_DUE, now=NOW)
    assert list(dashboard.orders_with_refund_due()) == [order]


def test_a_gateway_has_an_hour_to_answer(bought):
    order = bought()
    give_back(order, amount=Decimal(1))
    models.Payment.objects.update(state=models.PaymentState.PENDING, asked_at=NOW)
    models.Refund.objects.update(state=models.PaymentState.PENDING, created_at=NOW)
    in_time, late = NOW + timedelta(minutes=59), NOW + timedelta(minutes=61)
    for unanswered in (dashboard.unanswered_payments, dashboard.unanswered_refunds):
        assert not unanswered(now=in_time).exists()
        assert unanswered(now=late).count() == 1


def test_events_about_money_that_nobody_knows_are_shown_for_a_month(bought):
    payment = bought().payments.get()
    told = {"provider": models.PaymentProvider.STRIPE, "kind": "charge.refunded"}
    known = models.GatewayEvent(**told, event_id="1", payment=payment, received_at=NOW)
    unknown = models.GatewayEvent(**told, event_id="2", received_at=NOW)
    old = models.GatewayEvent(**told, event_id="3", received_at=NOW - timedelta(days=31))
    models.GatewayEvent.objects.bulk_create([known, unknown, old])
    assert [event.event_id for event in dashboard.unmatched_gateway_events(now=NOW)] == ["2"]


def test_stock_is_low_from_the_shops_mark_down_and_the_least_comes_first(settings):
    settings.SHOP_LOW_STOCK = 3
    few = VariantFactory(stock__on_hand=5, stock__reserved=2)
    none = VariantFactory(stock__on_hand=0, stock__policy=models.StockPolicy.BACKORDER)
    VariantFactory(stock__on_hand=4)
    VariantFactory(stock__on_hand=0, stock__policy=models.StockPolicy.UNTRACKED)
    assert [stock.variant for stock in dashboard.low_stock()] == [none, few]


def test_a_clock_fails_until_it_runs_again():
    earlier = NOW - timedelta(hours=1)
    models.ClockRun.objects.bulk_create(
        [
            models.ClockRun(clock="never failed", succeeded_at=NOW),
            models.ClockRun(clock="mended", failed_at=earlier, succeeded_at=NOW),
            models.ClockRun(clock="fails", failed_at=NOW, succeeded_at=earlier),
            models.ClockRun(clock="never ran", failed_at=NOW),
        ]
    )
    assert {run.clock for run in dashboard.failing_clocks()} == {"fails", "never ran"}
