import pytest

from domain import cart as carts
from tests.factories import NOW, VariantFactory

pytestmark = pytest.mark.django_db


def test_same_variant_twice_becomes_one_line():
    variant = VariantFactory()
    cart = carts.add_lines(key=carts.CartKey(), lines=[carts.NewLine(variant.pk, 2)], now=NOW)
    carts.add_lines(key=carts.CartKey(code=cart.code), lines=[carts.NewLine(variant.pk, 3)], now=NOW)
    assert [(line.variant_id, line.quantity) for line in cart.lines.all()] == [(variant.pk, 5)]
