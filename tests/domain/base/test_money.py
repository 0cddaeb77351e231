from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base.money import quantize

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
