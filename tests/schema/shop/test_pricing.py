"""What a total is made of, as the wire shows it: codes, tax, trace, and problems that carry what mends them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from domain.accounts import throttle
from schema.base import ids
from storefront import models
from tests.factories import DiscountFactory, ShippingMethodFactory, TaxRateFactory, VariantFactory

pytestmark = pytest.mark.django_db

MONEY = "{ amount currency }"
PRICED = f"""
  discountCodes
  subtotal {MONEY} discount {MONEY} shipping {MONEY} net {MONEY} tax {MONEY} total {MONEY}
  lines {{ discount {{ amount }} net {{ amount }} tax {{ amount }} gross {{ amount }} }}
  priceTrace {{ kind label amount {{ amount }} included code base {{ amount }} rate }}
"""
CART = f"query ($code: ID) {{ cart(code: $code) {{ {PRICED} }} }}"
ORDER = f"query ($receipt: String) {{ order(receipt: $receipt) {{ pricesIncludeTax {PRICED} }} }}"
CODES = """
mutation apply($input: ApplyDiscountCodeInput!) { payload: applyDiscountCode(input: $input) { ...Parts } }
mutation remove($input: RemoveDiscountCodeInput!) { payload: removeDiscountCode(input: $input) { ...Parts } }
fragment Parts on CartPayload { cart { discountCodes total { amount } } userErrors { ...Error } }
fragment Error on UserError {
  __typename code message field
  ... on DiscountRefused { discountCode reason minimum { amount currency } }
}
"""
PROBLEMS = """query ($code: ID) { cart(code: $code) { problems {
  __typename code field
  ... on InsufficientStock { available lineId }
  ... on NotForSale { lineId }
  ... on PriceChanged { lineId before { amount } now { amount currency } }
  ... on AddressIncomplete { rules { countryCode required } }
  ... on ShippingUnavailable { options { id name price { amount } } }
  ... on DiscountRefused { discountCode reason }
} } }"""


@pytest.fixture
def lamp():
    TaxRateFactory(percent=19)
    return VariantFactory(sku="LAMP", product__title="Lamp", price=Decimal(119))


@pytest.fixture
def code(api):
    """`code("apply", "TEN", …)`: the payload, which holds a cart or errors, never both."""

    def run(name, text, **given):
        payload = api(CODES, name, input={"code": text, **given})["payload"]
        assert (payload["cart"] is None) == bool(payload["userErrors"])
        return payload

    return run


def test_a_cart_and_its_order_explain_the_same_total(api, lamp, ready, do, code):
    DiscountFactory(code="TEN")
    cart = ready(lamp)
    code("apply", "ten")
    priced = api(CART, code=cart["code"])["cart"]
    eur = {name: {"amount": amount, "currency": "EUR"} for name, amount in {
        "subtotal": "119.00", "discount": "11.90", "shipping": "4.90", "net": "94.12", "tax": "17.88",
        "total": "112.00"}.items()}  # fmt: skip
    assert {name: priced[name] for name in eur} == eur
    assert priced["lines"] == [
        {"discount": {"amount": "11.90"}, "net": {"amount": "90.00"}, "tax": {"amount": "17.10"},
         "gross": {"amount": "107.10"}}
    ]  # fmt: skip
    steps = [
        (step["kind"], step["label"], step["amount"]["amount"], step["code"], step["rate"], step["included"])
        for step in priced["priceTrace"]
    ]
    shipping = models.ShippingMethod.objects.get().name
    assert steps == [
        ("GOODS", "1 × Lamp", "119.00", "LAMP", None, False),
        ("DISCOUNT", "TEN: percentage of the goods", "-11.90", "TEN", "10", False),
        ("SHIPPING", shipping, "4.90", None, None, False),
        ("TAX", "VAT on Lamp", "17.10", "LAMP", "19", True),
        ("TAX", f"VAT on {shipping}", "0.78", None, "19", True),
    ]
    order = do("placeOrder", cartCode=cart["code"], expectedTotal="112.00")["order"]
    models.TaxRate.objects.all().delete()
    models.ProductVariant.objects.update(price=1)
    assert api(ORDER, receipt=order["receipt"])["order"] == {**priced, "pricesIncludeTax": True}


def test_tax_on_top_is_told_as_such(api, lamp, ready, settings):
    settings.PRICES_INCLUDE_TAX = False
    cart = api(CART, code=ready(lamp)["code"])["cart"]
    assert (cart["net"]["amount"], cart["tax"]["amount"], cart["total"]["amount"]) == ("123.90", "23.54", "147.44")
    assert {step["included"] for step in cart["priceTrace"]} == {False}
    assert sum(Decimal(step["amount"]["amount"]) for step in cart["priceTrace"]) == Decimal("147.44")


# ── codes ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_is_applied_and_taken_out(lamp, put, code):
    DiscountFactory(code="TEN")
    put(lamp)
    assert code("apply", " ten ")["cart"] == {"discountCodes": ["TEN"], "total": {"amount": "107.10"}}
    assert code("apply", "TEN")["cart"]["discountCodes"] == ["TEN"]
    assert code("remove", "ten")["cart"] == {"discountCodes": [], "total": {"amount": "119.00"}}
    (error,) = code("remove", "ten")["userErrors"]
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["code"])


def test_a_refused_code_says_why_with_what_is_missing(lamp, put, code):
    DiscountFactory(code="BIG", minimum_total=200)
    put(lamp)
    (error,) = code("apply", "big")["userErrors"]
    assert error.pop("message")
    assert error == {
        "__typename": "DiscountRefused",
        "code": "DISCOUNT_REFUSED",
        "field": ["code"],
        "discountCode": "BIG",
        "reason": "BELOW_MINIMUM",
        "minimum": {"amount": "200.00", "currency": "EUR"},
    }


def test_each_code_of_a_checkout_that_does_not_count_is_told_by_its_place(lamp, put, refusals, settings):
    settings.MAX_DISCOUNT_CODES = 3
    DiscountFactory(code="TEN")
    DiscountFactory(code="OLD", ends_at=timezone.now() - timedelta(days=1))
    put(lamp)
    refused = refusals("checkout", discountCodes=["ten", "old", "none"])
    assert [(error["code"], error["field"]) for error in refused] == [("DISCOUNT_REFUSED", ["discountCodes", "2"])]
    refused = refusals("checkout", discountCodes=["ten", "old"])
    assert [(error["code"], error["field"]) for error in refused] == [("DISCOUNT_REFUSED", ["discountCodes", "1"])]


def test_codes_may_be_given_with_everything_else(lamp, put, do, api):
    DiscountFactory(code="TEN")
    code = put(lamp)["code"]
    do("checkout", email="ada@example.com", discountCodes=["ten"])
    assert api(CART, code=code)["cart"]["discountCodes"] == ["TEN"]
    do("checkout", email="bob@example.com")
    assert api(CART, code=code)["cart"]["discountCodes"] == ["TEN"]
    do("checkout", discountCodes=[])
    assert api(CART, code=code)["cart"]["discountCodes"] == []


def test_whoever_tries_codes_is_told_no_more_after_some_tries(lamp, put, code, clock, refusals):
    put(lamp)
    most = throttle.LIMITS["discount"].address
    for number in range(most):
        assert code("apply", f"GUESS{number}")["userErrors"][0]["code"] == "DISCOUNT_REFUSED"
    DiscountFactory(code="TEN")
    for right_or_wrong in ("GUESS", "TEN"):
        assert code("apply", right_or_wrong)["userErrors"][0]["code"] == "RATE_LIMITED"
    (error,) = refusals("checkout", discountCodes=["TEN"])
    assert error["code"] == "RATE_LIMITED"
    assert code("remove", "TEN")["userErrors"][0]["code"] == "NOT_FOUND"
    clock.forward(seconds=throttle.LIMITS["discount"].seconds)
    assert code("apply", "TEN")["cart"]["discountCodes"] == ["TEN"]


def test_codes_that_count_may_be_tried_as_often_as_one_likes(lamp, put, code, monkeypatch):
    monkeypatch.setitem(throttle.LIMITS, "discount", throttle.Limit(seconds=900, address=2))
    DiscountFactory(code="TEN")
    DiscountFactory(code="BIG", minimum_total=1000)
    put(lamp)
    for _ in range(5):
        assert code("apply", "BIG")["userErrors"][0]["reason"] == "BELOW_MINIMUM"
        assert code("apply", "TEN")["cart"]
        assert code("remove", "TEN")["cart"]


@pytest.mark.parametrize("name", ["apply", "remove"])
def test_without_a_cart_there_is_nothing_to_apply_a_code_to(code, name):
    DiscountFactory(code="TEN")
    assert code(name, "TEN")["userErrors"][0]["code"] == "NOT_FOUND"


# ── problems ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def problems(api):
    """`problems(cart)`: of a cart, in its order."""
    return lambda cart: api(PROBLEMS, code=cart["code"])["cart"]["problems"]


def test_stock_that_fell_is_mended_by_the_line_and_what_is_left(ready, problems, do):
    variant = VariantFactory()
    cart = ready(variant, 5)
    models.Stock.objects.update(on_hand=3)
    (problem,) = problems(cart)
    assert problem == {
        "__typename": "InsufficientStock",
        "code": "INSUFFICIENT_STOCK",
        "field": ["lines", "0", "quantity"],
        "available": 3,
        "lineId": cart["lines"][0]["id"],
    }
    do("updateCartLine", lineId=problem["lineId"], quantity=problem["available"])
    assert problems(cart) == []


def test_goods_that_are_gone_are_mended_by_taking_the_line_out(ready, put, problems, do):
    gone = VariantFactory()
    cart = ready(gone)
    put()
    models.Product.objects.filter(pk=gone.product_id).update(published_at=None)
    (problem,) = problems(cart)
    assert (problem["__typename"], problem["field"]) == ("NotForSale", ["lines", "0"])
    do("removeFromCart", lineIds=[problem["lineId"]])
    assert problems(cart) == []


def test_a_changed_price_is_told_and_accepted_by_the_new_total_or_by_the_line(ready, problems, do, refusals):
    cart = ready(VariantFactory(price=Decimal("19.90")))
    models.ProductVariant.objects.update(price=Decimal("21.90"))
    (problem,) = problems(cart)
    assert problem == {
        "__typename": "PriceChanged",
        "code": "PRICE_CHANGED",
        "field": ["lines", "0", "unitPrice"],
        "lineId": cart["lines"][0]["id"],
        "before": {"amount": "19.90"},
        "now": {"amount": "21.90", "currency": "EUR"},
    }
    (refused,) = refusals("placeOrder", cartCode=cart["code"], expectedTotal=cart["total"]["amount"])
    assert (refused["__typename"], refused["actual"]["amount"]) == ("TotalChanged", "26.80")
    assert not models.Order.objects.exists()
    do("updateCartLine", lineId=problem["lineId"], quantity=1)
    assert problems(cart) == []
    models.ProductVariant.objects.update(price=Decimal("18.90"))
    assert [problem["code"] for problem in problems(cart)] == ["PRICE_CHANGED"]
    assert do("placeOrder", cartCode=cart["code"], expectedTotal="23.80")["order"]["state"] == "AWAITING_PAYMENT"


def test_a_way_of_shipping_that_no_longer_fits_is_mended_by_those_that_do(ready, problems, do):
    cart = ready()
    models.ShippingMethod.objects.update(is_active=False)
    other = ShippingMethodFactory(name="Van", price=Decimal(9))
    (problem,) = problems(cart)
    assert problem == {
        "__typename": "ShippingUnavailable",
        "code": "SHIPPING_UNAVAILABLE",
        "field": ["checkout", "shippingOption"],
        "options": [{"id": ids.encode("ShippingOption", other.pk), "name": "Van", "price": {"amount": "9.00"}}],
    }
    do("checkout", shippingOptionId=problem["options"][0]["id"])
    assert problems(cart) == []


def test_an_address_that_the_rules_no_longer_accept_is_told_by_its_part_with_the_rules(ready, problems):
    cart = ready()
    checkout = models.Checkout.objects.get()
    checkout.shipping_address = models.Address(name="Ada", line1="Am Hafen 1", city="Hamburg", country_code="DE")
    checkout.save()
    (problem,) = problems(cart)
    assert (problem["__typename"], problem["field"]) == (
        "AddressIncomplete",
        ["checkout", "shippingAddress", "postalCode"],
    )
    assert problem["rules"] == {"countryCode": "DE", "required": ["NAME", "LINE1", "CITY", "POSTAL_CODE"]}


def test_a_code_that_ended_is_mended_by_taking_it_out(ready, problems, code):
    discount = DiscountFactory(code="TEN")
    cart = ready()
    code("apply", "TEN")
    discount.ends_at = timezone.now()
    discount.save()
    (problem,) = problems(cart)
    assert (problem["discountCode"], problem["reason"], problem["field"]) == ("TEN", "OVER", ["discountCodes"])
    code("remove", problem["discountCode"])
    assert problems(cart) == []
