"""What is Stripe's own: tokens of cards, the bank's question, its minor units. The rest is in test_gateways."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.payments import gateways, payments
from domain.payments.gateways.protocol import Charge
from domain.sales import orders
from storefront.models import OrderState, Payment, PaymentProvider, PaymentState
from tests.factories import NOW, ShippingMethodFactory, VariantFactory
from tests.fake_gateways import FakeStripe

pytestmark = pytest.mark.django_db


@pytest.fixture
def stripe(settings):
    fake = FakeStripe()
    fake.use(settings)
    yield fake
    fake.stop()


@pytest.fixture
def order(stripe, placed_order):
    return placed_order({VariantFactory(price=Decimal(20)): 1}, shipping=ShippingMethodFactory(price=0))


def pay(order, method="", now=NOW):
    return payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider.STRIPE,
        method=method,
        return_url="https://shop.example/done",
        now=now,
    )


def books_agree(stripe):
    ours = Payment.objects.filter(state=PaymentState.SUCCEEDED).values_list("pk", "amount", "refunded")
    assert sorted((str(pk), amount, refunded) for pk, amount, refunded in ours) == stripe.books()


def test_a_payment_method_is_confirmed_at_once(order, stripe):
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    assert stripe.books() == [(str(Payment.objects.get().pk), 20, 0)]
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    assert stripe.taken == 1


def test_a_declined_card_ends_its_intent_and_another_card_pays(order, stripe):
    with pytest.raises(payments.PaymentDeclined) as declined:
        pay(order, "pm_declined")
    assert declined.value.message == "Your card was declined."
    assert stripe.intents["pi_1"]["status"] == "canceled"
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    books_agree(stripe)


def test_the_bank_asks_the_buyer_first(order, stripe):
    payment = pay(order, "pm_3ds")
    assert (payment.state, payment.redirect_url) == (PaymentState.REQUIRES_ACTION, "https://hooks.stripe.example/3ds")
    stripe.confirm(payment.reference, "pm_card_visa")
    assert pay(order).state == PaymentState.SUCCEEDED
    books_agree(stripe)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("20.00", "EUR", 2000),
        ("300", "JPY", 300),
        ("5.120", "KWD", 5120),
        ("300", "ISK", 30000),
        ("300.00", "MGA", 300),
    ],
)
def test_amounts_are_in_stripes_own_minor_units(stripe, amount, currency, minor):
    key = Payment().pk
    charge = Charge(key=key, amount=Decimal(amount), currency=currency, method="pm_card_visa")
    outcome = gateways.gateway_for(provider=PaymentProvider.STRIPE).charge(charge)
    assert stripe.intents["pi_1"]["amount"] == minor
    assert (outcome.amount, outcome.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize(("amount", "currency"), [("5.125", "KWD"), ("300.50", "MGA")])
def test_an_amount_that_stripe_cannot_take_is_refused_before_it_is_asked(stripe, amount, currency):
    charge = Charge(key=Payment().pk, amount=Decimal(amount), currency=currency)
    assert gateways.gateway_for(provider=PaymentProvider.STRIPE).charge(charge).state == PaymentState.FAILED
    assert stripe.intents == {}


def test_a_bank_that_takes_its_time_pays_an_order_that_was_given_up_meanwhile(order, stripe):
    payment = pay(order)
    stripe.intents["pi_1"]["status"] = "processing"
    assert pay(order).state == PaymentState.PENDING
    later = NOW + timedelta(minutes=16)
    orders.expire(order_id=order.pk, now=later)
    assert payments.reconcile(now=later) == 0
    stripe.intents["pi_1"]["status"] = "requires_payment_method"
    stripe.confirm("pi_1", "pm_card_visa")
    assert payments.reconcile(now=later + timedelta(hours=1)) == 1
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.state, payment.state) == (OrderState.PAID, PaymentState.SUCCEEDED)
    books_agree(stripe)


def test_a_gateway_that_no_longer_knows_what_it_knew_tells_nothing(order, stripe):
    """As with the key of another account: whether money was taken is not known by that."""
    pay(order)
    intent = stripe.intents.pop("pi_1")
    assert payments.reconcile(now=NOW + timedelta(hours=1)) == 0
    assert Payment.objects.get().state == PaymentState.REQUIRES_ACTION
    stripe.intents["pi_1"] = intent
    stripe.confirm("pi_1", "pm_card_visa")
    assert payments.reconcile(now=NOW + timedelta(hours=3)) == 1
    books_agree(stripe)
