"""Paying over the wire: each answer of a gateway, and a second call that never charges twice."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission

from domain.payments import refunds
from domain.sales import fulfilment, orders
from schema.base import ids
from storefront import models
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def pay(placed, do):
    """The order, and a way to pay it that must succeed."""
    order = placed()
    mine = {"orderId": order["id"], "receipt": order["receipt"], "provider": "TEST"}
    return lambda **given: do("startPayment", **mine, **given)


@pytest.fixture
def unpaid(placed):
    """The input that pays a fresh order."""

    def start(variant=None):
        order = placed(variant)
        return {"orderId": order["id"], "receipt": order["receipt"], "provider": "TEST"}

    return start


def told(code, *field):
    return [{"__typename": "InvalidInput", "code": code, "field": list(field)}]


def kinds(order):
    return [event["kind"] for event in order["events"]]


def test_a_payment_that_succeeds_pays_the_order(pay):
    payload = pay(paymentMethod="ok")
    payment, order = payload["payment"], payload["order"]
    assert payment.pop("id") == order["payments"][0]["id"]
    assert payment == {
        "provider": "TEST",
        "state": "SUCCEEDED",
        "amount": {"amount": "24.80", "currency": "EUR"},
        "clientSecret": None,
        "redirectUrl": None,
        "failure": None,
    }
    assert (order["state"], kinds(order)) == ("PAID", ["PLACED", "PAYMENT_STARTED", "PAID"])


def test_paying_a_paid_order_again_is_the_same_payment(pay):
    first = pay(paymentMethod="ok")
    for method in ("ok", "decline"):
        assert pay(paymentMethod=method) == first
    assert models.Payment.objects.count() == 1


def test_a_declined_payment_leaves_the_order_to_be_paid_by_another(unpaid, do, refusals, ask):
    given = unpaid()
    assert refusals("startPayment", **given, paymentMethod="decline") == told("PAYMENT_DECLINED", "paymentMethod")
    order = ask("order", receipt=given["receipt"])
    assert (order["state"], kinds(order)) == ("AWAITING_PAYMENT", ["PLACED", "PAYMENT_STARTED", "PAYMENT_FAILED"])
    assert [(payment["state"], payment["failure"]) for payment in order["payments"]] == [
        ("FAILED", "The card was declined.")
    ]
    paid = do("startPayment", **given, paymentMethod="ok")["order"]
    assert [payment["state"] for payment in paid["payments"]] == ["FAILED", "SUCCEEDED"]


def test_a_payment_that_needs_the_buyer_says_where_to_send_them(pay):
    payload = pay(paymentMethod="action", returnUrl="https://shop.example/thanks")
    payment = payload["payment"]
    assert (payment["state"], payment["redirectUrl"]) == ("REQUIRES_ACTION", "https://shop.example/thanks")
    assert payment["clientSecret"]
    assert payload["order"]["state"] == "AWAITING_PAYMENT"
    confirmed = pay(paymentMethod="confirm")
    assert (confirmed["payment"]["id"], confirmed["payment"]["state"]) == (payment["id"], "SUCCEEDED")
    assert (confirmed["payment"]["clientSecret"], confirmed["payment"]["redirectUrl"]) == (None, None)


def test_a_gateway_that_gives_no_answer_can_be_asked_again(unpaid, do, refusals, ask):
    given = unpaid()
    assert refusals("startPayment", **given, paymentMethod="timeout") == told("PAYMENT_UNAVAILABLE", "provider")
    assert [payment["state"] for payment in ask("order", receipt=given["receipt"])["payments"]] == ["PENDING"]
    paid = do("startPayment", **given, paymentMethod="ok")["order"]
    assert [payment["state"] for payment in paid["payments"]] == ["SUCCEEDED"]


def test_while_a_gateway_has_not_answered_the_order_is_not_cancelled(unpaid, refusals):
    given = unpaid()
    refusals("startPayment", **given, paymentMethod="timeout")
    refused = refusals("cancelOrder", orderId=given["orderId"], receipt=given["receipt"])
    assert refused == told("ORDER_STATE", "orderId")


def test_an_order_that_was_cancelled_is_not_paid(unpaid, do, refusals):
    given = unpaid()
    do("cancelOrder", orderId=given["orderId"], receipt=given["receipt"])
    assert refusals("startPayment", **given) == told("ORDER_STATE", "orderId")
    assert not models.Payment.objects.exists()


def test_without_a_token_the_test_gateway_goes_by_the_amount(unpaid, do, refusals):
    assert do("startPayment", **unpaid(VariantFactory(price=Decimal("5.10"))))["order"]["state"] == "PAID"
    refused = refusals("startPayment", **unpaid(VariantFactory(price=Decimal("5.12"))))
    assert refused == told("PAYMENT_DECLINED", "paymentMethod")
    waiting = do("startPayment", **unpaid(VariantFactory(price=Decimal("5.13"))))["payment"]
    assert waiting["state"] == "REQUIRES_ACTION"


def test_a_provider_that_the_shop_does_not_take_is_unavailable(unpaid, refusals, settings):
    given = unpaid()
    settings.PAYMENT_PROVIDERS = []
    assert refusals("startPayment", **given) == told("PAYMENT_UNAVAILABLE", "provider")


def test_a_provider_that_does_not_exist_is_a_mistake_of_the_front_end(unpaid, bad_input):
    given = unpaid()
    for provider in ("CASH", "test", "", None, 1):
        bad_input("startPayment", **{**given, "provider": provider})


@pytest.mark.parametrize("address", ["javascript:alert(1)", "/thanks", "ftp://shop.example", "https://" + "x" * 2_000])
def test_an_address_to_return_to_is_absolute_and_of_the_web(unpaid, refusals, address):
    refused = refusals("startPayment", **unpaid(), paymentMethod="action", returnUrl=address)
    assert refused == told("INVALID", "returnUrl")
    assert not models.Payment.objects.exists()


def test_a_token_that_is_too_long_is_refused(unpaid, refusals):
    refused = refusals("startPayment", **unpaid(), paymentMethod="x" * 501)
    assert refused == told("INVALID", "paymentMethod")


def test_a_token_that_the_gateway_does_not_know_is_declined(unpaid, refusals):
    refused = refusals("startPayment", **unpaid(), paymentMethod="tok_unknown")
    assert refused == told("PAYMENT_DECLINED", "paymentMethod")


def test_an_account_pays_its_own_order_without_a_receipt(api, placed, do, refusals):
    api.client.force_login(UserFactory())
    order = placed()
    api.client.force_login(stranger := UserFactory())
    assert refusals("startPayment", orderId=order["id"], provider="TEST") == told("NOT_FOUND", "orderId")
    api.client.logout()
    assert refusals("startPayment", orderId=order["id"], provider="TEST") == told("NOT_FOUND", "orderId")
    api.client.force_login(models.User.objects.exclude(pk=stranger.pk).get())
    assert do("startPayment", orderId=order["id"], provider="TEST")["order"]["state"] == "PAID"


# ── giving back ──────────────────────────────────────────────────────────────────────────────────────

REFUND = """mutation ($input: RefundPaymentInput!) { refundPayment(input: $input) {
  payment { refunded { amount currency } refunds { amount { amount } state reason } }
  order { state refunded { amount } } userErrors { code field } } }"""


def test_staff_give_money_back_and_the_buyer_sees_it(api, paid_order):
    order = paid_order({VariantFactory(price=Decimal(20)): 1}, shipping=ShippingMethodFactory(price=0))
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="add_refund"))
    api.client.force_login(user)
    given = {"paymentId": ids.encode("Payment", order.payments.get().pk), "requestId": "a", "reason": "Torn"}
    payload = api(REFUND, input={**given, "amount": "5"})["refundPayment"]
    assert payload["userErrors"] == []
    assert payload["payment"]["refunded"] == {"amount": "5.00", "currency": "EUR"}
    assert payload["payment"]["refunds"] == [{"amount": {"amount": "5.00"}, "state": "SUCCEEDED", "reason": "Torn"}]
    assert payload["order"] == {"state": "PAID", "refunded": {"amount": "5.00"}}
    (error,) = api(REFUND, input={**given, "amount": "6"})["refundPayment"]["userErrors"]
    assert error == {"code": "REQUEST_ID_REUSED", "field": ["requestId"]}
    (error,) = api(REFUND, input={**given, "requestId": "b", "amount": "16"})["refundPayment"]["userErrors"]
    assert error == {"code": "INVALID", "field": ["amount"]}
    (error,) = api(REFUND, input={**given, "paymentId": "x"})["refundPayment"]["userErrors"]
    assert error == {"code": "NOT_FOUND", "field": ["paymentId"]}
    api.client.logout()
    fields = "refunded { amount } payments { refunds { reason } }"
    follow = f"query ($receipt: String) {{ order(receipt: $receipt) {{ {fields} }} }}"
    seen = api(follow, receipt=orders.receipt(order=order))["order"]
    assert seen == {"refunded": {"amount": "5.00"}, "payments": [{"refunds": [{"reason": "Torn"}]}]}


def test_refunds_and_parcels_cost_the_same_for_many_orders_as_for_one(api, paid_order, statements):
    user, variant, method = UserFactory(), VariantFactory(stock__on_hand=100), ShippingMethodFactory()
    api.client.force_login(user)
    fields = "refunded { amount } shipments { carrier } payments { refunded { amount } refunds { amount { amount } } }"
    costs = []
    for size in (1, 5):
        for number in range(size):
            order = paid_order({variant: 1}, user, shipping=method)
            fulfilment.ship(order_id=order.pk, carrier="DHL", tracking_number="1", actor=None, now=NOW)
            given = {"payment_id": order.payments.get().pk, "amount": Decimal(1), "actor": None, "now": NOW}
            for request in range(number + 1):
                refunds.refund(request_id=str(request), **given)
        with statements() as counted:
            seen = api(f"{{ me {{ orders {{ nodes {{ {fields} }} }} }} }}")
        costs.append(len(counted))
        assert f"{size}.00" in [order["refunded"]["amount"] for order in seen["me"]["orders"]["nodes"]]
    assert costs[0] == costs[1]
