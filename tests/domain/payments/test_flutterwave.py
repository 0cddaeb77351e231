"""What is Flutterwave's own: attempts that fail on its page. The rest is in test_gateways."""

from decimal import Decimal

import pytest

from domain.payments import payments, refunds
from domain.sales import orders
from storefront.models import OrderState, Payment, PaymentProvider, PaymentState
from tests.factories import NOW, ShippingMethodFactory, VariantFactory
from tests.fake_gateways import FakeFlutterwave

pytestmark = pytest.mark.django_db


@pytest.fixture
def flutterwave(settings):
    fake = FakeFlutterwave()
    fake.use(settings)
    yield fake
    fake.stop()


@pytest.fixture
def start(flutterwave, placed_order):
    order = placed_order({VariantFactory(price=Decimal("19.99")): 1}, shipping=ShippingMethodFactory(price=0))
    given = {"order_id": order.pk, "viewer": None, "receipt": orders.receipt(order=order), "now": NOW}
    return lambda: payments.start(**given, provider=PaymentProvider.FLUTTERWAVE)


def test_the_page_is_asked_for_with_the_amount_to_the_cent_and_once(flutterwave, start):
    payment = start()
    assert start().redirect_url == payment.redirect_url
    (page,) = flutterwave.pages.values()
    assert (page["amount"], page["currency"], page["tx_ref"]) == (19.99, "EUR", str(payment.pk))
    assert page["customer"] == {"email": payment.order.email}


def test_an_attempt_that_waits_is_asked_about(flutterwave, start):
    flutterwave.pay(start(), status="pending")
    assert start().state == PaymentState.PENDING


def test_an_attempt_that_failed_is_over_and_money_on_its_page_afterwards_is_not_lost(flutterwave, start):
    first = start()
    flutterwave.pay(first, status="failed")
    with pytest.raises(payments.PaymentDeclined) as declined:
        start()
    assert declined.value.message == "Insufficient funds"
    second = start()
    for payment in (first, second):  # The buyer has both pages open.
        flutterwave.pay(payment)
    later = NOW.replace(hour=13)
    payments.reconcile(now=later)
    refunds.reconcile(now=later)
    assert first.order.events.filter(kind="PAID").count() == 1
    assert sorted(given for _, _, given in flutterwave.books()) == [0, Decimal("19.99")]
    assert set(Payment.objects.values_list("state", flat=True)) == {PaymentState.SUCCEEDED}
    first.order.refresh_from_db()
    assert first.order.state == OrderState.PAID
