import uuid
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.base.errors import InvalidInput, NotFound
from domain.catalog.stock import InsufficientStock
from domain.sales import cart as carts
from domain.sales import orders
from storefront.models import Cart, CartLine, CartState, Product, ProductVariant, Stock, StockPolicy
from tests.factories import NOW, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db

GUEST = carts.CartKey()


def add(lines, key=GUEST):
    wanted = [carts.NewLine(variant.pk, quantity) for variant, quantity in lines.items()]
    return carts.add_lines(key=key, lines=wanted, now=NOW).cart


def by_code(cart, user=None):
    return carts.CartKey(code=cart.code, user=user)


def lines_of(cart):
    """As they are in the database now."""
    return CartLine.objects.filter(cart=cart)


def contents(cart):
    return {line.variant: line.quantity for line in lines_of(cart)}


def set_quantity(cart, quantity):
    return carts.set_quantity(key=by_code(cart), line_id=lines_of(cart).get().pk, quantity=quantity, now=NOW)


# ── adding ───────────────────────────────────────────────────────────────────────────────────────────


def test_first_line_creates_the_cart():
    variant = VariantFactory()
    cart = add({variant: 2})
    assert (cart.state, contents(cart)) == (CartState.ACTIVE, {variant: 2})


def test_same_variant_twice_becomes_one_line():
    variant = VariantFactory()
    cart = add({variant: 2})
    add({variant: 3}, by_code(cart))
    assert [(line.variant_id, line.quantity) for line in lines_of(cart)] == [(variant.pk, 5)]


def test_same_variant_twice_in_one_request_becomes_one_line():
    variant = VariantFactory()
    cart = carts.add_lines(key=GUEST, lines=[carts.NewLine(variant.pk, 1), carts.NewLine(variant.pk, 2)], now=NOW).cart
    assert contents(cart) == {variant: 3}


def test_lines_keep_the_order_in_which_they_were_added():
    first, second, third = VariantFactory.create_batch(3)
    cart = add({second: 1})
    add({third: 1, first: 1}, by_code(cart))
    add({second: 1}, by_code(cart))
    assert list(contents(cart)) == [second, third, first]


def test_guest_who_states_no_code_gets_a_cart_of_their_own():
    variant = VariantFactory()
    assert add({variant: 1}) != add({variant: 1})


def test_codes_cannot_be_guessed():
    codes = {add({VariantFactory(): 1}).code for _ in range(5)}
    assert len(codes) == 5
    assert min(map(len, codes)) >= 32


@pytest.mark.parametrize("quantity", [0, -1, 10_000, 10**30])
def test_quantity_out_of_range_is_refused(quantity):
    with pytest.raises(InvalidInput) as refused:
        add({VariantFactory(stock__on_hand=20_000): quantity})
    assert refused.value.field == ("lines", "0", "quantity")
    assert not Cart.objects.exists()


def test_line_never_grows_past_the_largest_quantity():
    variant = VariantFactory(stock__on_hand=20_000)
    cart = add({variant: 9_999})
    with pytest.raises(InvalidInput):
        add({variant: 1}, by_code(cart))
    assert contents(cart) == {variant: 9_999}


@pytest.mark.parametrize("variant_id", [0, -1, 10**6, 10**18 - 1])
def test_unknown_variant_is_not_for_sale(variant_id):
    with pytest.raises(carts.NotForSale) as refused:
        carts.add_lines(key=GUEST, lines=[carts.NewLine(variant_id, 1)], now=NOW)
    assert refused.value.field == ("lines", "0", "variant_id")


def test_variant_of_an_unpublished_product_is_not_for_sale():
    with pytest.raises(carts.NotForSale):
        add({VariantFactory(product__published_at=None): 1})


def test_scheduled_product_is_for_sale_from_its_minute_on():
    soon = VariantFactory(product__published_at=NOW + timedelta(minutes=1))
    with pytest.raises(carts.NotForSale):
        add({soon: 1})
    at_once = VariantFactory(product__published_at=NOW)
    assert contents(add({at_once: 1})) == {at_once: 1}


def test_more_than_there_is_is_refused_with_what_there_is():
    variant = VariantFactory(stock__on_hand=10, stock__reserved=7)
    with pytest.raises(InsufficientStock) as refused:
        add({variant: 4})
    assert (refused.value.variant, refused.value.requested, refused.value.available) == (variant, 4, 3)
    assert refused.value.field == ("lines", "0", "quantity")


def test_sold_out_variant_is_refused():
    with pytest.raises(InsufficientStock) as refused:
        add({VariantFactory(stock__on_hand=0): 1})
    assert refused.value.available == 0


def test_what_is_in_the_cart_already_counts():
    variant = VariantFactory(stock__on_hand=5)
    cart = add({variant: 4})
    with pytest.raises(InsufficientStock) as refused:
        add({variant: 2}, by_code(cart))
    assert (refused.value.requested, refused.value.available) == (6, 5)


@pytest.mark.parametrize("policy", [StockPolicy.BACKORDER, StockPolicy.UNTRACKED])
def test_what_sells_on_without_stock_can_be_added(policy):
    variant = VariantFactory(stock__on_hand=0, stock__policy=policy)
    assert contents(add({variant: 50})) == {variant: 50}


def test_all_lines_are_added_or_none():
    fine, sold_out = VariantFactory(), VariantFactory(stock__on_hand=0)
    cart = add({fine: 1})
    with pytest.raises(InsufficientStock):
        add({fine: 1, sold_out: 1}, by_code(cart))
    assert contents(cart) == {fine: 1}


def test_refused_first_request_leaves_no_cart_behind():
    with pytest.raises(InsufficientStock):
        add({VariantFactory(stock__on_hand=0): 1})
    assert not Cart.objects.exists()


def test_each_line_that_cannot_be_is_told():
    sold_out, hidden = VariantFactory(stock__on_hand=0), VariantFactory(product__published_at=None)
    with pytest.raises(ExceptionGroup) as refused:
        add({VariantFactory(): 1, sold_out: 1, hidden: 1})
    assert [(type(error), error.field) for error in refused.value.exceptions] == [
        (InsufficientStock, ("lines", "1", "quantity")),
        (carts.NotForSale, ("lines", "2", "variant_id")),
    ]


@pytest.mark.parametrize("number", [0, carts.MAX_LINES + 1])
def test_request_without_lines_or_with_too_many_is_refused(number):
    with pytest.raises(InvalidInput):
        carts.add_lines(key=GUEST, lines=[carts.NewLine(1, 1)] * number, now=NOW)


def test_cart_holds_200_lines_and_no_more():
    product = VariantFactory().product
    variants = ProductVariant.objects.bulk_create(
        ProductVariant(product=product, sku=f"V{n}", option1=str(n), price=1) for n in range(carts.MAX_LINES)
    )
    Stock.objects.bulk_create(Stock(variant=variant, on_hand=1) for variant in variants)
    cart = add(dict.fromkeys(variants, 1))
    with pytest.raises(InvalidInput):
        add({product.variants.first(): 1}, by_code(cart))
    assert lines_of(cart).count() == carts.MAX_LINES


@pytest.mark.parametrize("already", [0, 1, 30])
def test_adding_costs_the_same_however_long_the_cart_is(already, statements):
    variants = VariantFactory.create_batch(31)
    cart = add(dict.fromkeys(variants[:already], 1)) if already else Cart.objects.create(updated_at=NOW)
    with statements() as counted:
        add({variants[30]: 1}, by_code(cart))
    assert len(counted) == 7


# ── whose cart ───────────────────────────────────────────────────────────────────────────────────────


def test_user_without_a_code_has_one_active_cart():
    user, variant = UserFactory(), VariantFactory()
    first = add({variant: 1}, carts.CartKey(user=user))
    assert add({variant: 1}, carts.CartKey(user=user)) == first
    assert (first.user, contents(first)) == (user, {variant: 2})


def test_remembered_cart_of_a_guest_is_gone_on_with():
    variant = VariantFactory()
    cart = add({variant: 1})
    assert add({variant: 1}, carts.CartKey(remembered=cart.code)) == cart


def test_stated_code_goes_before_the_users_own_cart():
    user, variant = UserFactory(), VariantFactory()
    add({variant: 1}, carts.CartKey(user=user))
    guests = add({variant: 1})
    assert add({variant: 1}, by_code(guests, user)) == guests


@pytest.mark.parametrize("code", ["", "no-such-code"])
def test_stated_code_must_exist(code):
    with pytest.raises(NotFound):
        add({VariantFactory(): 1}, carts.CartKey(code=code))
    assert not Cart.objects.exists()


def test_forgotten_code_that_a_browser_remembers_leads_to_a_new_cart():
    variant = VariantFactory()
    cart = add({variant: 1}, carts.CartKey(remembered="no-such-code"))
    assert cart.code != "no-such-code"
    assert contents(cart) == {variant: 1}


@pytest.mark.parametrize("visitor", [None, "another"])
def test_account_s_cart_opens_to_nobody_else_even_with_its_code(visitor):
    owner, other = UserFactory(), UserFactory() if visitor else None
    cart = add({VariantFactory(): 1}, carts.CartKey(user=owner))
    line_id = lines_of(cart).get().pk
    for attempt in (
        lambda key: add({VariantFactory(): 1}, key),
        lambda key: carts.set_quantity(key=key, line_id=line_id, quantity=2, now=NOW),
        lambda key: carts.remove_lines(key=key, line_ids=[line_id], now=NOW),
        lambda key: carts.clear(key=key, now=NOW),
        lambda key: orders.place(key=key, expected_total=Decimal(0), now=NOW),
    ):
        with pytest.raises(NotFound):
            attempt(by_code(cart, other))
    assert list(contents(cart).values()) == [1]


def test_account_s_cart_that_a_browser_remembers_is_not_opened_after_logout():
    variant = VariantFactory()
    owners = add({variant: 1}, carts.CartKey(user=UserFactory()))
    guests = add({variant: 1}, carts.CartKey(remembered=owners.code))
    assert guests != owners
    assert guests.user is None


# ── a cart that became an order ──────────────────────────────────────────────────────────────────────


def test_converted_cart_is_locked_and_tells_its_order(placed_order):
    order = placed_order({VariantFactory(): 1})
    line_id = lines_of(order.cart).get().pk
    for attempt in (
        lambda key: add({VariantFactory(): 1}, key),
        lambda key: carts.set_quantity(key=key, line_id=line_id, quantity=2, now=NOW),
        lambda key: carts.remove_lines(key=key, line_ids=[line_id], now=NOW),
        lambda key: carts.clear(key=key, now=NOW),
    ):
        with pytest.raises(carts.CartLocked) as refused:
            attempt(by_code(order.cart))
        assert refused.value.order == order
    assert list(contents(order.cart).values()) == [1]


def test_merged_cart_is_locked_without_an_order():
    cart = add({VariantFactory(): 1})
    Cart.objects.update(state=CartState.MERGED)
    with pytest.raises(carts.CartLocked) as refused:
        add({VariantFactory(): 1}, by_code(cart))
    assert refused.value.order is None


def test_guest_goes_on_shopping_with_a_new_cart_after_the_order(placed_order):
    order, variant = placed_order({VariantFactory(): 1}), VariantFactory()
    cart = add({variant: 1}, carts.CartKey(remembered=order.cart.code))
    assert cart != order.cart
    assert contents(cart) == {variant: 1}


def test_user_goes_on_shopping_with_a_new_cart_after_the_order(placed_order):
    user, variant = UserFactory(), VariantFactory()
    order = placed_order({VariantFactory(): 1}, user)
    assert contents(add({variant: 1}, carts.CartKey(user=user))) == {variant: 1}
    assert user.carts.get(state=CartState.CONVERTED) == order.cart


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────


def test_quantity_is_set_and_not_added():
    variant = VariantFactory()
    cart = add({variant: 5})
    for _twice in range(2):
        set_quantity(cart, 2)
    assert contents(cart) == {variant: 2}


def test_quantity_of_zero_removes_the_line():
    cart = add({VariantFactory(): 5})
    set_quantity(cart, 0)
    assert contents(cart) == {}


@pytest.mark.parametrize("quantity", [-1, 10_000])
def test_quantity_out_of_range_cannot_be_set(quantity):
    variant = VariantFactory(stock__on_hand=20_000)
    cart = add({variant: 5})
    with pytest.raises(InvalidInput):
        set_quantity(cart, quantity)
    assert contents(cart) == {variant: 5}


def test_line_cannot_be_raised_above_the_stock():
    variant = VariantFactory(stock__on_hand=5)
    cart = add({variant: 5})
    with pytest.raises(InsufficientStock) as refused:
        set_quantity(cart, 6)
    assert (refused.value.available, refused.value.field) == (5, ("quantity",))


def test_line_whose_stock_fell_can_still_be_lowered():
    variant = VariantFactory(stock__on_hand=5)
    cart = add({variant: 5})
    variant.stock.on_hand = 0
    variant.stock.save()
    set_quantity(cart, 4)
    assert contents(cart) == {variant: 4}


def test_line_whose_stock_fell_or_that_is_no_longer_for_sale_can_keep_its_quantity():
    variant = VariantFactory(stock__on_hand=5)
    cart = add({variant: 5})
    Stock.objects.update(on_hand=0)
    set_quantity(cart, 5)
    Product.objects.update(published_at=None)
    set_quantity(cart, 5)
    assert contents(cart) == {variant: 5}


def test_line_that_is_no_longer_for_sale_can_be_lowered_but_not_raised():
    variant = VariantFactory()
    cart = add({variant: 5})
    variant.product.published_at = None
    variant.product.save()
    set_quantity(cart, 4)
    with pytest.raises(carts.NotForSale):
        set_quantity(cart, 5)
    assert contents(cart) == {variant: 4}


def test_line_of_another_cart_is_not_found():
    cart, other = add({VariantFactory(): 1}), add({VariantFactory(): 1})
    with pytest.raises(NotFound):
        carts.set_quantity(key=by_code(cart), line_id=lines_of(other).get().pk, quantity=2, now=NOW)
    with pytest.raises(NotFound):
        carts.remove_lines(key=by_code(cart), line_ids=[lines_of(other).get().pk], now=NOW)
    assert CartLine.objects.filter(quantity=1).count() == 2


def test_lines_are_removed():
    first, second, third = VariantFactory.create_batch(3)
    cart = add({first: 1, second: 1, third: 1})
    gone = lines_of(cart).filter(variant__in=[first, third]).values_list("pk", flat=True)
    carts.remove_lines(key=by_code(cart), line_ids=list(gone), now=NOW)
    assert contents(cart) == {second: 1}


def test_all_lines_are_removed_or_none():
    variant = VariantFactory()
    cart = add({variant: 1})
    with pytest.raises(NotFound) as refused:
        carts.remove_lines(key=by_code(cart), line_ids=[lines_of(cart).get().pk, uuid.uuid4()], now=NOW)
    assert refused.value.field == ("line_ids", "1")
    assert contents(cart) == {variant: 1}


def test_cleared_cart_keeps_what_the_buyer_told(ready_cart):
    cart = ready_cart({VariantFactory(): 1})
    carts.clear(key=by_code(cart), now=NOW)
    cart = Cart.objects.get()
    assert (contents(cart), cart.checkout.email) == ({}, "ada@example.com")


def test_cart_notes_when_it_was_last_touched():
    variant, later = VariantFactory(), NOW + timedelta(hours=1)
    cart = add({variant: 1})
    assert Cart.objects.get().updated_at == NOW
    carts.add_lines(key=by_code(cart), lines=[carts.NewLine(variant.pk, 1)], now=later)
    assert Cart.objects.get().updated_at == later


# ── adding up ────────────────────────────────────────────────────────────────────────────────────────


def test_cart_costs_its_lines_at_today_s_prices():
    dear, cheap = VariantFactory(price=Decimal("19.90")), VariantFactory(price=Decimal("0.50"))
    cart = add({dear: 2, cheap: 3})
    assert totals(cart).total == Decimal("41.30")
    ProductVariant.objects.filter(pk=cheap.pk).update(price=Decimal(1))
    assert totals(Cart.objects.get()).total == Decimal("42.80")


def test_cart_costs_shipping_once_it_was_chosen(ready_cart):
    cart = ready_cart({VariantFactory(price=Decimal("19.90")): 1})
    costs = totals(cart)
    assert (costs.shipping, costs.total) == (Decimal("4.90"), Decimal("24.80"))
