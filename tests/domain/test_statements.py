"""Statements that are worked out once find what their querysets find."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db import models as db

from domain import cart as carts
from domain import locks, quotes
from domain.statements import Statement, attach
from storefront.models import Cart, CartLine, Product, ProductVariant
from tests.factories import NOW, ProductFactory, VariantFactory

pytestmark = pytest.mark.django_db

VARIANTS = Statement(lambda keys: ProductVariant.objects.filter(pk__in=keys), keys=db.BigIntegerField())
CARTS = Statement(
    lambda cart, since: Cart.objects.filter(pk=cart, updated_at__gte=since).select_related("user"),
    cart=db.UUIDField(),
    since=db.DateTimeField(),
)


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
    loaded = quotes.load(cart)
    with statements() as counted:
        (line,) = loaded.lines.all()
        assert (line.variant.product.title, line.cart, list(loaded.discounts.all())) == ("A shirt", loaded, [])
    assert len(counted) == 0


def test_one_that_locks_runs_in_a_transaction_only(transactional_db, cart):
    assert not connection.in_atomic_block
    for lock in (lambda: carts.lock(carts.CartKey(code=cart.code)), lambda: locks.order_of(uuid4())):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="transaction"):
                lock()
    with transaction.atomic():
        assert carts.lock(carts.CartKey(code=cart.code)) == cart


def test_a_value_is_never_part_of_the_text():
    titled = Statement(lambda title: Product.objects.filter(title=title), title=db.CharField())
    odd = ProductFactory(title="'; DROP TABLE %s -- \\")
    ProductFactory(title="another")
    assert titled.all(title=odd.title) == [odd]


def test_what_is_attached_can_still_be_asked_for_more(cart):
    other = Cart.objects.create(updated_at=NOW)
    theirs = CartLine.objects.create(cart=other, variant=VariantFactory(), quantity=1, position=1)
    attach(cart, "lines", [])
    assert list(cart.lines.all()) == []
    assert not cart.lines.filter(pk=theirs.pk).exists()
