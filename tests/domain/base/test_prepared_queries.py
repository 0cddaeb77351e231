"""Prepared queries find and write what ordinary queries do: every test runs with the mechanism on and off."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.db import models as db

from domain.base import locks
from domain.base.prepared_queries import PreparedQuery, attach, insert, update, value_by_key
from domain.sales import cart as carts
from domain.sales.priced_cart import load_priced_cart
from storefront.models import Cart, CartLine, MovementReason, Product, ProductVariant, Stock, StockMovement
from tests.factories import ADDRESS, NOW, ProductFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

VARIANTS = PreparedQuery(lambda keys: ProductVariant.objects.filter(pk__in=keys), keys=db.BigIntegerField())
CARTS = PreparedQuery(
    lambda cart, since: Cart.objects.filter(pk=cart, updated_at__gte=since).select_related("user"),
    cart=db.UUIDField(),
    since=db.DateTimeField(),
)


@pytest.fixture(autouse=True, params=[True, False], ids=["prepared", "plain"])
def mechanism(request, settings):
    settings.PREPARED_QUERIES = request.param


@pytest.fixture
def cart():
    return Cart.objects.create(updated_at=NOW)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 9])
def test_it_takes_any_number_of_values(number, statements):
    wanted = VariantFactory.create_batch(10)[:number]
    for _ in range(2):
        with statements() as counted:
            found = VARIANTS.all(keys=[variant.pk for variant in wanted])
        assert sorted(variant.pk for variant in found) == sorted(variant.pk for variant in wanted)
        assert len(counted) == 1


def test_of_no_values_nothing_is_asked(statements):
    with statements() as counted:
        assert VARIANTS.all(keys=[]) == []
    assert len(counted) == 0


def test_values_are_those_of_each_time(cart):
    other = Cart.objects.create(updated_at=NOW + timedelta(days=1))
    assert CARTS.all(cart=cart.pk, since=NOW) == [cart]
    assert CARTS.all(cart=other.pk, since=NOW) == [other]
    assert CARTS.all(cart=cart.pk, since=NOW + timedelta(seconds=1)) == []
    assert CARTS.first(cart=uuid4(), since=NOW) is None


def test_rows_come_with_what_is_related(cart, statements):
    product = ProductFactory(title="A shirt")
    CartLine.objects.create(cart=cart, variant=VariantFactory(product=product), quantity=2, position=1)
    loaded = load_priced_cart(cart=cart, now=NOW).cart
    with statements() as counted:
        (line,) = loaded.lines.all()
        assert (line.variant.product.title, line.cart, list(loaded.discounts.all())) == ("A shirt", loaded, [])
    assert len(counted) == 0


def test_one_that_locks_runs_in_a_transaction_only(transactional_db, cart):
    assert not connection.in_atomic_block
    for lock in (lambda: carts.lock(key=carts.CartKey(code=cart.code)), lambda: locks.order_by_id(order_id=uuid4())):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="transaction"):
                lock()
    with transaction.atomic():
        assert carts.lock(key=carts.CartKey(code=cart.code)) == cart


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize("number", [1, 2, 5])
def test_rows_are_written_as_they_are(cart, statements, number):
    for _ in range(2):
        variants = VariantFactory.create_batch(number)
        lines = [CartLine(cart=cart, variant=each, quantity=3, position=n) for n, each in enumerate(variants)]
        with statements() as counted:
            insert(*lines)
        assert len(counted) == 1
        for line in lines:
            assert columns(CartLine.objects.get(pk=line.pk)) == columns(line)
            line.quantity = 4
            line.save()  # Which knows that it is there.
        assert CartLine.objects.filter(pk__in=[line.pk for line in lines], quantity=4).count() == number


def test_what_is_not_given_is_what_the_model_or_the_database_says():
    begun = Cart(updated_at=NOW)
    insert(begun)
    found = Cart.objects.get(pk=begun.pk)
    assert (found.code, found.state, found.created_at) == (begun.code, "ACTIVE", begun.created_at)
    moved = StockMovement(variant=VariantFactory(), on_hand_change=1, reason=MovementReason.COUNTED, at=NOW)
    insert(moved)
    assert StockMovement.objects.get(on_hand_change=1).note == ""


def test_only_the_fields_that_are_named_are_written(cart, statements):
    Cart.objects.filter(pk=cart.pk).update(state="ABANDONED")
    cart.updated_at = NOW + timedelta(days=1)
    with statements() as counted:
        update(row=cart, fields=["updated_at"])
    assert len(counted) == 1
    found = Cart.objects.get(pk=cart.pk)
    assert (found.state, found.updated_at) == ("ABANDONED", cart.updated_at)


def test_values_that_a_field_stores_otherwise_are_written_so(placed_order):
    order = placed_order({VariantFactory(): 1})
    order.price_trace, order.shipping_address, order.total = [{"a": "%s"}], replace(ADDRESS, name="Bo"), Decimal("1.5")
    update(row=order, fields=["price_trace", "shipping_address", "total"])
    found = type(order).objects.get(pk=order.pk)
    assert (found.price_trace, found.shipping_address.name, found.total) == ([{"a": "%s"}], "Bo", Decimal("1.500"))


def test_a_foreign_key_is_written_by_its_own_name_or_its_columns(cart):
    some, other = UserFactory.create_batch(2)
    for name, owner in (("user", some), ("user_id", other)):
        cart.user = owner
        update(row=cart, fields=[name])
        assert Cart.objects.get(pk=cart.pk).user == owner


def test_a_row_that_is_gone_cannot_be_written(cart):
    Cart.objects.all().delete()
    with pytest.raises(DatabaseError, match="gone"):
        update(row=cart, fields=["updated_at"])


def test_a_value_is_never_part_of_the_text():
    titled = PreparedQuery(lambda title: Product.objects.filter(title=title), title=db.CharField())
    odd = ProductFactory(title="'; DROP TABLE %s -- \\")
    ProductFactory(title="another")
    assert titled.all(title=odd.title) == [odd]


def test_a_value_by_key_is_each_rows_own(statements):
    few, many, none = VariantFactory.create_batch(3)
    added = value_by_key(model=Stock, values={few.stock.pk: 1, many.stock.pk: 7}, output_field=db.IntegerField())
    named = Stock.objects.filter(variant__in=[few, many])
    with statements() as counted:
        assert named.filter(on_hand__gte=added).update(on_hand=db.F("on_hand") - added) == 2
    assert len(counted) == 1
    left = [Stock.objects.get(variant=variant).on_hand for variant in (few, many, none)]
    assert left == [few.stock.on_hand - 1, many.stock.on_hand - 7, none.stock.on_hand]


def test_what_is_attached_can_still_be_asked_for_more(cart):
    other = Cart.objects.create(updated_at=NOW)
    theirs = CartLine.objects.create(cart=other, variant=VariantFactory(), quantity=1, position=1)
    attach(row=cart, name="lines", related=[])
    assert list(cart.lines.all()) == []
    assert not cart.lines.filter(pk=theirs.pk).exists()
