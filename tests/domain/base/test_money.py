from decimal import Decimal

import pytest
from django.db.models import F, Sum
from hypothesis import given
from hypothesis import strategies as st

from domain.base.money import ExactAmount, quantize
from storefront.models import Product
from tests.factories import ProductFactory

amounts = st.decimals(min_value=0, max_value=10**9, places=6)
currencies = st.sampled_from(["EUR", "JPY", "KWD"])


@pytest.mark.parametrize(
    ("currency", "rounded"),
    [
        ("EUR", "1234.57"),
        ("USD", "1234.57"),
        ("JPY", "1235"),
        ("KRW", "1235"),
        ("KWD", "1234.568"),
        ("TND", "1234.568"),
    ],
)
def test_amount_has_the_decimals_of_its_currency(currency, rounded):
    assert str(quantize(amount=Decimal("1234.5678"), currency=currency)) == rounded


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("0.015", "EUR", "0.02"),
        ("0.025", "EUR", "0.03"),
        ("0.5", "JPY", "1"),
        ("2.5", "JPY", "3"),
    ],
)
def test_half_a_unit_rounds_up(amount, currency, rounded):
    assert str(quantize(amount=Decimal(amount), currency=currency)) == rounded


def test_whole_amount_is_written_with_its_decimals():
    assert [str(quantize(amount=Decimal(5), currency=currency)) for currency in ("EUR", "JPY", "KWD")] == [
        "5.00",
        "5",
        "5.000",
    ]


@given(amounts, currencies)
def test_rounding_twice_is_rounding_once(amount, currency):
    once = quantize(amount=amount, currency=currency)
    assert str(quantize(amount=once, currency=currency)) == str(once)


@given(amounts, currencies)
def test_rounding_moves_an_amount_by_half_a_unit_at_most(amount, currency):
    rounded = quantize(amount=amount, currency=currency)
    unit = Decimal(1).scaleb(int(rounded.as_tuple().exponent))
    assert abs(rounded - amount) <= unit / 2


@given(amounts, amounts, currencies)
def test_rounding_keeps_the_order_of_amounts(one, other, currency):
    less, more = sorted([one, other])
    assert quantize(amount=less, currency=currency) <= quantize(amount=more, currency=currency)


@pytest.mark.django_db
def test_amounts_that_the_database_adds_up_are_exact():
    """0.1 + 0.2 is 0.30000000000000004 in binary fractions, and ten times 0.1 is 0.9999999999999999."""
    ProductFactory.create_batch(10, min_price="0.1", max_price="0.2")
    ranges = Product.objects.annotate(sum=ExactAmount(F("min_price") + F("max_price")))
    assert ranges.filter(sum=Decimal("0.3")).count() == 10
    assert {str(product.sum) for product in ranges} == {"0.300"}
    totals = Product.objects.values("vendor").annotate(sum=ExactAmount(Sum("min_price")))
    assert [str(each["sum"]) for each in totals.filter(sum=1)] == ["1.000"]
    Product.objects.update(min_price=ExactAmount(F("min_price") + F("max_price")), max_price="0.3")
    assert Product.objects.filter(min_price=F("max_price")).count() == 10
