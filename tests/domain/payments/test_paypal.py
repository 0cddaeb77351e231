"""What is PayPal's own: its currencies, what it declines, its tokens. The rest is in test_gateways."""

from decimal import Decimal

import pytest

from domain.payments import gateways, payments
from domain.payments.gateways import GatewayUnavailable
from domain.payments.gateways.protocol import Charge
from domain.sales import orders
from storefront.models import Payment, PaymentProvider, PaymentState
from tests.factories import NOW, ShippingMethodFactory, VariantFactory
from tests.fake_gateways import FakePayPal

pytestmark = pytest.mark.django_db


@pytest.fixture
def paypal(settings):
    fake = FakePayPal()
    fake.use(settings)
    yield fake
    fake.stop()


def charge(amount, currency="EUR", **given):
    wanted = Charge(key=Payment().pk, amount=Decimal(amount), currency=currency, number="A1", **given)
    return wanted, gateways.gateway_for(provider=PaymentProvider.PAYPAL).charge(wanted)


@pytest.mark.parametrize(
    ("amount", "currency", "sent"), [("20.00", "EUR", "20.00"), ("300", "JPY", "300"), ("300.00", "HUF", "300")]
)
def test_amounts_have_the_decimals_that_paypal_takes(paypal, amount, currency, sent):
    charge(amount, currency)
    (order,) = paypal.orders.values()
    assert order["purchase_units"][0]["amount"] == {"value": sent, "currency_code": currency}


def test_an_amount_that_paypal_cannot_take_is_refused_before_it_is_asked(paypal):
    _, outcome = charge("300.50", "HUF")
    assert (outcome.state, paypal.asked) == (PaymentState.FAILED, 0)


def test_what_paypal_declines_is_over_and_the_buyer_begins_anew(paypal, placed_order):
    order = placed_order({VariantFactory(price=Decimal("20.02")): 1}, shipping=ShippingMethodFactory(price=0))
    given = {"order_id": order.pk, "viewer": None, "receipt": orders.receipt(order=order), "now": NOW}
    payment = payments.start(**given, provider=PaymentProvider.PAYPAL)
    paypal.agree(payment)
    with pytest.raises(payments.PaymentDeclined) as declined:
        payments.start(**given, provider=PaymentProvider.PAYPAL)
    assert declined.value.message == "The instrument was declined."
    assert payments.start(**given, provider=PaymentProvider.PAYPAL).pk != payment.pk


def test_an_approval_that_has_lapsed_is_over(paypal):
    _, outcome = charge(20, reference="ORDER99")
    assert (outcome.state, outcome.failure) == (PaymentState.FAILED, "The resource does not exist.")


def test_one_token_serves_until_paypal_no_longer_takes_it(paypal):
    charge(20)
    charge(20)
    assert paypal.asked == 3
    paypal.lose.append(True)
    with pytest.raises(GatewayUnavailable):
        charge(20)
    charge(20)
    assert paypal.asked == 6


def test_a_capture_that_waits_for_paypal_is_asked_about(paypal):
    wanted, made = charge(20)
    order = paypal.orders[made.reference]
    unit = order["purchase_units"][0]
    unit["payments"]["captures"].append({"id": "C1", "status": "PENDING", "amount": unit["amount"]})
    order["status"] = "COMPLETED"
    gateway = gateways.gateway_for(provider=PaymentProvider.PAYPAL)
    wanted = Charge(key=wanted.key, amount=wanted.amount, currency="EUR", reference=made.reference)
    for status, state in (
        ("PENDING", PaymentState.PENDING),
        ("DECLINED", PaymentState.FAILED),
        ("COMPLETED", PaymentState.SUCCEEDED),
        ("PARTIALLY_REFUNDED", PaymentState.SUCCEEDED),
    ):
        unit["payments"]["captures"][0]["status"] = status
        assert gateway.look_up(wanted).state == state
