from dataclasses import replace
from decimal import Decimal

import pytest

from domain.base.contact import AddressIncomplete
from domain.base.errors import InvalidInput, NotFound
from domain.catalog.stock import InsufficientStock
from domain.sales import cart as carts
from domain.sales import checkout
from domain.sales.checkout import CartEmpty, EmailMissing
from domain.sales.priced_cart import load_priced_cart
from domain.sales.shipping import ShippingUnavailable
from storefront.models import Address, Cart, Product, ProductVariant, Stock, StockPolicy
from tests.factories import ADDRESS, NOW, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db


@pytest.fixture
def cart():
    return carts.add_lines(key=carts.CartKey(), lines=[carts.NewLine(VariantFactory().pk, 1)], now=NOW).cart


def update(cart, **given):
    checkout.update(key=carts.CartKey(code=cart.code, user=cart.user), now=NOW, **given)
    return Cart.objects.get(pk=cart.pk).checkout


def problems(cart):
    return checkout.problems(priced=load_priced_cart(cart=cart, now=NOW))


# ── noting what the buyer gives ──────────────────────────────────────────────────────────────────────


def test_what_is_not_given_stays_as_it_was(cart):
    method = ShippingMethodFactory()
    update(cart, email="ada@example.com", shipping_address=ADDRESS)
    update(cart, shipping_method_id=method.pk)
    now = update(cart, billing_address=replace(ADDRESS, city="Bremen"))
    assert (now.email, now.shipping_address, now.shipping_method) == ("ada@example.com", ADDRESS, method)
    assert now.billing_address.city == "Bremen"


def test_same_update_twice_changes_nothing(cart):
    given = {"email": "ada@example.com", "shipping_address": ADDRESS}
    once, twice = update(cart, **given), update(cart, **given)
    assert (once.email, once.shipping_address) == (twice.email, twice.shipping_address)


def test_user_s_own_email_is_taken_unless_another_is_given():
    user = UserFactory(email="me@example.com")
    cart = carts.add_lines(key=carts.CartKey(user=user), lines=[carts.NewLine(VariantFactory().pk, 1)], now=NOW).cart
    assert update(cart, shipping_address=ADDRESS).email == "me@example.com"
    assert update(cart, email="office@example.com").email == "office@example.com"


def test_email_is_trimmed_and_in_lower_case(cart):
    assert update(cart, email="  Ada@Example.COM ").email == "ada@example.com"


@pytest.mark.parametrize("email", ["", " ", "ada", "ada@", "@example.com", "a b@example.com", "a@b@example.com"])
def test_what_is_no_email_is_refused(cart, email):
    with pytest.raises(InvalidInput) as refused:
        update(cart, email=email)
    assert refused.value.field == ("email",)


def test_email_that_no_row_can_hold_is_refused(cart):
    with pytest.raises(InvalidInput):
        update(cart, email=f"{'a' * 250}@example.com")


def test_address_is_trimmed_and_its_country_in_upper_case(cart):
    given = Address(
        name="  Ada  Lovelace ", line1="Am Hafen\n1", city=" Hamburg ", postal_code=" 20457", country_code=" de "
    )
    assert update(cart, shipping_address=given).shipping_address == Address(
        name="Ada Lovelace", line1="Am Hafen 1", city="Hamburg", postal_code="20457", country_code="DE"
    )


@pytest.mark.parametrize("part", ["name", "line1", "city", "country_code"])
@pytest.mark.parametrize("nothing", ["", "  \t"])
def test_address_without_a_needed_part_is_refused(cart, part, nothing):
    with pytest.raises(AddressIncomplete) as refused:
        update(cart, shipping_address=replace(ADDRESS, **{part: nothing}))
    assert refused.value.field == ("shipping_address", part)


def test_each_part_that_is_missing_is_told(cart):
    with pytest.raises(ExceptionGroup) as refused:
        update(cart, billing_address=Address(name="", line1="", city="Hamburg", postal_code="20457", country_code="DE"))
    assert [error.field for error in refused.value.exceptions] == [
        ("billing_address", "name"),
        ("billing_address", "line1"),
    ]


def test_part_that_is_too_long_is_refused(cart):
    with pytest.raises(InvalidInput) as refused:
        update(cart, shipping_address=replace(ADDRESS, region="x" * 201))
    assert refused.value.field == ("shipping_address", "region")


@pytest.mark.parametrize("country", ["AQ", "XX", "DEU", "Germany"])
def test_address_abroad_is_refused(cart, country):
    with pytest.raises(AddressIncomplete) as refused:
        update(cart, shipping_address=replace(ADDRESS, country_code=country))
    assert refused.value.field == ("shipping_address", "country_code")


def test_refused_update_notes_nothing(cart):
    update(cart, email="ada@example.com")
    with pytest.raises(AddressIncomplete):
        update(cart, email="eve@example.com", shipping_address=replace(ADDRESS, city=""))
    assert Cart.objects.get().checkout.email == "ada@example.com"


# ── shipping ─────────────────────────────────────────────────────────────────────────────────────────


def test_method_is_refused_before_there_is_an_address(cart):
    method = ShippingMethodFactory()
    with pytest.raises(ShippingUnavailable):
        update(cart, shipping_method_id=method.pk)


@pytest.mark.parametrize("method", [{"countries": ["FR"]}, {"is_active": False}])
def test_method_that_is_not_offered_for_the_address_is_refused(cart, method):
    with pytest.raises(ShippingUnavailable) as refused:
        update(cart, shipping_address=ADDRESS, shipping_method_id=ShippingMethodFactory(**method).pk)
    assert refused.value.field == ("shipping_option_id",)


@pytest.mark.parametrize("unknown", [0, -1, 10**30])
def test_unknown_method_is_refused(cart, unknown):
    with pytest.raises(ShippingUnavailable):
        update(cart, shipping_address=ADDRESS, shipping_method_id=unknown)


def test_new_address_drops_a_method_that_does_not_deliver_there(cart):
    at_home = ShippingMethodFactory(countries=["DE"])
    update(cart, shipping_address=ADDRESS, shipping_method_id=at_home.pk)
    assert update(cart, shipping_address=replace(ADDRESS, country_code="FR")).shipping_method is None


def test_new_address_keeps_a_method_that_delivers_there(cart):
    method = ShippingMethodFactory(countries=["DE", "FR"])
    update(cart, shipping_address=ADDRESS, shipping_method_id=method.pk)
    assert update(cart, shipping_address=replace(ADDRESS, country_code="FR")).shipping_method == method


# ── whose checkout ───────────────────────────────────────────────────────────────────────────────────


def test_checkout_needs_a_cart():
    for key in (carts.CartKey(), carts.CartKey(user=UserFactory()), carts.CartKey(code="no-such-code")):
        with pytest.raises(NotFound):
            checkout.update(key=key, email="ada@example.com", now=NOW)


def test_account_s_checkout_opens_to_nobody_else(ready_cart):
    cart = ready_cart({VariantFactory(): 1}, UserFactory())
    for visitor in (None, UserFactory()):
        with pytest.raises(NotFound):
            checkout.update(key=carts.CartKey(code=cart.code, user=visitor), email="eve@example.com", now=NOW)


def test_checkout_of_an_order_is_locked(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(carts.CartLocked) as refused:
        update(order.cart, email="eve@example.com")
    assert refused.value.order == order


# ── what is still missing ────────────────────────────────────────────────────────────────────────────


def test_ready_cart_has_no_problems(ready_cart):
    assert problems(ready_cart({VariantFactory(): 1})) == []


def test_new_cart_needs_an_email_and_an_address(cart):
    assert [(type(problem), problem.field) for problem in problems(cart)] == [
        (EmailMissing, ("checkout", "email")),
        (AddressIncomplete, ("checkout", "shipping_address")),
    ]


def test_cart_with_an_address_needs_a_way_of_shipping(cart):
    update(cart, email="ada@example.com", shipping_address=ADDRESS)
    (problem,) = problems(cart)
    assert (type(problem), problem.field) == (ShippingUnavailable, ("checkout", "shipping_option"))


def test_method_that_was_withdrawn_has_to_be_chosen_again(ready_cart):
    method = ShippingMethodFactory()
    cart = ready_cart({VariantFactory(): 1}, shipping=method)
    method.is_active = False
    method.save()
    assert [type(problem) for problem in problems(cart)] == [ShippingUnavailable]
    method.delete()
    assert [type(problem) for problem in problems(cart)] == [ShippingUnavailable]


def test_empty_cart_is_a_problem(ready_cart):
    cart = ready_cart({VariantFactory(): 1})
    carts.clear(key=carts.CartKey(code=cart.code), now=NOW)
    (problem,) = problems(cart)
    assert (type(problem), problem.field) == (CartEmpty, ("lines",))


def test_line_that_is_no_longer_for_sale_is_a_problem(ready_cart):
    fine, withdrawn = VariantFactory.create_batch(2)
    cart = ready_cart({fine: 1, withdrawn: 1})
    Product.objects.filter(pk=withdrawn.product_id).update(published_at=None)
    (problem,) = problems(cart)
    assert (type(problem), problem.field) == (carts.NotForSale, ("lines", "1"))


def test_line_whose_stock_fell_is_a_problem(ready_cart):
    variant = VariantFactory()
    cart = ready_cart({variant: 5})
    Stock.objects.update(on_hand=4)
    (problem,) = problems(cart)
    assert (type(problem), problem.available, problem.field) == (InsufficientStock, 4, ("lines", "0", "quantity"))


def test_messages_name_the_product_as_the_buyer_knows_it(ready_cart):
    shirt, mug, rug, cap = (
        VariantFactory(product__title=title, option1=size)
        for title, size in (("Shirt", "M"), ("Mug", ""), ("Rug", ""), ("Cap", ""))
    )
    cart = ready_cart({shirt: 5, mug: 5, rug: 1, cap: 1})
    Stock.objects.filter(variant=shirt).update(on_hand=1)
    Stock.objects.filter(variant=mug).update(on_hand=0)
    Product.objects.filter(pk=rug.product_id).update(published_at=None)
    ProductVariant.objects.filter(pk=cap.pk).update(price=Decimal(5))
    assert [problem.message for problem in problems(cart)] == [
        "Only 1 left of Shirt, M.",
        "Mug is sold out.",
        "Rug is no longer for sale.",
        "The price of Cap has changed from 19.90 to 5.00 EUR.",
    ]


@pytest.mark.parametrize("policy", [StockPolicy.BACKORDER, StockPolicy.UNTRACKED])
def test_line_that_sells_on_without_stock_is_no_problem(ready_cart, policy):
    assert problems(ready_cart({VariantFactory(stock__on_hand=0, stock__policy=policy): 5})) == []


def test_all_problems_are_told_at_once(cart):
    Stock.objects.update(on_hand=0)
    assert [type(problem) for problem in problems(cart)] == [InsufficientStock, EmailMissing, AddressIncomplete]


def test_price_of_the_method_is_in_the_total_as_soon_as_it_is_chosen(cart):
    method = ShippingMethodFactory(price=Decimal("7.50"))
    update(cart, shipping_address=ADDRESS, shipping_method_id=method.pk)
    assert totals(Cart.objects.get()).shipping == Decimal("7.50")
