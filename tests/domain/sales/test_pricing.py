from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base.money import ZERO, quantize, smallest_unit
from domain.sales.pricing import Item, Rate, Reduction, ShippingCharge, Step, StepKind, totals
from storefront.models import DiscountKind

PERCENTAGE, FIXED, FREE_SHIPPING = DiscountKind
VAT, UNTAXED = Rate("VAT", Decimal(19)), Rate()


def good(price, quantity=1, key="A", tax=UNTAXED):
    return Item(key, Decimal(price), quantity, tax)


def code(kind, value="0", name="CODE", covers="ABC"):
    return Reduction(name, kind, Decimal(value), frozenset(covers))


def add_up(*goods, shipping=None, reductions=(), currency="EUR", inclusive=True, tax=UNTAXED):
    charge = ShippingCharge("Post", Decimal(shipping), tax) if shipping is not None else None
    return totals(goods=goods, shipping=charge, reductions=reductions, currency=currency, prices_include_tax=inclusive)


# ── examples ─────────────────────────────────────────────────────────────────────────────────────────


def test_total_is_lines_and_shipping():
    found = add_up(good("19.90", 2, "A"), good("5.05", 1, "B"), shipping="4.90")
    assert (found.subtotal, found.shipping, found.total) == (Decimal("44.85"), Decimal("4.90"), Decimal("49.75"))


def test_nothing_costs_nothing():
    assert str(add_up().total) == "0.00"


def test_unit_price_is_rounded_before_it_is_multiplied():
    assert add_up(good("0.335", 3)).total == Decimal("1.02")
    assert add_up(good("0.334", 3)).total == Decimal("0.99")


def test_percentage_is_taken_of_what_it_covers():
    found = add_up(good("10", 1, "A"), good("20", 1, "B"), reductions=[code(PERCENTAGE, "10", covers="B")])
    assert (found.lines["A"].discount, found.lines["B"].discount, found.total) == (0, 2, 28)


def test_amount_is_shared_in_proportion_and_adds_up_to_the_cent():
    three = [good("10", 1, key) for key in "ABC"]
    found = add_up(*three, reductions=[code(FIXED, "10")])
    assert [found.lines[key].discount for key in "ABC"] == [Decimal("3.34"), Decimal("3.33"), Decimal("3.33")]


def test_amount_above_what_it_covers_makes_it_free_and_no_more():
    found = add_up(good("5"), good("7", 1, "B"), shipping="4.90", reductions=[code(FIXED, "50", covers="A")])
    assert (found.lines["A"].discount, found.total) == (5, Decimal("11.90"))


def test_percentage_comes_before_an_amount_whichever_was_typed_first():
    codes = [code(FIXED, "10", "AAA"), code(PERCENTAGE, "10", "ZZZ")]
    assert add_up(good("100"), reductions=codes).total == add_up(good("100"), reductions=codes[::-1]).total == 80


def test_free_shipping_takes_shipping_off_and_its_tax():
    found = add_up(good("10", tax=VAT), shipping="4.90", tax=VAT, reductions=[code(FREE_SHIPPING)])
    assert (found.shipping, found.discount, found.total) == (Decimal("4.90"), Decimal("4.90"), 10)
    assert found.shipping_amounts.tax == 0


def test_discount_lowers_the_tax_too():
    found = add_up(good("119", tax=VAT), reductions=[code(PERCENTAGE, "50")])
    assert (found.net, found.tax, found.total) == (50, Decimal("9.50"), Decimal("59.50"))


def test_goods_of_several_rates_and_shipping_are_taxed_each_at_its_own():
    found = add_up(good("119", 1, "A", VAT), good("107", 1, "B", Rate("VAT", Decimal(7))), shipping="5.95", tax=VAT)
    assert [found.lines["A"].tax, found.lines["B"].tax, found.shipping_amounts.tax] == [19, 7, Decimal("0.95")]
    assert (found.net, found.tax, found.total) == (205, Decimal("26.95"), Decimal("231.95"))


# ── examples that others published ───────────────────────────────────────────────────────────────────


def test_exclusive_tax_as_stripe_rounds_it():
    """0.43 and 4.84 at 15 %: net 5.27, tax 0.79, gross 6.06.

    https://support.stripe.com/questions/rounding-rules-for-stripe-fees
    """
    rate = Rate("VAT", Decimal(15))
    found = add_up(good("0.43", 1, "A", rate), good("4.84", 1, "B", rate), inclusive=False)
    assert (found.net, found.tax, found.total) == (Decimal("5.27"), Decimal("0.79"), Decimal("6.06"))


def test_halves_are_rounded_up_as_wafeq_does():
    """45.30 at 5 % and 33.45 at 10 %: 2.265 is 2.27 and 3.345 is 3.35, together 5.62 on 78.75.

    https://developer.wafeq.com/reference/calculations-and-rounding
    """
    lines = [good("45.30", 1, "A", Rate("VAT", Decimal(5))), good("33.45", 1, "B", Rate("VAT", Decimal(10)))]
    found = add_up(*lines, inclusive=False)
    assert [found.lines[key].tax for key in "AB"] == [Decimal("2.27"), Decimal("3.35")]
    assert (found.subtotal, found.tax, found.total) == (Decimal("78.75"), Decimal("5.62"), Decimal("84.37"))


def test_inclusive_tax_as_shopify_takes_it_out():
    """Gabriel's 100.00 hold 10 % of tax: 9.09. Maya, who puts it on top, charges 110.00.

    https://help.shopify.com/en/manual/taxes/include-exclude-taxes
    """
    found = add_up(good("100", tax=Rate("GST", Decimal(10))))
    assert (found.net, found.tax, found.total) == (Decimal("90.91"), Decimal("9.09"), Decimal(100))
    assert add_up(good("100", tax=Rate("GST", Decimal(10))), inclusive=False).total == 110


# ── properties ───────────────────────────────────────────────────────────────────────────────────────

currencies = st.sampled_from(["EUR", "JPY", "KWD"])
prices = st.decimals(min_value=0, max_value=10**7, places=3)
rates = st.builds(Rate, st.sampled_from(["VAT", "GST"]), st.decimals(min_value=0, max_value=100, places=4))
keys = [f"SKU-{number}" for number in range(8)]
goods = st.dictionaries(st.sampled_from(keys), st.tuples(prices, st.integers(1, 9999), rates)).map(
    lambda drawn: [Item(key, price, quantity, tax) for key, (price, quantity, tax) in drawn.items()]
)
shipping_charges = st.none() | st.builds(ShippingCharge, st.just("Post"), prices, rates)
covers = st.frozensets(st.sampled_from(keys))
reductions = st.lists(
    st.one_of(
        st.tuples(st.just(PERCENTAGE), st.decimals(min_value="0.001", max_value=100, places=3), covers),
        st.tuples(st.just(FIXED), st.decimals(min_value="0.001", max_value=10**6, places=3), covers),
        st.tuples(st.just(FREE_SHIPPING), st.just(ZERO), covers),
    ),
    max_size=4,
).map(lambda drawn: [Reduction(f"CODE{index}", *terms) for index, terms in enumerate(drawn)])
carts = st.fixed_dictionaries(
    {
        "goods": goods,
        "shipping": shipping_charges,
        "reductions": reductions,
        "currency": currencies,
        "prices_include_tax": st.booleans(),
    }
)


@given(carts)
def test_parts_add_up_to_the_smallest_unit(cart):
    found = totals(**cart)
    assert found.total == found.net + found.tax
    on_top = ZERO if found.prices_include_tax else found.tax
    assert found.total == found.subtotal - found.discount + found.shipping + on_top
    each = [*found.lines.values(), found.shipping_amounts]
    for amounts in each:
        assert amounts.listed - amounts.discount == (amounts.gross if found.prices_include_tax else amounts.net)
    assert found.total == sum(amounts.gross for amounts in each)
    unit = smallest_unit(currency=cart["currency"])
    for amount in (found.subtotal, found.discount, found.shipping, found.net, found.tax, found.total):
        assert amount % unit == 0
        assert str(amount) == str(quantize(amount=amount, currency=cart["currency"]))


@given(carts)
def test_trace_explains_the_total_and_nothing_else(cart):
    found = totals(**cart)
    assert sum(step.amount for step in found.trace if not step.included) == found.total
    by_kind = {kind: sum(step.amount for step in found.trace if step.kind == kind) for kind in StepKind}
    assert by_kind == {
        StepKind.GOODS: found.subtotal,
        StepKind.DISCOUNT: -found.discount,
        StepKind.SHIPPING: found.shipping,
        StepKind.TAX: found.tax,
    }
    assert [Step.from_json(step.to_json()) for step in found.trace] == list(found.trace)


@given(carts)
def test_no_amount_is_below_zero(cart):
    found = totals(**cart)
    for amounts in (*found.lines.values(), found.shipping_amounts):
        assert min(amounts.listed, amounts.discount, amounts.net, amounts.tax) >= 0
        assert amounts.discount <= amounts.listed
    assert found.total >= 0


@given(carts, st.randoms())
def test_order_of_lines_and_codes_changes_nothing(cart, random):
    shuffled = {**cart, "goods": list(cart["goods"]), "reductions": list(cart["reductions"])}
    random.shuffle(shuffled["goods"])
    random.shuffle(shuffled["reductions"])
    one, other = totals(**cart), totals(**shuffled)
    assert dict(one.lines) == dict(other.lines)
    assert replace(one, lines={}, trace=()) == replace(other, lines={}, trace=())


@given(carts)
def test_a_code_never_makes_it_dearer(cart):
    assert totals(**cart).total <= totals(**{**cart, "reductions": []}).total


@given(goods, shipping_charges, currencies)
def test_inclusive_and_exclusive_prices_of_the_same_goods_differ_by_rounding_only(goods, charge, currency):
    """Each line that is priced with tax holds at most half a unit of rounding a piece, and half of its tax."""
    unit = smallest_unit(currency=currency)
    exclusive = totals(goods=goods, shipping=charge, currency=currency, prices_include_tax=False)

    def with_tax(price, rate):
        return quantize(amount=quantize(amount=price, currency=currency) * (1 + rate.percent / 100), currency=currency)

    inclusive = totals(
        goods=[replace(good, unit_price=with_tax(good.unit_price, good.tax)) for good in goods],
        shipping=charge and replace(charge, price=with_tax(charge.price, charge.tax)),
        currency=currency,
        prices_include_tax=True,
    )
    for good in goods:
        one, other = exclusive.lines[good.key], inclusive.lines[good.key]
        assert abs(one.gross - other.gross) <= unit / 2 * good.quantity + unit / 2
        assert abs(one.net - other.net) <= unit / 2 * good.quantity + unit / 2
    pieces = sum(good.quantity + 1 for good in goods) + 2
    assert abs(exclusive.total - inclusive.total) <= unit / 2 * pieces


@given(carts)
def test_tax_of_each_line_is_its_rate_of_its_net_within_half_a_unit(cart):
    found = totals(**cart)
    for good in cart["goods"]:
        amounts = found.lines[good.key]
        exact = amounts.net * good.tax.percent / 100
        # Out of a gross price, half a unit of tax is (1 + rate) halves of what the net's tax would be.
        assert abs(amounts.tax - exact) <= smallest_unit(currency=cart["currency"]) / 2 * (1 + good.tax.percent / 100)


@pytest.mark.parametrize(("currency", "total"), [("EUR", "1.19"), ("JPY", "1"), ("KWD", "1.190")])
def test_tax_is_rounded_to_the_currencys_own_coin(currency, total):
    assert str(add_up(good("1", tax=VAT), currency=currency, inclusive=False).total) == total
