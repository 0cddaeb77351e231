from decimal import Decimal

import pytest
from django.db.models import F, Sum
from hypothesis import given
from hypothesis import strategies as st

from domain.base.money import MAX_AMOUNT, ZERO, ExactAmount, Exchange, quantize, smallest_unit
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


@pytest.mark.parametrize(("currency", "unit"), [("EUR", "0.01"), ("JPY", "1"), ("KWD", "0.001")])
def test_the_smallest_unit_is_the_smallest_coin(currency, unit):
    assert str(smallest_unit(currency=currency)) == unit


def test_amounts_are_from_nothing_to_what_a_column_holds():
    assert (ZERO, MAX_AMOUNT) == (0, 100_000_000_000)


def test_digits_of_a_large_amount_are_kept():
    amount, rate = Decimal("12345678901.234"), Decimal("1234567890.12345678901234567890")
    assert str(Exchange("EUR", rate)(amount)) == "15241578753238135651.58"


# ── in another currency ──────────────────────────────────────────────────────────────────────────────


def test_the_shops_own_currency_is_exchanged_one_to_one():
    assert str(Exchange("EUR")(Decimal("19.9"))) == "19.90"


@pytest.mark.parametrize(
    ("currency", "rate", "amount", "exchanged"),
    [("USD", "1.25", "19.90", "24.88"), ("JPY", "160.5", "1", "161"), ("KWD", "0.33", "10", "3.300")],
)
def test_one_unit_of_the_shops_currency_is_so_many_of_the_other(currency, rate, amount, exchanged):
    assert str(Exchange(currency, Decimal(rate))(Decimal(amount))) == exchanged


@pytest.mark.parametrize(
    ("currency", "rate", "bound", "least", "most"),
    [
        # 24.995 is the least that is shown as 25.00, 25.0049… the most: divided by the rate, to a thousandth.
        ("USD", "1.25", "25", "19.996", "20.003"),
        ("USD", "1", "25", "24.995", "25.004"),
        ("JPY", "160", "160", "0.997", "1.003"),
        # A bound between two coins: the coin above it from below, the coin below it from above.
        ("USD", "1", "24.999", "24.995", "24.994"),
    ],
)
def test_a_bound_stands_for_the_amounts_that_are_shown_within_it(currency, rate, bound, least, most):
    exchange = Exchange(currency, Decimal(rate))
    assert exchange.lower_bound(Decimal(bound)) == Decimal(least)
    assert exchange.upper_bound(Decimal(bound)) == Decimal(most)


@given(
    st.decimals(min_value="0.001", max_value=10**6, places=3),
    st.decimals(min_value="0.0001", max_value=10**4, places=8),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.decimals(min_value=0, max_value=10**6, places=3),
)
def test_a_bound_finds_exactly_what_is_shown_within_it(amount, rate, currency, bound):
    exchange = Exchange(currency, rate)
    assert (amount >= exchange.lower_bound(bound)) == (exchange(amount) >= bound)
    assert (amount <= exchange.upper_bound(bound)) == (exchange(amount) <= bound)


# ── in SQL ───────────────────────────────────────────────────────────────────────────────────────────


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
    assert Product.objects.none().aggregate(sum=ExactAmount(Sum("min_price")))["sum"] is None
    assert Product.objects.filter(pk=0).aggregate(sum=ExactAmount(Sum("min_price")))["sum"] is None
