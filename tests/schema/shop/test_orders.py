"""Orders over the wire: placed once, seen by whom they concern, cancelled while unpaid."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission

from schema.base import ids
from storefront import models
from tests.factories import ImageFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

ADDRESS = {
    "name": "Ada",
    "line1": "Am Hafen 1",
    "line2": "",
    "city": "Hamburg",
    "region": "",
    "postalCode": "20457",
    "countryCode": "DE",
    "phone": "",
}
UNKNOWN_ORDER = {"__typename": "InvalidInput", "code": "NOT_FOUND", "field": ["orderId"]}


def staff(*permissions):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def reserved(variant):
    return models.Stock.objects.get(pk=variant.pk).reserved


# ── placeOrder ───────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_what_the_cart_was(ready, do):
    variant = VariantFactory(sku="TEE", price=Decimal("19.90"), option1="M", product__title="Tee")
    ImageFactory(product=variant.product, file="products/tee.png")
    cart = ready(variant, 2)
    payload = do("placeOrder", cartCode=cart["code"], expectedTotal="44.70", note="Please ring.")
    order = payload["order"]
    assert payload["replayed"] is False
    assert all(order.pop(name) for name in ("id", "number", "receipt"))
    assert order.pop("shippingMethod") == cart["checkout"]["shippingOption"]["name"]
    assert order == {
        "state": "AWAITING_PAYMENT",
        "email": "ada@example.com",
        "note": "Please ring.",
        "subtotal": {"amount": "39.80"},
        "discount": {"amount": "0.00"},
        "shipping": {"amount": "4.90"},
        "tax": {"amount": "0.00"},
        "total": {"amount": "44.70", "currency": "EUR"},
        "lines": [
            {
                "sku": "TEE",
                "title": "Tee",
                "variantTitle": "M",
                "quantity": 2,
                "unitPrice": {"amount": "19.90"},
                "total": {"amount": "39.80", "currency": "EUR"},
                "variant": {"sku": "TEE"},
                "image": {"url": "http://testserver/media/products/tee.png"},
            }
        ],
        "shippingAddress": ADDRESS,
        "billingAddress": ADDRESS,
        "payments": [],
        "events": [{"kind": "PLACED", "message": ""}],
    }
    assert reserved(variant) == 2


@pytest.mark.parametrize("again", [{"expectedTotal": "24.80"}, {"expectedTotal": "1.00"}])
def test_placing_the_same_cart_again_is_the_same_order(ready, do, again):
    variant = VariantFactory()
    cart = ready(variant)
    first = do("placeOrder", cartCode=cart["code"], expectedTotal="24.80")
    second = do("placeOrder", cartCode=cart["code"], **again)
    assert second == first | {"replayed": True}
    assert (models.Order.objects.count(), reserved(variant)) == (1, 1)


def test_a_guest_who_lost_the_answer_places_again_by_the_cookie_alone(ready, do):
    ready()
    first = do("placeOrder", expectedTotal="24.80")
    assert do("placeOrder", expectedTotal="24.80") == first | {"replayed": True}


def test_a_total_that_nobody_saw_is_not_charged(ready, refusals):
    cart = ready()
    models.ProductVariant.objects.update(price=Decimal("21.00"))
    assert refusals("placeOrder", cartCode=cart["code"], expectedTotal="24.80") == [
        {
            "__typename": "TotalChanged",
            "code": "TOTAL_CHANGED",
            "field": ["expectedTotal"],
            "expected": {"amount": "24.80", "currency": "EUR"},
            "actual": {"amount": "25.90", "currency": "EUR"},
        }
    ]
    assert not models.Order.objects.exists()


@pytest.mark.parametrize("expected", ["24.8", "24.800", 24.8])
def test_the_same_total_written_otherwise_is_the_same(ready, do, expected):
    assert do("placeOrder", cartCode=ready()["code"], expectedTotal=expected)["order"]


@pytest.mark.parametrize("expected", ["24.801", "-24.80", "0", "99999999999"])
def test_any_other_total_is_another(ready, refusals, expected):
    (error,) = refusals("placeOrder", cartCode=ready()["code"], expectedTotal=expected)
    assert error["code"] == "TOTAL_CHANGED"


@pytest.mark.parametrize("junk", ["NaN", "sNaN", "Infinity", "-Infinity", "1e999", "abc", "", "24,80", "€24.80", None])
def test_a_total_that_is_no_amount_is_a_mistake_of_the_front_end(bad_input, ready, junk):
    bad_input("placeOrder", cartCode=ready()["code"], expectedTotal=junk)


@pytest.mark.parametrize("junk", [True, False, [], ["24.80"], {}, "9" * 5_000])
def test_a_total_of_another_shape_is_a_mistake_of_the_front_end(bad_input, junk):
    bad_input("placeOrder", expectedTotal=junk)


def test_what_was_sold_meanwhile_is_told_by_line(ready, refusals, variant_id):
    variant = VariantFactory(stock__on_hand=3, sku="RARE")
    cart = ready(variant, 3)
    models.Stock.objects.update(reserved=2)
    assert refusals("placeOrder", cartCode=cart["code"], expectedTotal=cart["total"]["amount"]) == [
        {
            "__typename": "InsufficientStock",
            "code": "INSUFFICIENT_STOCK",
            "field": ["lines", "0", "quantity"],
            "requested": 3,
            "available": 1,
            "variant": {"id": variant_id(variant), "sku": "RARE"},
        }
    ]
    assert (models.Order.objects.count(), reserved(variant)) == (0, 2)


def test_everything_that_stops_it_is_told_at_once(put, do, refusals):
    code = put()["code"]
    do("clearCart", cartCode=code)
    errors = refusals("placeOrder", cartCode=code, expectedTotal="0")
    assert [(error["code"], error["field"]) for error in errors] == [
        ("CART_EMPTY", ["lines"]),
        ("EMAIL_MISSING", ["checkout", "email"]),
        ("ADDRESS_INCOMPLETE", ["checkout", "shippingAddress"]),
    ]


def test_what_is_withdrawn_is_not_sold(ready, refusals):
    cart = ready()
    models.Product.objects.update(published_at=None)
    (error,) = refusals("placeOrder", cartCode=cart["code"], expectedTotal="24.80")
    assert (error["code"], error["field"]) == ("NOT_FOR_SALE", ["lines", "0"])


def test_a_note_has_at_most_2000_characters(ready, do, refusals):
    given = {"cartCode": ready()["code"], "expectedTotal": "24.80"}
    (error,) = refusals("placeOrder", **given, note="x" * 2_001)
    assert (error["code"], error["field"]) == ("INVALID", ["note"])
    assert do("placeOrder", **given, note="x" * 2_000)


def test_a_merged_cart_cannot_be_placed(ready, refusals):
    code = ready()["code"]
    models.Cart.objects.update(state=models.CartState.MERGED)
    (error,) = refusals("placeOrder", cartCode=code, expectedTotal="24.80")
    assert error == {"__typename": "CartLocked", "code": "CART_LOCKED", "field": ["cartCode"], "order": None}


def test_an_order_never_changes_with_the_catalogue(placed, ask):
    order = placed()
    models.ProductVariant.objects.update(price=Decimal(1), sku="NEW")
    models.Product.objects.update(title="New", published_at=None)
    found = ask("order", receipt=order["receipt"])
    assert found["lines"] == [order["lines"][0] | {"variant": None}]
    assert found["total"] == order["total"]


def test_what_costs_nothing_is_paid_at_once(do, ready):
    variant = VariantFactory(price=Decimal(0))
    cart = ready(variant)
    models.ShippingMethod.objects.update(price=0)
    order = do("placeOrder", cartCode=cart["code"], expectedTotal="0")["order"]
    assert (order["state"], [event["kind"] for event in order["events"]]) == ("PAID", ["PLACED", "PAID"])


# ── order ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_guest_follows_an_order_by_its_receipt(api, placed, ask):
    order = placed()
    api.client.cookies.clear()
    assert ask("order", receipt=order["receipt"]) == order
    assert ask("order", receipt=order["receipt"], id=order["id"]) == order


def test_a_guest_sees_no_order_by_its_id(placed, ask):
    order = placed()
    assert ask("order", id=order["id"]) is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda order: order["receipt"][:-1] + ("A" if order["receipt"][-1] != "A" else "B"),
        lambda order: order["receipt"].rpartition(":")[0],
        lambda order: order["number"],
        lambda order: order["number"] + ":",
        lambda order: "",
        lambda order: ":",
        lambda order: "😀:x",
        lambda order: "x" * 5_000,
    ],
)
def test_a_receipt_that_was_made_up_shows_nothing(placed, ask, forge):
    order = placed()
    assert ask("order", receipt=forge(order)) is None
    assert ask("order", receipt=forge(order), id=order["id"]) is None


def test_a_receipt_shows_its_own_order_only(placed, ask):
    one, other = placed(), placed()
    assert ask("order", receipt=one["receipt"], id=other["id"]) is None


@pytest.mark.parametrize("junk", ["", "junk", ids.encode("Cart", "0" * 32), ids.encode("Order", "0" * 32)])
def test_an_id_of_no_order_is_null(placed, ask, junk):
    assert ask("order", id=junk) is None
    assert ask("order", id=junk, receipt=placed()["receipt"]) is None


def test_neither_id_nor_receipt_is_null(ask):
    assert ask("order") is None


def test_an_account_sees_its_own_orders_and_nobody_elses(api, placed, ask):
    ada, bob = UserFactory(), UserFactory()
    api.client.force_login(ada)
    order = placed()
    assert ask("order", id=order["id"]) == order
    api.client.force_login(bob)
    assert ask("order", id=order["id"]) is None


def test_staff_who_may_view_orders_see_all(api, placed, ask):
    order = placed()
    api.client.force_login(models.User.objects.create_superuser("owner@example.com"))
    assert ask("order", id=order["id"]) == order
    api.client.force_login(staff("view_order"))
    assert ask("order", id=order["id"]) == order | {"receipt": None}, "who may only look may not act"
    api.client.force_login(staff("view_order", "change_order"))
    assert ask("order", id=order["id"]) == order
    api.client.force_login(staff())
    assert ask("order", id=order["id"]) is None


# ── cancelOrder ──────────────────────────────────────────────────────────────────────────────────────


def test_cancelling_gives_the_stock_back_and_once_more_changes_nothing(placed, do):
    variant = VariantFactory()
    order = placed(variant, 2)
    given = {"orderId": order["id"], "receipt": order["receipt"], "reason": "Too slow."}
    for _ in range(2):
        cancelled = do("cancelOrder", **given)["order"]
        assert cancelled["state"] == "CANCELLED"
        assert cancelled["events"][1:] == [{"kind": "CANCELLED", "message": "Too slow."}]
        assert reserved(variant) == 0


def test_an_order_that_is_paid_is_not_cancelled(placed, do, refusals):
    order = placed()
    mine = {"orderId": order["id"], "receipt": order["receipt"]}
    do("startPayment", **mine, provider="TEST")
    (error,) = refusals("cancelOrder", **mine)
    assert error == {"__typename": "InvalidInput", "code": "ORDER_STATE", "field": ["orderId"]}


def test_a_reason_has_at_most_2000_characters(placed, refusals):
    order = placed()
    (error,) = refusals("cancelOrder", orderId=order["id"], receipt=order["receipt"], reason="x" * 2_001)
    assert (error["code"], error["field"]) == ("INVALID", ["reason"])


def test_only_who_the_order_concerns_may_cancel_it(api, placed, do, refusals):
    api.client.force_login(UserFactory())
    order = placed()
    for stranger in (UserFactory(), staff("view_order")):
        api.client.force_login(stranger)
        assert refusals("cancelOrder", orderId=order["id"]) == [UNKNOWN_ORDER]
    api.client.force_login(staff("change_order"))
    assert do("cancelOrder", orderId=order["id"])["order"]["state"] == "CANCELLED"


@pytest.mark.parametrize("name", ["cancelOrder", "startPayment"])
def test_an_unknown_order_and_somebody_elses_are_answered_alike(placed, refusals, name):
    one, other = placed(), placed()
    more = {"provider": "TEST"} if name == "startPayment" else {}
    for given in (
        {"orderId": one["id"]},
        {"orderId": one["id"], "receipt": other["receipt"]},
        {"orderId": one["id"], "receipt": "made up"},
        {"orderId": one["id"], "receipt": ""},
        {"orderId": ids.encode("Order", "00000000-0000-0000-0000-000000000000"), "receipt": one["receipt"]},
        {"orderId": ids.encode("Cart", "00000000-0000-0000-0000-000000000000"), "receipt": one["receipt"]},
        {"orderId": "junk", "receipt": one["receipt"]},
    ):
        assert refusals(name, **given, **more) == [UNKNOWN_ORDER]
