from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from domain.accounts import accounts
from domain.base.errors import NotFound
from domain.payments import payments
from domain.sales import cart as carts
from domain.sales import checkout, orders
from domain.sales.promotions import DiscountRefused, RefusalReason
from storefront.models import (
    Cart,
    Discount,
    DiscountKind,
    DiscountUse,
    OrderEventKind,
    OrderState,
    PaymentProvider,
)
from tests.factories import (
    NOW,
    CategoryFactory,
    DiscountFactory,
    ShippingMethodFactory,
    UserFactory,
    VariantFactory,
    totals,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def key_of(cart):
    return carts.CartKey(code=cart.code, user=cart.user)


def apply(cart, code, now=NOW):
    return checkout.apply_code(key=key_of(cart), code=code, now=now).cart


def place(cart, now=NOW):
    return orders.place(key=key_of(cart), expected_total=totals(cart, now).total, now=now).order


def cancel(order):
    return orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)


def reason(call, *args, **given):
    with pytest.raises(DiscountRefused) as refused:
        call(*args, **given)
    return refused.value.reason


def problem(cart, now=NOW):
    (why,) = reasons(cart, now)
    return why


def reasons(cart, now=NOW):
    with pytest.raises((DiscountRefused, ExceptionGroup)) as refused:
        orders.place(key=key_of(cart), expected_total=totals(cart, now).total, now=now)
    return [error.reason for error in getattr(refused.value, "exceptions", [refused.value])]


@pytest.fixture
def cart(ready_cart):
    """A lamp for 100, shipping for 10."""
    return ready_cart({VariantFactory(price=Decimal(100)): 1}, shipping=ShippingMethodFactory(price=10))


# ── what a code takes off ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "value", "total"),
    [("PERCENTAGE", 10, 100), ("FIXED", 15, 95), ("FIXED", 500, 10), ("FREE_SHIPPING", 0, 100)],
)
def test_code_takes_off_what_it_says(cart, kind, value, total):
    DiscountFactory(code="CODE", kind=kind, value=value)
    apply(cart, "CODE")
    assert totals(cart).total == total
    order = place(cart)
    assert (order.total, order.discount) == (total, 110 - total)
    assert orders.discount_codes(order=order) == ["CODE"]


@pytest.mark.parametrize("typed", ["ten", " TEN ", "Ten\n"])
def test_code_counts_in_any_case(cart, typed):
    DiscountFactory(code="TEN")
    apply(cart, typed)
    assert totals(cart).discount == 10


def test_same_code_twice_counts_once(cart):
    DiscountFactory(code="TEN")
    apply(cart, "TEN")
    apply(cart, "ten")
    assert totals(cart).discount == 10


def test_code_covers_its_products_and_what_hangs_below_its_categories(ready_cart):
    mug, lamp, shirt, other = (VariantFactory(price=Decimal(price)) for price in (10, 20, 40, 80))
    home = CategoryFactory()
    lamp.product.categories.add(CategoryFactory(parent=CategoryFactory(parent=home)))
    shirt.product.categories.add(home)
    discount = DiscountFactory(code="TEN")
    discount.products.add(mug.product)
    discount.categories.add(home)
    cart = ready_cart(dict.fromkeys((mug, lamp, shirt, other), 1))
    apply(cart, "TEN")
    found = totals(cart)
    assert [found.lines[each.sku].discount for each in (mug, lamp, shirt, other)] == [1, 2, 4, 0]


def test_free_shipping_for_some_products_needs_one_of_them(ready_cart):
    mug, lamp = VariantFactory(), VariantFactory()
    DiscountFactory(code="FREE", kind="FREE_SHIPPING", value=0).products.add(mug.product)
    assert reason(apply, ready_cart({lamp: 1}), "FREE") is RefusalReason.COVERS_NOTHING
    cart = ready_cart({lamp: 1, mug: 1})
    apply(cart, "FREE")
    assert totals(cart).discount == totals(cart).shipping == Decimal("4.90")


def test_several_codes_where_the_shop_allows_them_whatever_their_order(cart, settings):
    settings.MAX_DISCOUNT_CODES = 3
    DiscountFactory(code="A-FIXED", kind="FIXED", value=10)
    DiscountFactory(code="HALF", value=50)
    DiscountFactory(code="FREE", kind="FREE_SHIPPING", value=0)
    for codes in (["A-FIXED", "HALF", "FREE"], ["FREE", "HALF", "A-FIXED"]):
        checkout.update(key=key_of(cart), discount_codes=codes, now=NOW)
        assert totals(cart).total == 40
    assert len(orders.discount_codes(order=place(cart))) == 3


def test_order_that_costs_nothing_is_paid(cart, settings):
    settings.MAX_DISCOUNT_CODES = 2
    DiscountFactory(code="ALL", value=100)
    DiscountFactory(code="FREE", kind="FREE_SHIPPING", value=0)
    checkout.update(key=key_of(cart), discount_codes=["ALL", "FREE"], now=NOW)
    order = place(cart)
    assert (order.total, order.state) == (0, OrderState.PAID)


@pytest.mark.parametrize("free", ["by the method", "by another code"])
def test_code_that_finds_nothing_to_take_is_not_used_up(ready_cart, settings, free):
    settings.MAX_DISCOUNT_CODES = 2
    DiscountFactory(code="FREE", kind="FREE_SHIPPING", value=0, max_uses=1)
    DiscountFactory(code="AGAIN", kind="FREE_SHIPPING", value=0, max_uses=1)
    price = 0 if free == "by the method" else 5
    cart = ready_cart({VariantFactory(): 1}, shipping=ShippingMethodFactory(price=price))
    checkout.update(key=key_of(cart), discount_codes=["FREE", "AGAIN"], now=NOW)
    order = place(cart)
    assert [use.discount.code for use in DiscountUse.objects.all()] == orders.discount_codes(order=order)
    assert len(orders.discount_codes(order=order)) == (0 if price == 0 else 1)


# ── why one does not count ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"is_active": False}, RefusalReason.UNKNOWN),
        ({"starts_at": NOW + DAY}, RefusalReason.NOT_YET),
        ({"ends_at": NOW}, RefusalReason.OVER),
        ({"max_uses": 0}, RefusalReason.USED_UP),
        ({"max_uses_per_customer": 0}, RefusalReason.USED_BY_CUSTOMER),
        ({"minimum_total": Decimal("100.01")}, RefusalReason.BELOW_MINIMUM),
    ],
    ids=lambda it: it.value if isinstance(it, RefusalReason) else "",
)
def test_code_that_does_not_count_is_refused_and_says_why(cart, terms, why):
    DiscountFactory(code="TEN", **terms)
    assert reason(apply, cart, "TEN") is why
    assert reason(checkout.update, key=key_of(cart), discount_codes=["TEN"], now=NOW) is why
    assert not cart.discounts.exists()


def test_code_that_nobody_made_is_unknown(cart):
    for code in ("", "NO-SUCH", "x" * 10_000, "TEN'; --"):
        assert reason(apply, cart, code) is RefusalReason.UNKNOWN


@pytest.mark.parametrize("terms", [{"starts_at": NOW}, {"ends_at": NOW + DAY}, {"minimum_total": 100}], ids=str)
def test_code_counts_from_its_first_moment_to_its_last_and_from_its_minimum_on(cart, terms):
    DiscountFactory(code="TEN", **terms)
    apply(cart, "TEN")
    assert totals(cart).discount == 10


def test_what_is_missing_to_the_minimum_can_be_told(cart):
    DiscountFactory(code="TEN", minimum_total=150)
    with pytest.raises(DiscountRefused) as refused:
        apply(cart, "TEN")
    assert (refused.value.minimum, refused.value.currency, refused.value.field) == (150, "EUR", ("code",))


def test_one_code_more_than_the_shop_allows_is_refused(cart, settings):
    DiscountFactory(code="TEN")
    DiscountFactory(code="OTHER")
    apply(cart, "TEN")
    assert reason(apply, cart, "OTHER") is RefusalReason.TOO_MANY
    assert reason(checkout.update, key=key_of(cart), discount_codes=["TEN", "OTHER"], now=NOW) is RefusalReason.TOO_MANY
    settings.MAX_DISCOUNT_CODES = 0
    assert reason(checkout.update, key=key_of(cart), discount_codes=["TEN"], now=NOW) is RefusalReason.TOO_MANY


def test_each_refused_code_is_told_by_its_place_and_none_is_noted(cart, settings):
    settings.MAX_DISCOUNT_CODES = 3
    DiscountFactory(code="TEN")
    with pytest.raises(ExceptionGroup) as refused:
        checkout.update(key=key_of(cart), discount_codes=["NONE", "TEN", "NOTHING"], now=NOW)
    assert [error.field for error in refused.value.exceptions] == [("discount_codes", "0"), ("discount_codes", "2")]
    assert not cart.discounts.exists()


def test_codes_are_set_as_a_whole_and_taken_out_by_an_empty_list(cart):
    DiscountFactory(code="TEN")
    DiscountFactory(code="HALF", value=50)
    checkout.update(key=key_of(cart), discount_codes=["TEN"], now=NOW)
    checkout.update(key=key_of(cart), discount_codes=["HALF"], now=NOW)
    assert totals(cart).discount == 50
    checkout.update(key=key_of(cart), email="bob@example.com", now=NOW)
    assert totals(cart).discount == 50
    checkout.update(key=key_of(cart), discount_codes=[], now=NOW)
    assert totals(cart).discount == 0


def test_code_is_taken_out_once(cart):
    DiscountFactory(code="TEN")
    apply(cart, "TEN")
    checkout.remove_code(key=key_of(cart), code="ten", now=NOW)
    assert totals(cart).discount == 0
    with pytest.raises(NotFound):
        checkout.remove_code(key=key_of(cart), code="TEN", now=NOW)


def test_code_that_ended_in_the_cart_takes_nothing_off_and_stops_the_order(cart):
    DiscountFactory(code="TEN", ends_at=NOW + DAY)
    apply(cart, "TEN")
    assert totals(cart, NOW + DAY).discount == 0
    assert problem(cart, NOW + DAY) is RefusalReason.OVER
    checkout.remove_code(key=key_of(cart), code="TEN", now=NOW + DAY)
    assert place(cart, NOW + DAY).total == 110


def test_applying_a_code_speaks_of_that_code_alone(cart, settings):
    settings.MAX_DISCOUNT_CODES = 2
    DiscountFactory(code="OLD", ends_at=NOW + DAY)
    DiscountFactory(code="NEW")
    apply(cart, "OLD")
    apply(cart, "NEW", now=NOW + DAY)
    assert problem(cart, NOW + DAY) is RefusalReason.OVER


def test_locked_cart_takes_no_code(placed_order):
    DiscountFactory(code="TEN")
    order = placed_order({VariantFactory(): 1})
    for change in (checkout.apply_code, checkout.remove_code):
        with pytest.raises(carts.CartLocked):
            change(key=key_of(order.cart), code="TEN", now=NOW)


# ── how often ────────────────────────────────────────────────────────────────────────────────────────


def test_use_is_counted_when_the_order_is_placed_not_before(ready_cart):
    DiscountFactory(code="TEN", max_uses=1)
    variant = VariantFactory()
    first, second = ready_cart({variant: 1}), ready_cart({variant: 1})
    apply(first, "TEN")
    apply(second, "TEN")
    place(first)
    assert problem(second) is RefusalReason.USED_UP
    assert DiscountUse.objects.count() == 1


def test_placing_again_counts_no_second_use(cart):
    DiscountFactory(code="TEN", max_uses=1)
    apply(cart, "TEN")
    order = place(cart)
    again = orders.place(key=key_of(cart), expected_total=order.total, now=NOW)
    assert (again.order, again.replayed, DiscountUse.objects.count()) == (order, True, 1)


def test_customer_is_known_by_account_and_by_email(ready_cart):
    DiscountFactory(code="TEN", max_uses_per_customer=1)
    variant, ada = VariantFactory(), UserFactory(email="ada.l@example.com")
    cart = ready_cart({variant: 1}, ada)
    apply(cart, "TEN")
    place(cart)
    assert reason(apply, ready_cart({variant: 1}, ada), "TEN") is RefusalReason.USED_BY_CUSTOMER
    guest = ready_cart({variant: 1})  # with the e-mail that Ada's order had
    assert reason(apply, guest, "TEN") is RefusalReason.USED_BY_CUSTOMER
    checkout.update(key=key_of(guest), email="bob@example.com", now=NOW)
    apply(guest, "TEN")
    checkout.update(key=key_of(guest), email="ADA@example.com", now=NOW)
    assert problem(guest) is RefusalReason.USED_BY_CUSTOMER


def test_orders_of_a_guest_count_for_the_account_with_that_email(ready_cart):
    DiscountFactory(code="TEN", max_uses_per_customer=1)
    variant = VariantFactory()
    guest = ready_cart({variant: 1})
    apply(guest, "TEN")
    place(guest)
    account = ready_cart({variant: 1}, UserFactory(email="ada@example.com"))
    checkout.update(key=key_of(account), email="other@example.com", now=NOW)
    assert reason(apply, account, "TEN") is RefusalReason.USED_BY_CUSTOMER


def test_account_that_ordered_with_another_email_is_known_by_its_own_too(ready_cart):
    DiscountFactory(code="TEN", max_uses_per_customer=1)
    cart = ready_cart({VariantFactory(): 1}, UserFactory(email="ada@example.com"))
    checkout.update(key=key_of(cart), email="other@example.com", now=NOW)
    apply(cart, "TEN")
    place(cart)
    assert reason(apply, ready_cart({VariantFactory(): 1}), "TEN") is RefusalReason.USED_BY_CUSTOMER


def test_cancelled_order_gives_its_use_back_once(ready_cart):
    DiscountFactory(code="TEN", max_uses=1, max_uses_per_customer=1)
    variant = VariantFactory()
    first, second, third = (ready_cart({variant: 1}) for _ in range(3))
    apply(first, "TEN")
    order = place(first)
    cancel(order)
    cancel(order)
    apply(second, "TEN")
    apply(third, "TEN")
    place(second)
    assert set(reasons(third)) == {RefusalReason.USED_UP}


def test_order_that_expires_gives_its_use_back(cart):
    DiscountFactory(code="TEN", max_uses=1)
    apply(cart, "TEN")
    order = place(cart)
    assert orders.expire(order_id=order.pk, now=NOW + DAY)
    assert not orders.expire(order_id=order.pk, now=NOW + DAY)
    assert DiscountUse.objects.get().given_back_at == NOW + DAY


def paid_late(order):
    """Money that comes for an order that was cancelled meanwhile."""
    receipt, later = orders.receipt(order=order), NOW + DAY
    with pytest.raises(payments.PaymentUnavailable):
        payments.start(
            order_id=order.pk, viewer=None, receipt=receipt, provider=PaymentProvider.TEST, method="late", now=NOW
        )
    orders.cancel(order_id=order.pk, viewer=None, receipt=receipt, now=later)

    def settle():
        payments.reconcile(now=later)
        order.refresh_from_db()
        return order

    return settle


def test_order_that_is_paid_late_takes_its_use_again(cart):
    DiscountFactory(code="TEN", max_uses=1)
    apply(cart, "TEN")
    settle = paid_late(place(cart))
    assert DiscountUse.objects.get().given_back_at is not None
    assert settle().state == OrderState.PAID
    assert DiscountUse.objects.get().given_back_at is None


def test_order_that_is_paid_late_when_another_has_its_use_is_to_be_refunded(ready_cart):
    DiscountFactory(code="TEN", max_uses=1)
    variant = VariantFactory(stock__on_hand=2)
    first, second = ready_cart({variant: 1}), ready_cart({variant: 1})
    apply(first, "TEN")
    apply(second, "TEN")
    settle = paid_late(place(first))
    place(second)
    order = settle()
    assert order.state == OrderState.CANCELLED
    assert order.events.last().kind == OrderEventKind.REFUND_DUE
    variant.stock.refresh_from_db()
    assert (DiscountUse.objects.filter(given_back_at=None).count(), variant.stock.reserved) == (1, 1)


def test_order_that_is_paid_late_without_stock_leaves_the_use_to_others(ready_cart):
    DiscountFactory(code="TEN", max_uses=1)
    variant = VariantFactory(stock__on_hand=1)
    cart, other = ready_cart({variant: 1}), ready_cart({variant: 1})
    apply(cart, "TEN")
    settle = paid_late(place(cart))
    place(other)
    assert settle().state == OrderState.CANCELLED
    assert DiscountUse.objects.get().given_back_at is not None


def test_uses_of_somebody_who_was_forgotten_still_count_for_the_email(ready_cart):
    DiscountFactory(code="TEN", max_uses_per_customer=1)
    user = UserFactory(email="ada@example.com")
    cart = ready_cart({VariantFactory(): 1}, user)
    apply(cart, "TEN")
    place(cart)
    accounts.anonymize(user=user)
    assert reason(apply, ready_cart({VariantFactory(): 1}), "TEN") is RefusalReason.USED_BY_CUSTOMER


# ── what staff enter ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "terms",
    [
        {"value": 0},
        {"value": 101},
        {"value": -5},
        {"kind": "FIXED", "value": 0},
        {"kind": "FREE_SHIPPING", "value": 5},
        {"starts_at": NOW, "ends_at": NOW},
        {"minimum_total": -1},
    ],
    ids=str,
)
def test_terms_that_cannot_be_are_refused_by_the_form_and_by_the_database(terms):
    values = {"code": "TEN", "kind": DiscountKind.PERCENTAGE, "value": 10, **terms}
    with pytest.raises(ValidationError):
        Discount(**values).full_clean()
    with pytest.raises(IntegrityError):
        Discount.objects.create(**values)


@pytest.mark.parametrize(("given", "kept"), [("summer-10", "SUMMER-10"), (" Ten ", "TEN")])
def test_code_is_kept_in_upper_case(given, kept):
    discount = Discount(code=given, kind="PERCENTAGE", value=10)
    discount.full_clean()
    assert discount.code == kept


@pytest.mark.parametrize("code", ["", "two words", "10%", "ÄPFEL", "x" * 41])
def test_code_that_nobody_could_type_is_refused(code):
    with pytest.raises(ValidationError):
        Discount(code=code, kind="PERCENTAGE", value=10).full_clean()


def test_discount_that_was_used_is_not_deleted(cart):
    discount = DiscountFactory(code="TEN")
    apply(cart, "TEN")
    place(cart)
    with pytest.raises(IntegrityError):
        discount.delete()
    assert Cart.objects.get().discounts.get() == discount
