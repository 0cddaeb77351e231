from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain import pricing
from domain.money import quantize

prices = st.decimals(min_value=0, max_value=10**7, places=3)
lines = st.lists(st.tuples(prices, st.integers(1, 9999)), max_size=12)
currencies = st.sampled_from(["EUR", "JPY", "KWD"])


def test_total_is_lines_and_shipping():
    totals = pricing.totals(
        lines=[(Decimal("19.90"), 2), (Decimal("5.05"), 1)], shipping=Decimal("4.90"), currency="EUR"
    )
    assert (totals.subtotal, totals.shipping, totals.total) == (Decimal("44.85"), Decimal("4.90"), Decimal("49.75"))


def test_discount_is_taken_off_and_tax_is_put_on():
    totals = pricing.Totals(subtotal=Decimal(100), discount=Decimal(30), shipping=Decimal(5), tax=Decimal(7))
    assert totals.total == 82


def test_nothing_costs_nothing():
    assert str(pricing.totals(lines=[], shipping=Decimal(0), currency="EUR").total) == "0.00"


def test_each_line_is_rounded_on_its_own():
    a_third = (Decimal("0.335"), 1)
    assert pricing.totals(lines=[a_third] * 3, shipping=Decimal(0), currency="EUR").total == Decimal("1.02")


def test_unit_price_is_rounded_before_it_is_multiplied():
    assert pricing.line_total(unit_price=Decimal("0.335"), quantity=3, currency="EUR") == Decimal("1.02")
    assert pricing.line_total(unit_price=Decimal("0.334"), quantity=3, currency="EUR") == Decimal("0.99")


@given(prices, st.integers(1, 9999), currencies)
def test_line_is_what_its_shown_unit_price_and_quantity_give(price, quantity, currency):
    total = pricing.line_total(unit_price=price, quantity=quantity, currency=currency)
    assert total == quantize(price, currency) * quantity
    assert str(total) == str(quantize(total, currency))


@given(lines, prices, currencies)
def test_total_is_the_sum_of_its_parts(lines, shipping, currency):
    totals = pricing.totals(lines=lines, shipping=shipping, currency=currency)
    each = [pricing.line_total(unit_price=price, quantity=quantity, currency=currency) for price, quantity in lines]
    assert totals.subtotal == sum(each)
    assert totals.total == sum(each) + quantize(shipping, currency) == totals.subtotal + totals.shipping


@given(lines.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), prices, currencies)
def test_order_of_lines_does_not_matter(both, shipping, currency):
    one, other = (pricing.totals(lines=some, shipping=shipping, currency=currency) for some in both)
    assert one == other


@given(lines, prices, currencies)
def test_no_amount_is_below_zero(lines, shipping, currency):
    totals = pricing.totals(lines=lines, shipping=shipping, currency=currency)
    assert min(totals.subtotal, totals.discount, totals.shipping, totals.tax, totals.total) >= 0


@given(lines, prices, currencies)
def test_total_can_be_paid_in_the_currencys_coins(lines, shipping, currency):
    total = pricing.totals(lines=lines, shipping=shipping, currency=currency).total
    assert str(total) == str(quantize(total, currency))


@given(lines.filter(bool), prices, currencies)
def test_one_more_line_never_costs_less(lines, shipping, currency):
    fewer, all_of_them = (
        pricing.totals(lines=some, shipping=shipping, currency=currency).total for some in (lines[1:], lines)
    )
    assert fewer <= all_of_them
