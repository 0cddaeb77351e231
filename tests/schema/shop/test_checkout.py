"""`checkout` over the wire: who, where to, how, in any order and again and again."""

from decimal import Decimal

import pytest

from schema.base import ids
from storefront import models
from tests.factories import ShippingMethodFactory, UserFactory

pytestmark = pytest.mark.django_db

ADDRESS = {"name": "Ada", "line1": "Am Hafen 1", "postalCode": "20457", "city": "Hamburg", "countryCode": "DE"}


def option(method):
    return ids.encode("ShippingOption", method.pk)


KINDS = {"ADDRESS_INCOMPLETE": "AddressIncomplete", "SHIPPING_UNAVAILABLE": "ShippingUnavailable"}


def told(*errors):
    return [{"__typename": KINDS.get(code, "InvalidInput"), "code": code, "field": field} for code, field in errors]


def test_everything_can_be_given_at_once(put, do):
    put()
    method = ShippingMethodFactory(name="Standard", price=Decimal("4.90"), estimate="2-4 days")
    billing = ADDRESS | {"name": "Ada Ltd", "line2": "Floor 2", "region": "HH", "phone": "+4940428310"}
    cart = do(
        "checkout",
        email=" Ada@Example.COM ",
        shippingAddress=ADDRESS,
        billingAddress=billing,
        shippingOptionId=option(method),
    )["cart"]
    assert cart["checkout"] == {
        "email": "ada@example.com",
        "ready": True,
        "shippingAddress": ADDRESS | {"line2": "", "region": "", "phone": ""},
        "billingAddress": billing,
        "shippingOption": {"id": option(method), "name": "Standard"},
        "shippingOptions": [
            {
                "id": option(method),
                "name": "Standard",
                "estimate": "2-4 days",
                "price": {"amount": "4.90", "currency": "EUR"},
            }
        ],
    }
    assert (cart["problems"], cart["shipping"]["amount"], cart["total"]["amount"]) == ([], "4.90", "24.80")


def test_what_is_left_out_stays_as_it_was(put, do):
    put()
    method = ShippingMethodFactory()
    do("checkout", email="ada@example.com")
    do("checkout", shippingAddress=ADDRESS)
    checkout = do("checkout", shippingOptionId=option(method))["cart"]["checkout"]
    assert (checkout["email"], checkout["shippingAddress"]["city"]) == ("ada@example.com", "Hamburg")
    assert checkout["ready"]
    assert do("checkout", email=None, shippingAddress=None)["cart"]["checkout"] == checkout
    assert do("checkout")["cart"]["checkout"] == checkout


def test_it_says_what_is_still_missing(put, do):
    put()
    method = ShippingMethodFactory()
    cart = do("checkout", shippingAddress=ADDRESS)["cart"]
    assert cart["checkout"]["ready"] is False
    assert [(problem["code"], problem["field"]) for problem in cart["problems"]] == [
        ("EMAIL_MISSING", ["checkout", "email"]),
        ("SHIPPING_UNAVAILABLE", ["checkout", "shippingOption"]),
    ]
    cart = do("checkout", email="ada@example.com", shippingOptionId=option(method))["cart"]
    assert (cart["checkout"]["ready"], cart["problems"]) == (True, [])


def test_without_an_address_nothing_can_be_chosen(put, do, refusals):
    put()
    method = ShippingMethodFactory()
    assert do("checkout", email="ada@example.com")["cart"]["checkout"]["shippingOptions"] == []
    refused = refusals("checkout", shippingOptionId=option(method))
    assert refused == told(("SHIPPING_UNAVAILABLE", ["shippingOptionId"]))


def test_what_can_be_chosen_goes_by_country_in_the_shops_order(put, do):
    put()
    ShippingMethodFactory(name="Anywhere", position=2)
    ShippingMethodFactory(name="Germany", countries=["DE"], position=1)
    ShippingMethodFactory(name="Austria", countries=["AT"], position=0)
    ShippingMethodFactory(name="No longer", is_active=False)
    checkout = do("checkout", shippingAddress=ADDRESS)["cart"]["checkout"]
    assert [option["name"] for option in checkout["shippingOptions"]] == ["Germany", "Anywhere"]


def test_a_new_country_drops_an_option_that_does_not_deliver_there(put, do):
    put()
    method = ShippingMethodFactory(countries=["DE"])
    do("checkout", shippingAddress=ADDRESS, shippingOptionId=option(method))
    cart = do("checkout", shippingAddress=ADDRESS | {"countryCode": "at", "postalCode": "1010"})["cart"]
    assert cart["checkout"]["shippingOption"] is None
    assert cart["checkout"]["shippingAddress"]["countryCode"] == "AT"
    assert cart["shipping"]["amount"] == "0.00"


def test_an_account_need_not_repeat_its_email(api, put, do):
    api.client.force_login(UserFactory(email="ada@example.com"))
    put()
    assert do("checkout", shippingAddress=ADDRESS)["cart"]["checkout"]["email"] == "ada@example.com"


@pytest.mark.parametrize(
    "email",
    ["", " ", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@example.com\nBcc: x@example.com"],
)
def test_what_is_no_email_is_refused(put, refusals, email):
    put()
    assert refusals("checkout", email=email) == told(("INVALID", ["email"]))


def test_an_email_too_long_to_keep_is_refused(put, refusals):
    put()
    domain = ".".join(["x" * 60] * 4)
    assert refusals("checkout", email=f"{'a' * 20}@{domain}.com") == told(("INVALID", ["email"]))


def test_every_missing_part_of_an_address_is_told(put, refusals):
    put()
    empty = {"name": " ", "line1": "", "city": "\t", "countryCode": ""}
    assert refusals("checkout", shippingAddress=empty) == told(
        ("ADDRESS_INCOMPLETE", ["shippingAddress", "name"]),
        ("ADDRESS_INCOMPLETE", ["shippingAddress", "line1"]),
        ("ADDRESS_INCOMPLETE", ["shippingAddress", "countryCode"]),
    )
    assert refusals("checkout", shippingAddress=empty | {"countryCode": "US"}) == told(
        *[
            ("ADDRESS_INCOMPLETE", ["shippingAddress", part])
            for part in ("name", "line1", "city", "region", "postalCode")
        ]
    )
    assert refusals("checkout", billingAddress=ADDRESS | {"name": ""}) == told(
        ("ADDRESS_INCOMPLETE", ["billingAddress", "name"])
    )


@pytest.mark.parametrize("country", ["XX", "DEU", "Germany", "D", "ß"])
def test_a_country_that_the_shop_does_not_sell_to_is_refused(put, refusals, country):
    put()
    refused = refusals("checkout", shippingAddress=ADDRESS | {"countryCode": country})
    assert refused == told(("ADDRESS_INCOMPLETE", ["shippingAddress", "countryCode"]))


def test_a_part_that_is_too_long_is_refused(put, refusals):
    put()
    refused = refusals("checkout", shippingAddress=ADDRESS | {"postalCode": "9" * 201})
    assert refused == told(("INVALID", ["shippingAddress", "postalCode"]))


@pytest.mark.parametrize("address", [{}, {"name": "Ada"}, ADDRESS | {"planet": "Earth"}, ADDRESS | {"name": None}, "x"])
def test_an_address_of_another_shape_is_a_mistake_of_the_front_end(bad_input, address):
    bad_input("checkout", shippingAddress=address)


@pytest.mark.parametrize("junk", ["", "junk", ids.encode("ShippingMethod", 1), ids.encode("Product", 1)])
def test_what_is_no_id_of_an_option_is_not_found(put, refusals, junk):
    put()
    refused = refusals("checkout", shippingAddress=ADDRESS, shippingOptionId=junk)
    assert refused == told(("NOT_FOUND", ["shippingOptionId"]))


def test_an_option_that_is_not_offered_is_refused_and_nothing_is_noted(put, refusals, ask):
    put()
    elsewhere = ShippingMethodFactory(countries=["AT"])
    for chosen in (option(elsewhere), ids.encode("ShippingOption", 10**9)):
        refused = refusals("checkout", email="ada@example.com", shippingAddress=ADDRESS, shippingOptionId=chosen)
        assert refused == told(("SHIPPING_UNAVAILABLE", ["shippingOptionId"]))
    assert ask("cart")["checkout"] is None


def test_text_of_any_script_is_kept_as_it_is(put, do):
    put()
    address = ADDRESS | {"name": "Łukasz 😀 O'Brien <b>", "city": "北京"}
    kept = do("checkout", shippingAddress=address)["cart"]["checkout"]["shippingAddress"]
    assert (kept["name"], kept["city"]) == ("Łukasz 😀 O'Brien <b>", "北京")


def test_an_option_that_was_withdrawn_is_a_problem(ready, ask):
    ready()
    models.ShippingMethod.objects.update(is_active=False)
    cart = ask("cart")
    assert cart["checkout"]["ready"] is False
    assert [problem["code"] for problem in cart["problems"]] == ["SHIPPING_UNAVAILABLE"]
