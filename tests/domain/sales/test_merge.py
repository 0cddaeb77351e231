from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts import accounts
from domain.base.errors import NotFound
from domain.sales import cart as carts
from domain.sales import checkout, orders
from domain.sales.cart import CartChange, CartKey, ChangeReason
from storefront.models import Cart, CartLine, CartState, Checkout, Product, ProductVariant, Stock, StockPolicy
from tests.factories import ADDRESS, NOW, ProductFactory, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db

DENY, BACKORDER, UNTRACKED = StockPolicy.DENY, StockPolicy.BACKORDER, StockPolicy.UNTRACKED
ADDED, CAPPED, SOLD_OUT = ChangeReason.ADDED, ChangeReason.CAPPED, ChangeReason.SOLD_OUT
NOT_FOR_SALE, CART_FULL = ChangeReason.NOT_FOR_SALE, ChangeReason.CART_FULL
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def user():
    return UserFactory()


def filled(lines, user=None):
    """A cart as it may have become since: no stock, price or publication is asked."""
    cart = Cart.objects.create(user=user, updated_at=NOW)
    CartLine.objects.bulk_create(
        CartLine(cart=cart, variant=variant, quantity=quantity, position=position)
        for position, (variant, quantity) in enumerate(lines.items(), start=1)
    )
    return cart


def merge(guest, user, **key):
    return carts.merge(key=CartKey(**{"code": guest.code if guest else None} | key), user=user, now=LATER)


def contents(cart):
    return {line.variant: line.quantity for line in cart.lines.all()}


def active(user):
    return user.carts.get(state=CartState.ACTIVE)


def variants_of_one_product(number, on_hand=10):
    product = ProductFactory()
    made = ProductVariant.objects.bulk_create(
        ProductVariant(product=product, sku=f"{product.slug}-{n}", option1=str(n), price=1) for n in range(number)
    )
    Stock.objects.bulk_create(Stock(variant=variant, on_hand=on_hand) for variant in made)
    return made


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policy", "available", "before", "guest", "after", "reason"),
    [
        (DENY, 10, 0, 2, 2, ADDED),
        (DENY, 10, 3, 2, 5, ADDED),
        (DENY, 10, 0, 10, 10, ADDED),
        (DENY, 10, 4, 6, 10, ADDED),
        (DENY, 10, 0, 11, 10, CAPPED),
        (DENY, 10, 4, 7, 10, CAPPED),
        (DENY, 10, 10, 1, 10, CAPPED),
        (DENY, 10, 12, 1, 12, CAPPED),
        (DENY, 1, 12, 9_999, 12, CAPPED),
        (DENY, 0, 0, 1, 0, SOLD_OUT),
        (DENY, 0, 3, 1, 3, SOLD_OUT),
        (DENY, 20_000, 9_000, 999, 9_999, ADDED),
        (DENY, 20_000, 9_000, 1_000, 9_999, CAPPED),
        (DENY, 20_000, 9_999, 9_999, 9_999, CAPPED),
        (BACKORDER, 0, 0, 50, 50, ADDED),
        (BACKORDER, 1, 50, 50, 100, ADDED),
        (BACKORDER, 0, 9_999, 1, 9_999, CAPPED),
        (BACKORDER, 0, 9_998, 2, 9_999, CAPPED),
        (UNTRACKED, 0, 0, 50, 50, ADDED),
        (UNTRACKED, 0, 50, 50, 100, ADDED),
        (UNTRACKED, 0, 9_999, 9_999, 9_999, CAPPED),
    ],
)
def test_units_add_up_as_far_as_there_are_any_and_never_get_fewer(
    user, policy, available, before, guest, after, reason
):
    variant = VariantFactory(stock__on_hand=available + 5, stock__reserved=5, stock__policy=policy)
    own = filled({variant: before} if before else {}, user)
    assert merge(filled({variant: guest}), user) == [
        CartChange(variant.pk, before=before, guest=guest, after=after, reason=reason)
    ]
    assert contents(own) == ({variant: after} if after else {})


@pytest.mark.parametrize("policy", StockPolicy)
@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("published_at", [None, LATER + timedelta(seconds=1)])
def test_what_is_not_for_sale_stays_as_it_was(user, policy, before, published_at):
    variant = VariantFactory(stock__policy=policy)
    own = filled({variant: before} if before else {}, user)
    Product.objects.update(published_at=published_at)
    assert merge(filled({variant: 2}), user) == [
        CartChange(variant.pk, before=before, guest=2, after=before, reason=NOT_FOR_SALE)
    ]
    assert contents(own) == ({variant: before} if before else {})


def test_guest_s_lines_follow_those_of_the_account_in_their_order(user):
    one, two, three, four, gone = VariantFactory.create_batch(5)
    own = filled({three: 1, one: 1}, user)
    Stock.objects.filter(variant=gone).update(on_hand=0)
    changes = merge(filled({four: 1, one: 1, gone: 1, two: 1}), user)
    assert [change.variant_id for change in changes] == [four.pk, one.pk, gone.pk, two.pk]
    assert list(contents(own).items()) == [(three, 1), (one, 2), (four, 1), (two, 1)]
    assert len({line.position for line in own.lines.all()}) == 4


def test_lines_of_the_account_that_the_guest_has_not_are_not_touched(user):
    mine, gone, theirs = VariantFactory.create_batch(3)
    own = filled({mine: 30, gone: 3}, user)
    Product.objects.filter(pk=gone.product_id).update(published_at=None)
    line_ids = set(own.lines.values_list("pk", flat=True))
    assert [change.variant_id for change in merge(filled({theirs: 1}), user)] == [theirs.pk]
    assert contents(own) == {mine: 30, gone: 3, theirs: 1}
    assert line_ids < set(own.lines.values_list("pk", flat=True))


@pytest.mark.parametrize(("already", "room"), [(carts.MAX_LINES, 0), (carts.MAX_LINES - 1, 1)])
def test_cart_that_is_full_takes_more_of_what_it_has_and_nothing_new(user, already, room):
    *held, first, second = variants_of_one_product(already + 2)
    own = filled(dict.fromkeys(held, 1), user)
    changes = merge(filled({held[0]: 1, first: 1, second: 2, held[-1]: 1}), user)
    assert [(change.after, change.reason) for change in changes] == [
        (2, ADDED),
        (room, ADDED if room else CART_FULL),
        (0, CART_FULL),
        (2, ADDED),
    ]
    assert own.lines.count() == carts.MAX_LINES


def test_line_that_cannot_be_added_takes_no_room(user):
    *held, gone, fine = variants_of_one_product(carts.MAX_LINES + 1)
    own = filled(dict.fromkeys(held, 1), user)
    Stock.objects.filter(variant=gone).update(on_hand=0)
    assert [change.reason for change in merge(filled({gone: 1, fine: 1}), user)] == [SOLD_OUT, ADDED]
    assert contents(own)[fine] == 1


def test_two_full_carts_become_one_that_is_full(user):
    variants = variants_of_one_product(2 * carts.MAX_LINES)
    own, guest = (filled(dict.fromkeys(half, 1)) for half in (variants[::2], variants[1::2]))
    Cart.objects.filter(pk=own.pk).update(user=user)
    assert {change.reason for change in merge(guest, user)} == {CART_FULL}
    assert own.lines.count() == carts.MAX_LINES


LINES = st.lists(
    st.tuples(
        st.sampled_from(StockPolicy),
        st.sampled_from([0, 1, 5, 10_000]),
        st.sampled_from([0, 1, 4, 6, 9_998, 9_999]),
        st.sampled_from([0, 1, 4, 6, 9_998, 9_999]),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=40)
@given(lines=LINES)
def test_no_unit_is_lost_without_a_reason_and_none_is_made_up(lines):
    user = UserFactory()
    before, guest = {}, {}
    for policy, on_hand, mine, theirs, for_sale in lines:
        variant = VariantFactory(
            stock__policy=policy, stock__on_hand=on_hand, product__published_at=NOW if for_sale else None
        )
        before |= {variant: mine} if mine else {}
        guest |= {variant: theirs} if theirs else {}
    own, other = filled(before, user), filled(guest)
    changes = {change.variant_id: change for change in merge(other, user)}
    after = contents(own)

    assert set(changes) == {variant.pk for variant in guest}
    for variant in before.keys() | guest.keys():
        held = after.get(variant, 0)
        change = changes.get(variant.pk)
        if change is None:
            assert held == before[variant]
            continue
        assert (change.before, change.guest, change.after) == (before.get(variant, 0), guest[variant], held)
        assert change.before <= change.after <= change.before + change.guest
        assert (change.after == change.before + change.guest) == (change.reason == ADDED)
        if change.after > change.before:
            assert change.after <= CartLine.MAX_QUANTITY
            assert variant.stock.policy != DENY or change.after <= variant.stock.available
    grown = sum(change.after - change.before for change in changes.values())
    assert sum(after.values()) == sum(before.values()) + grown
    assert contents(other) == guest


def test_what_the_cart_costs_follows_the_units(user):
    dear, cheap = VariantFactory(price=Decimal("19.90")), VariantFactory(price=Decimal("0.50"), stock__on_hand=3)
    own = filled({cheap: 1}, user)
    merge(filled({dear: 2, cheap: 7}), user)
    assert totals(own).total == Decimal("41.30")


@pytest.mark.parametrize("lines", [1, 30])
def test_merge_costs_the_same_however_long_the_carts_are(user, lines, statements):
    variants = VariantFactory.create_batch(lines + 1)
    filled(dict.fromkeys(variants[1:], 1), user)
    guest = filled(dict.fromkeys(variants, 1))
    with statements() as counted:
        merge(guest, user)
    assert len(counted) <= 12


# ── checkout ─────────────────────────────────────────────────────────────────────────────────────────


def told(cart, email, city):
    return checkout.update(
        key=CartKey(code=cart.code, user=cart.user),
        email=email,
        shipping_address=replace(ADDRESS, city=city),
        shipping_method_id=ShippingMethodFactory().pk,
        now=NOW,
    ).cart


def test_what_the_guest_told_comes_along(user):
    guest = told(filled({VariantFactory(): 1}), "guest@example.com", "Bremen")
    method = guest.checkout.shipping_method
    merge(guest, user)
    kept = active(user).checkout
    assert (kept.email, kept.shipping_address.city, kept.shipping_method) == ("guest@example.com", "Bremen", method)
    assert Checkout.objects.count() == 1


def test_merged_cart_can_be_placed_at_once(user):
    variant = VariantFactory(price=Decimal(10))
    merge(told(filled({variant: 2}), "guest@example.com", "Bremen"), user)
    total = totals(active(user)).total
    order = orders.place(key=CartKey(user=user), expected_total=total, now=LATER).order
    assert (order.user, order.email, order.lines.get().quantity) == (user, "guest@example.com", 2)


def test_what_the_account_s_cart_was_told_stays(user):
    own = told(filled({VariantFactory(): 1}, user), "me@example.com", "Hamburg")
    guest = told(filled({VariantFactory(): 1}), "guest@example.com", "Bremen")
    merge(guest, user)
    kept = Checkout.objects.get(cart=own)
    assert (kept.email, kept.shipping_address.city) == ("me@example.com", "Hamburg")
    assert Checkout.objects.get(cart=guest).email == "guest@example.com"


# ── which cart ───────────────────────────────────────────────────────────────────────────────────────


def test_account_without_a_cart_gets_one(user):
    variant = VariantFactory()
    guest = filled({variant: 2})
    merge(guest, user)
    own = active(user)
    assert own != guest
    assert (contents(own), own.updated_at) == ({variant: 2}, LATER)


def test_account_s_active_cart_stays_the_one_it_is(user):
    own = filled({VariantFactory(): 1}, user)
    merge(filled({VariantFactory(): 1}), user)
    assert active(user) == own
    assert active(user).updated_at == LATER


def test_guest_s_cart_is_over_and_opens_to_its_new_owner_alone(user):
    guest = filled({VariantFactory(): 2})
    merge(guest, user)
    guest.refresh_from_db()
    assert (guest.state, guest.user, guest.updated_at) == (CartState.MERGED, user, LATER)
    assert sum(contents(guest).values()) == 2
    with pytest.raises(carts.CartLocked):
        carts.clear(key=CartKey(code=guest.code, user=user), now=LATER)
    for visitor in (None, UserFactory()):
        with pytest.raises(NotFound):
            carts.clear(key=CartKey(code=guest.code, user=visitor), now=LATER)
    assert not carts.candidates(key=CartKey(remembered=guest.code)).exists()


def test_cart_that_was_merged_before_is_not_merged_again(user):
    variant = VariantFactory()
    guest = filled({variant: 2})
    assert len(merge(guest, user)) == 1
    for again in (user, UserFactory()):
        assert merge(guest, again) == []
    assert contents(active(user)) == {variant: 2}
    assert Cart.objects.count() == 2


def test_guest_without_a_cart_brings_none_along(user):
    assert carts.merge(key=CartKey(), user=user, now=NOW) == []
    assert not Cart.objects.exists()


@pytest.mark.parametrize("key", [{"code": "no-such-code"}, {"code": ""}, {"remembered": "no-such-code"}])
def test_unknown_cart_brings_nothing_along(user, key):
    filled({VariantFactory(): 1})
    assert carts.merge(key=CartKey(**key), user=user, now=NOW) == []
    assert not user.carts.exists()


HOW = pytest.mark.parametrize("how", ["code", "remembered", "neither"])
LOGGED_IN = pytest.mark.parametrize("logged_in", [False, True])


def named(cart, how, viewer):
    return CartKey(user=viewer, **{how: cart.code} if how != "neither" else {})


@HOW
@LOGGED_IN
def test_cart_of_another_account_is_not_taken(user, how, logged_in):
    other, variant = UserFactory(), VariantFactory()
    theirs = filled({variant: 2}, other)
    assert carts.merge(key=named(theirs, how, other if logged_in else None), user=user, now=NOW) == []
    assert active(other) == theirs
    assert not user.carts.exists()


@HOW
@LOGGED_IN
def test_own_cart_is_not_merged_into_itself(user, how, logged_in):
    variant = VariantFactory()
    own = filled({variant: 2}, user)
    assert carts.merge(key=named(own, how, user if logged_in else None), user=user, now=NOW) == []
    assert active(user) == own
    assert contents(own) == {variant: 2}


@pytest.mark.parametrize("own_session", [False, True])
def test_guest_s_cart_that_somebody_logged_in_states_is_merged_all_the_same(user, own_session):
    variant = VariantFactory()
    guest = filled({variant: 2})
    viewer = user if own_session else UserFactory()
    carts.merge(key=CartKey(code=guest.code, user=viewer), user=user, now=LATER)
    assert contents(active(user)) == {variant: 2}
    assert viewer == user or not viewer.carts.exists()


@pytest.mark.parametrize("state", [CartState.CONVERTED, CartState.MERGED, CartState.ABANDONED])
def test_cart_that_is_over_brings_nothing_along(user, state):
    guest = filled({VariantFactory(): 2})
    Cart.objects.update(state=state)
    assert merge(guest, user) == []
    assert Cart.objects.get().state == state
    assert Cart.objects.get().user is None


def test_guest_s_order_stays_the_guest_s(user, placed_order):
    order = placed_order({VariantFactory(): 1})
    assert merge(order.cart, user) == []
    order.refresh_from_db()
    assert order.user is None


def test_empty_cart_of_a_guest_is_merged_without_a_word(user):
    guest = filled({})
    assert merge(guest, user) == []
    guest.refresh_from_db()
    assert (guest.state, guest.user, contents(active(user))) == (CartState.MERGED, user, {})


def test_cart_that_the_browser_remembers_is_merged(user):
    variant = VariantFactory()
    guest = filled({variant: 2})
    assert len(carts.merge(key=CartKey(remembered=guest.code), user=user, now=NOW)) == 1
    assert contents(active(user)) == {variant: 2}


def test_cart_whose_code_is_stated_goes_before_the_one_remembered(user):
    stated, remembered = filled({VariantFactory(): 1}), filled({VariantFactory(): 2})
    merge(stated, user, remembered=remembered.code)
    assert sum(contents(active(user)).values()) == 1
    remembered.refresh_from_db()
    assert (remembered.state, remembered.user) == (CartState.ACTIVE, None)


def test_carts_of_several_devices_come_together(user):
    variant, other = VariantFactory.create_batch(2)
    for quantity in (1, 2, 3):
        merge(filled({variant: quantity, other: 1}), user)
    assert contents(active(user)) == {variant: 6, other: 3}
    assert Counter(user.carts.values_list("state", flat=True)) == {CartState.ACTIVE: 1, CartState.MERGED: 3}


def test_other_guests_carts_are_not_touched(user):
    other = filled({VariantFactory(): 1})
    merge(filled({VariantFactory(): 1}), user)
    other.refresh_from_db()
    assert (other.state, other.user, other.updated_at) == (CartState.ACTIVE, None, NOW)


# ── coming in ────────────────────────────────────────────────────────────────────────────────────────

PASSWORD = "correct-horse-battery"


def enter(how, user, guest, password=PASSWORD):
    given = {"cart": CartKey(remembered=guest.code), "client": accounts.Client("192.0.2.1"), "now": LATER}
    if how == "register":
        return accounts.register(email="new@example.com", password=password, **given)
    return accounts.login(email=user.email, password=password, **given)


@pytest.fixture
def customer(user):
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.mark.parametrize("how", ["register", "login"])
def test_who_comes_in_brings_their_cart_along(customer, how):
    variant = VariantFactory()
    entered = enter(how, customer, filled({variant: 2}))
    assert entered.changes == [CartChange(variant.pk, before=0, guest=2, after=2, reason=ADDED)]
    assert contents(active(entered.user)) == {variant: 2}


def test_who_is_refused_leaves_the_cart_as_it_was(customer):
    guest = filled({VariantFactory(): 2})
    with pytest.raises(accounts.InvalidCredentials):
        enter("login", customer, guest, password="wrong")
    guest.refresh_from_db()
    assert (guest.state, guest.user) == (CartState.ACTIVE, None)


@pytest.mark.parametrize("how", ["register", "login"])
def test_cart_that_cannot_be_merged_keeps_nobody_out(customer, how, monkeypatch, caplog):
    def broken(**given):
        raise RuntimeError("no merging today")

    monkeypatch.setattr(carts, "merge", broken)
    guest = filled({VariantFactory(): 2})
    entered = enter(how, customer, guest)
    assert entered.changes is None
    assert entered.user.sessions.get() == entered.session
    guest.refresh_from_db()
    assert (guest.state, guest.user) == (CartState.ACTIVE, None)
    assert "no merging today" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_merge_that_fails_half_way_leaves_both_carts_as_they_were(customer):
    fine, broken = VariantFactory.create_batch(2)
    own, guest = filled({fine: 1}, customer), filled({fine: 1, broken: 1})
    Stock.objects.filter(variant=broken).delete()
    entered = enter("login", customer, guest)
    assert entered.changes is None
    assert contents(own) == {fine: 1}
    guest.refresh_from_db()
    assert (guest.state, guest.user, sum(contents(guest).values())) == (CartState.ACTIVE, None, 2)
