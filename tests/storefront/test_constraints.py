"""What the database itself refuses, whoever writes: each rule by the constraint that holds it."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from storefront import models
from tests.factories import (
    ADDRESS,
    NOW,
    CategoryFactory,
    ImageFactory,
    ProductFactory,
    ShippingMethodFactory,
    UserFactory,
    VariantFactory,
)

pytestmark = pytest.mark.django_db


def refused(write, *arguments, **values):
    with pytest.raises(IntegrityError), transaction.atomic():
        write(*arguments, **values)


def a_cart(**values):
    return models.Cart.objects.create(updated_at=NOW, **values)


def an_order(**values):
    fixed = {
        "currency": "EUR",
        "email": "ada@example.com",
        "placed_at": NOW,
        "number": str(models.Order.objects.count()),
    }
    amounts = {"subtotal": 1, "shipping": 0, "total": 1}
    addresses = {"shipping_address": ADDRESS, "billing_address": ADDRESS}
    return models.Order.objects.create(
        **{"cart": values.pop("cart", None) or a_cart(), **fixed, **amounts, **addresses, **values}
    )


def a_payment(order, **values):
    given = {"provider": "TEST", "amount": 1, "currency": "EUR", "created_at": NOW, "asked_at": NOW}
    return models.Payment.objects.create(order=order, **{**given, **values})


# ── people ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("email", ["Ada@example.com", "ada@EXAMPLE.com"])
def test_an_email_is_in_lower_case(email):
    refused(models.User.objects.create, email=email)


def test_an_email_has_one_account():
    UserFactory(email="ada@example.com")
    refused(models.User.objects.create, email="ada@example.com")


# ── carts ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_user_has_one_active_cart():
    user = UserFactory()
    a_cart(user=user, state="MERGED")
    a_cart(user=user)
    refused(a_cart, user=user)
    a_cart(user=user, state="CONVERTED")


def test_guests_have_as_many_carts_as_they_like():
    a_cart()
    a_cart()


def test_a_cart_has_one_code():
    refused(a_cart, code=a_cart().code)


@pytest.mark.parametrize("quantity", [0, -1, 10_000])
def test_a_line_holds_1_to_9999(quantity):
    line = {"cart": a_cart(), "variant": VariantFactory(), "position": 1}
    refused(models.CartLine.objects.create, **line, quantity=quantity)


def test_a_variant_has_one_line_in_a_cart():
    line = {"cart": a_cart(), "variant": VariantFactory(), "position": 1, "quantity": 1}
    models.CartLine.objects.create(**line)
    refused(models.CartLine.objects.create, **line)


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", [{"price": -1}, {"compare_at_price": Decimal("-0.01")}])
def test_a_price_is_not_negative(change):
    variant = VariantFactory()
    refused(models.ProductVariant.objects.filter(pk=variant.pk).update, **change)


@pytest.mark.parametrize("change", [{"min_price": -1}, {"min_price": 2, "max_price": 1}])
def test_a_price_range_is_ordered(change):
    ProductFactory()
    refused(models.Product.objects.update, **change)


def test_a_products_variants_differ_in_their_options():
    one = VariantFactory(option1="M", option2="Red")
    VariantFactory(product=one.product, option1="M", option2="Blue")
    VariantFactory(option1="M", option2="Red")
    refused(models.ProductVariant.objects.create, product=one.product, sku="X", price=1, option1="M", option2="Red")


def test_a_product_without_options_has_one_variant():
    one = VariantFactory()
    refused(models.ProductVariant.objects.create, product=one.product, sku="X", price=1)


def test_a_sku_is_one_variants():
    one = VariantFactory()
    refused(models.ProductVariant.objects.create, product=ProductFactory(), sku=one.sku, price=1)


@pytest.mark.parametrize("factory", [ProductFactory, CategoryFactory])
def test_a_slug_is_unique(factory):
    factory(slug="same")
    refused(factory, slug="same")


def test_a_picture_is_taken_once_from_one_place():
    image = ImageFactory(source="https://example.com/a.png")
    refused(ImageFactory, product=image.product, source=image.source)
    ImageFactory(product=image.product)
    ImageFactory(product=image.product)
    ImageFactory(source=image.source)


# ── stock ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [{"on_hand": -1}, {"reserved": -1}, {"reserved": 11}, {"on_hand": 0, "reserved": 1}],
)
def test_no_more_is_promised_than_there_is(change):
    VariantFactory(stock__on_hand=10)
    refused(models.Stock.objects.update, **change)


@pytest.mark.parametrize("policy", ["BACKORDER", "UNTRACKED"])
def test_more_is_promised_where_the_policy_says_so(policy):
    VariantFactory(stock__on_hand=1, stock__reserved=5, stock__policy=policy)
    refused(models.Stock.objects.update, policy="DENY")


# ── orders and payments ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("amount", ["subtotal", "discount", "shipping", "tax", "total"])
def test_no_amount_of_an_order_is_negative(amount):
    refused(an_order, **{amount: Decimal("-0.01")})


def test_a_cart_becomes_one_order():
    cart = an_order(number="1").cart
    refused(an_order, cart=cart, number="2")


def test_a_number_is_one_orders():
    an_order(number="1")
    refused(an_order, number="1")


@pytest.mark.parametrize("change", [{"quantity": 0}, {"unit_price": -1}, {"total": -1}])
def test_a_line_of_an_order_is_sane(change):
    line = {"order": an_order(), "variant": VariantFactory(), "quantity": 1, "unit_price": 1, "total": 1, "position": 1}
    refused(models.OrderLine.objects.create, **{**line, **change})


def test_what_was_sold_cannot_be_deleted():
    variant, order = VariantFactory(), an_order()
    models.OrderLine.objects.create(order=order, variant=variant, quantity=1, unit_price=1, total=1, position=1)
    refused(variant.delete)
    refused(variant.product.delete)
    refused(order.cart.delete)


@pytest.mark.parametrize("states", [("PENDING", "PENDING"), ("PENDING", "REQUIRES_ACTION")])
def test_an_order_has_one_open_payment(states):
    order = an_order()
    a_payment(order, state="FAILED")
    a_payment(order, state=states[0])
    refused(a_payment, order, state=states[1])
    a_payment(order, state="CANCELLED")
    a_payment(an_order(), state=states[1])


def test_a_payment_says_when_its_gateway_was_asked():
    refused(a_payment, an_order(), asked_at=None)


def test_a_payment_is_not_negative():
    refused(a_payment, an_order(), amount=Decimal("-0.01"))


def test_a_gateways_reference_is_one_payments():
    a_payment(an_order(), state="FAILED", reference="ref")
    refused(a_payment, an_order(), reference="ref")
    a_payment(an_order())
    a_payment(an_order())


def test_shipping_costs_nothing_or_something():
    ShippingMethodFactory(price=0)
    refused(ShippingMethodFactory, price=Decimal("-0.01"))


def test_deleting_a_user_keeps_their_orders():
    user = UserFactory()
    order = an_order(user=user)
    user.delete()
    order.refresh_from_db()
    assert order.user is None
