"""The cart over the wire: what each mutation hands back, and each way it refuses."""

from decimal import Decimal

import pytest
from django.test import Client

from schema.base import ids
from storefront import models
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

UNKNOWN_CART = {"__typename": "InvalidInput", "code": "NOT_FOUND", "field": ["cartCode"]}
UNKNOWN_LINE = {"__typename": "InvalidInput", "code": "NOT_FOUND", "field": ["lineId"]}


def invalid(*field):
    return {"__typename": "InvalidInput", "code": "INVALID", "field": list(field)}


@pytest.fixture
def line_id(put):
    """The id of the one line, of 2 units, in the cart of the cookie."""
    return lambda variant=None: put(variant, 2)["lines"][0]["id"]


# ── addToCart ────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_thing_added_makes_the_cart(put, variant_id):
    variant = VariantFactory(price=Decimal("19.90"), sku="MUG")
    cart = put(variant, 2)
    (line,) = cart.pop("lines")
    assert all([line.pop("id"), cart.pop("id"), cart.pop("code")])
    assert line == {
        "quantity": 2,
        "unitPrice": {"amount": "19.90"},
        "total": {"amount": "39.80"},
        "variant": {"id": variant_id(variant), "sku": "MUG"},
    }
    problems = cart.pop("problems")
    assert cart == {
        "state": "ACTIVE",
        "totalQuantity": 2,
        "subtotal": {"amount": "39.80"},
        "discount": {"amount": "0.00"},
        "shipping": {"amount": "0.00"},
        "tax": {"amount": "0.00"},
        "total": {"amount": "39.80", "currency": "EUR"},
        "checkout": None,
        "order": None,
    }
    assert [problem["code"] for problem in problems] == ["EMAIL_MISSING", "ADDRESS_INCOMPLETE"]


def test_a_quantity_that_is_left_out_is_one(do, variant_id):
    assert do("addToCart", lines=[{"variantId": variant_id(VariantFactory())}])["cart"]["totalQuantity"] == 1


def test_the_same_variant_again_becomes_more_of_it(put):
    variant = VariantFactory()
    first, second = put(variant, 2), put(variant, 3)
    assert second["lines"][0] == first["lines"][0] | {"quantity": 5, "total": second["subtotal"]}
    assert len(second["lines"]) == 1


def test_the_same_variant_twice_in_one_call_becomes_one_line(do, variant_id):
    line = {"variantId": variant_id(VariantFactory()), "quantity": 2}
    cart = do("addToCart", lines=[line, line])["cart"]
    assert [line["quantity"] for line in cart["lines"]] == [4]


def test_lines_keep_the_order_in_which_they_were_added(put):
    for sku in ("B", "A", "C"):
        cart = put(VariantFactory(sku=sku))
    assert [line["variant"]["sku"] for line in cart["lines"]] == ["B", "A", "C"]


def test_the_browser_remembers_which_cart_is_its(put, ask):
    code = put()["code"]
    assert put()["code"] == code
    assert ask("cart")["code"] == ask("cart", code=code)["code"] == code


def test_without_cookies_the_code_is_the_key(api, put):
    code = put()["code"]
    api.client.cookies.clear()
    assert put(cartCode=code)["totalQuantity"] == 2
    api.client.cookies.clear()
    assert put()["code"] != code


def test_several_mutations_of_one_request_share_the_new_cart(api, variant_id):
    add = 'addToCart(input: {lines: [{variantId: "%s"}]}) { cart { code totalQuantity } }'
    first, second = (add % variant_id(VariantFactory()) for _ in range(2))
    answer = api(f"mutation {{ a: {first} b: {second} }}")
    assert answer["a"]["cart"]["code"] == answer["b"]["cart"]["code"]
    assert answer["b"]["cart"]["totalQuantity"] == 2


def test_more_than_there_is_is_refused_with_what_there_is(refusals, variant_id):
    variant = VariantFactory(stock__on_hand=3, stock__reserved=1, sku="RARE")
    lines = [
        {"variantId": variant_id(VariantFactory()), "quantity": 1},
        {"variantId": variant_id(variant), "quantity": 5},
    ]
    assert refusals("addToCart", lines=lines) == [
        {
            "__typename": "InsufficientStock",
            "code": "INSUFFICIENT_STOCK",
            "field": ["lines", "1", "quantity"],
            "requested": 5,
            "available": 2,
            "variant": {"id": variant_id(variant), "sku": "RARE"},
        }
    ]
    assert not models.CartLine.objects.exists()


def test_what_is_in_the_cart_already_counts(put, refusals, variant_id):
    variant = VariantFactory(stock__on_hand=3)
    put(variant, 2)
    (error,) = refusals("addToCart", lines=[{"variantId": variant_id(variant), "quantity": 2}])
    assert (error["requested"], error["available"]) == (4, 3)


def test_every_line_that_cannot_be_is_told_at_once(refusals, variant_id):
    lines = [
        {"variantId": variant_id(VariantFactory(stock__on_hand=0))},
        {"variantId": variant_id(VariantFactory(product__published_at=None))},
        {"variantId": ids.encode("ProductVariant", 10**9)},
    ]
    errors = refusals("addToCart", lines=lines)
    assert [(error["code"], error["field"]) for error in errors] == [
        ("INSUFFICIENT_STOCK", ["lines", "0", "quantity"]),
        ("NOT_FOR_SALE", ["lines", "1", "variantId"]),
        ("NOT_FOR_SALE", ["lines", "2", "variantId"]),
    ]


@pytest.mark.parametrize("junk", ["", "junk", "1", ids.encode("Product", 1), ids.encode("ProductVariant", "x")])
def test_what_is_no_id_of_a_variant_is_not_found(refusals, junk):
    assert refusals("addToCart", lines=[{"variantId": junk}]) == [
        {"__typename": "InvalidInput", "code": "NOT_FOUND", "field": ["lines", "0", "variantId"]}
    ]


@pytest.mark.parametrize("quantity", [0, -1, 10_000, -(2**31), 2**31 - 1])
def test_a_quantity_is_from_1_to_9999(refusals, variant_id, quantity):
    lines = [{"variantId": variant_id(VariantFactory(stock__policy="UNTRACKED")), "quantity": quantity}]
    assert refusals("addToCart", lines=lines) == [invalid("lines", "0", "quantity")]


def test_a_line_never_grows_past_9999(put, refusals, variant_id):
    variant = VariantFactory(stock__policy="UNTRACKED")
    put(variant, 9_999)
    (error,) = refusals("addToCart", lines=[{"variantId": variant_id(variant)}])
    assert error == invalid("lines", "0", "quantity")


@pytest.mark.parametrize("quantity", [2**31, "two", "1", 1.5, None, [1], True])
def test_a_quantity_that_is_no_whole_number_is_a_mistake_of_the_front_end(bad_input, quantity):
    bad_input("addToCart", lines=[{"variantId": "x", "quantity": quantity}])


@pytest.mark.parametrize("lines", [None, [None], [{}], "x", [{"variantId": "x", "colour": "red"}]])
def test_lines_of_another_shape_are_a_mistake_of_the_front_end(bad_input, lines):
    bad_input("addToCart", lines=lines)


def test_1_to_200_lines_are_taken(refusals, do, variant_id):
    line = {"variantId": variant_id(VariantFactory(stock__policy="UNTRACKED"))}
    assert refusals("addToCart", lines=[]) == [invalid("lines")]
    assert refusals("addToCart", lines=[line] * 201) == [invalid("lines")]
    assert do("addToCart", lines=[line] * 200)["cart"]["totalQuantity"] == 200


# ── updateCartLine, removeFromCart, clearCart ────────────────────────────────────────────────────────


def test_a_quantity_is_set_and_set_again_changes_nothing(do, line_id):
    line = line_id()
    for _ in range(2):
        cart = do("updateCartLine", lineId=line, quantity=7)["cart"]
        assert [line["quantity"] for line in cart["lines"]] == [7]


def test_zero_takes_the_line_out(do, line_id):
    cart = do("updateCartLine", lineId=line_id(), quantity=0)["cart"]
    assert (cart["lines"], cart["total"]["amount"]) == ([], "0.00")


@pytest.mark.parametrize("quantity", [-1, 10_000])
def test_a_quantity_to_set_is_from_0_to_9999(refusals, line_id, quantity):
    assert refusals("updateCartLine", lineId=line_id(), quantity=quantity) == [invalid("quantity")]


def test_a_line_can_be_lowered_but_not_raised_past_the_stock(do, refusals, line_id, variant_id):
    variant = VariantFactory(stock__on_hand=5)
    line = line_id(variant)
    models.Stock.objects.filter(pk=variant.pk).update(on_hand=0)
    assert refusals("updateCartLine", lineId=line, quantity=3) == [
        {
            "__typename": "InsufficientStock",
            "code": "INSUFFICIENT_STOCK",
            "field": ["quantity"],
            "requested": 3,
            "available": 0,
            "variant": {"id": variant_id(variant), "sku": variant.sku},
        }
    ]
    assert do("updateCartLine", lineId=line, quantity=1)["cart"]["totalQuantity"] == 1


def test_what_is_withdrawn_cannot_be_raised(refusals, line_id):
    variant = VariantFactory()
    line = line_id(variant)
    models.Product.objects.update(published_at=None)
    (error,) = refusals("updateCartLine", lineId=line, quantity=3)
    assert (error["code"], error["field"]) == ("NOT_FOR_SALE", ["lineId"])


def test_lines_are_taken_out(put, do):
    put()
    lines = put()["lines"]
    cart = do("removeFromCart", lineIds=[lines[0]["id"]])["cart"]
    assert cart["lines"] == lines[1:]


def test_lines_are_taken_out_all_or_none(put, refusals, ask):
    lines = put()["lines"]
    wanted = [lines[0]["id"], "junk"]
    (error,) = refusals("removeFromCart", lineIds=wanted)
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["lineIds", "1"])
    assert ask("cart")["lines"] == lines


def test_a_cleared_cart_stays_the_same_cart(put, do, api):
    code = put()["code"]
    cart = do("clearCart", cartCode=code)["cart"]
    assert (cart["code"], cart["lines"], cart["state"]) == (code, [], "ACTIVE")
    assert [problem["code"] for problem in cart["problems"]] == ["CART_EMPTY", "EMAIL_MISSING", "ADDRESS_INCOMPLETE"]
    assert api("mutation { clearCart { cart { code } } }")["clearCart"]["cart"] == {"code": code}


@pytest.mark.parametrize("junk", ["", "junk", ids.encode("CartLine", "x"), ids.encode("Cart", "0" * 32)])
def test_what_is_no_id_of_a_line_is_not_found(put, refusals, junk):
    put()
    assert refusals("updateCartLine", lineId=junk, quantity=1) == [UNKNOWN_LINE]
    (error,) = refusals("removeFromCart", lineIds=[junk])
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["lineIds", "0"])


def test_the_line_of_another_cart_is_as_unknown_as_one_that_does_not_exist(api, put, refusals, line_id):
    theirs = line_id()
    api.client.cookies.clear()
    put()
    unknown = ids.encode("CartLine", "00000000-0000-0000-0000-000000000000")
    assert refusals("updateCartLine", lineId=theirs, quantity=1) == [UNKNOWN_LINE]
    assert refusals("updateCartLine", lineId=unknown, quantity=1) == [UNKNOWN_LINE]
    assert refusals("removeFromCart", lineIds=[theirs]) == refusals("removeFromCart", lineIds=[unknown])


# ── whose cart ───────────────────────────────────────────────────────────────────────────────────────


def _on(code, variant="x"):
    """Every mutation of a cart, on the cart of a code."""
    line = ids.encode("CartLine", "00000000-0000-0000-0000-000000000000")
    return {
        "addToCart": {"cartCode": code, "lines": [{"variantId": variant}]},
        "updateCartLine": {"cartCode": code, "lineId": line, "quantity": 1},
        "removeFromCart": {"cartCode": code, "lineIds": [line]},
        "clearCart": {"cartCode": code},
        "checkout": {"cartCode": code, "email": "ada@example.com"},
        "placeOrder": {"cartCode": code, "expectedTotal": "1.00"},
    }


@pytest.mark.parametrize("name", _on(""))
@pytest.mark.parametrize("code", ["", "nobody's", "x" * 5_000])
def test_a_code_that_nobody_has_is_not_found(refusals, variant_id, name, code):
    given = _on(code, variant_id(VariantFactory()))[name]
    assert refusals(name, **given) == [UNKNOWN_CART]


@pytest.mark.parametrize("name", _on(""))
def test_an_accounts_cart_is_as_unknown_to_others_as_one_that_does_not_exist(api, put, ask, refusals, variant_id, name):
    api.client.force_login(UserFactory())
    code = put()["code"]
    given = _on(code, variant_id(VariantFactory()))[name]
    for stranger in (None, UserFactory(), models.User.objects.create_superuser("owner@example.com")):
        api.client.logout()
        if stranger:
            api.client.force_login(stranger)
        assert refusals(name, **given) == [UNKNOWN_CART]
        assert ask("cart", code=code) is None
    assert models.CartLine.objects.count() == 1


@pytest.mark.parametrize("name", sorted(_on("").keys() - {"addToCart"}))
def test_without_any_cart_there_is_nothing_to_change(refusals, name):
    given = _on("")[name]
    del given["cartCode"]
    assert refusals(name, **given) == [UNKNOWN_CART]


def test_nobody_has_a_cart_before_the_first_thing_is_added(ask):
    assert ask("cart") is None
    assert ask("cart", code="nobody's") is None


def test_an_account_has_one_cart_on_all_its_devices(put, ask, api):
    user = UserFactory()
    codes = set()
    for _ in range(3):
        api.client = Client(headers={"accept": "application/json"})
        api.client.force_login(user)
        codes.add(put()["code"])
        assert "cart" not in api.client.cookies
    assert len(codes) == 1
    assert ask("cart")["totalQuantity"] == 3
    assert models.Cart.objects.filter(user=user).count() == 1


def test_an_account_may_fill_a_guests_cart_by_its_code(api, put, ask):
    guests = put()["code"]
    api.client.force_login(UserFactory())
    assert put(cartCode=guests)["totalQuantity"] == 2
    assert ask("cart") is None


# ── a cart that became an order ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(_on("").keys() - {"placeOrder"}))
def test_a_cart_that_became_an_order_is_locked_and_names_it(ready, do, refusals, variant_id, name):
    cart = ready()
    order = do("placeOrder", cartCode=cart["code"], expectedTotal=cart["total"]["amount"])["order"]
    given = _on(cart["code"], variant_id(VariantFactory()))[name]
    assert refusals(name, **given) == [
        {
            "__typename": "CartLocked",
            "code": "CART_LOCKED",
            "field": ["cartCode"],
            "order": {"number": order["number"]},
        }
    ]


def test_a_cart_that_became_an_order_is_shown_by_its_code_only(ready, do, ask):
    cart = ready()
    order = do("placeOrder", expectedTotal=cart["total"]["amount"])["order"]
    assert ask("cart") is None
    found = ask("cart", code=cart["code"])
    assert (found["state"], found["order"], found["problems"]) == ("CONVERTED", {"id": order["id"]}, [])


def test_after_an_order_the_next_thing_goes_into_a_new_cart(ready, do, put):
    cart = ready()
    do("placeOrder", expectedTotal=cart["total"]["amount"])
    fresh = put()
    assert fresh["code"] != cart["code"]
    assert (fresh["totalQuantity"], fresh["checkout"]) == (1, None)


def test_a_cart_that_was_merged_into_another_is_locked_without_an_order(put, refusals):
    code = put()["code"]
    models.Cart.objects.update(state=models.CartState.MERGED)
    (error,) = refusals("clearCart", cartCode=code)
    assert error == {"__typename": "CartLocked", "code": "CART_LOCKED", "field": ["cartCode"], "order": None}


def test_prices_in_a_cart_are_todays(put, ask):
    variant = VariantFactory(price=Decimal(10))
    put(variant, 2)
    models.ProductVariant.objects.filter(pk=variant.pk).update(price=Decimal("12.345"))
    assert ask("cart")["total"]["amount"] == "24.70", "12.35, as it is shown, twice"


def test_problems_name_the_line_that_has_them(put, ask, variant_id):
    put()
    gone = VariantFactory(stock__on_hand=2)
    put(gone, 2)
    models.Stock.objects.filter(pk=gone.pk).update(on_hand=1)
    withdrawn = VariantFactory()
    put(withdrawn)
    models.Product.objects.filter(pk=withdrawn.product_id).update(published_at=None)
    problems = ask("cart")["problems"]
    assert [(problem["code"], problem["field"]) for problem in problems] == [
        ("INSUFFICIENT_STOCK", ["lines", "1", "quantity"]),
        ("NOT_FOR_SALE", ["lines", "2"]),
        ("EMAIL_MISSING", ["checkout", "email"]),
        ("ADDRESS_INCOMPLETE", ["checkout", "shippingAddress"]),
    ]
    assert problems[0]["variant"]["id"] == variant_id(gone)
