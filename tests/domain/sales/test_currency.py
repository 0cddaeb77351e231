from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from domain.base.errors import InvalidInput
from domain.sales import cart as carts
from domain.sales import checkout, currency, orders
from domain.sales.currency import CurrencyUnavailable
from domain.sales.priced_cart import load_priced_cart
from storefront.models import Cart, CartLine, Currency
from tests.factories import (
    NOW,
    CurrencyFactory,
    DiscountFactory,
    VariantFactory,
    VariantPriceFactory,
    totals,
)

pytestmark = pytest.mark.django_db


def choose(cart, code):
    return checkout.update(key=carts.CartKey(code=cart.code), currency_code=code, now=NOW).cart


def place(cart, total):
    return orders.place(key=carts.CartKey(code=cart.code), expected_total=Decimal(total), now=NOW).order


@pytest.fixture
def cart(ready_cart):
    """Two at 19.90 and shipping at 4.90: 44.70 EUR."""
    return ready_cart({VariantFactory(price=Decimal("19.90")): 2})


def test_prices_are_converted_each_on_its_own(cart):
    CurrencyFactory(code="USD", rate=Decimal("1.10"))
    choose(cart, "USD")
    found = totals(cart)
    assert (found.currency, found.subtotal, found.shipping) == ("USD", Decimal("43.78"), Decimal("5.39"))


@pytest.mark.parametrize(("code", "rate", "total"), [("JPY", "160", "7152"), ("KWD", "0.33", "14.751")])
def test_amounts_have_the_currencys_own_decimals(cart, code, rate, total):
    CurrencyFactory(code=code, rate=Decimal(rate))
    choose(cart, code)
    assert str(totals(cart).total) == total
    order = place(cart, total)
    assert (order.currency, order.exchange_rate) == (code, Decimal(rate))


def test_listed_price_comes_before_the_converted_one(cart):
    usd = CurrencyFactory()
    VariantPriceFactory(variant=cart.lines.get().variant, currency=usd, price=Decimal("19.99"))
    choose(cart, "USD")
    assert totals(cart).subtotal == Decimal("39.98")
    choose(cart, "EUR")
    assert totals(cart).subtotal == Decimal("39.80")


def test_listed_price_finer_than_the_coin_is_rounded(cart):
    yen = CurrencyFactory(code="JPY", rate=160)
    VariantPriceFactory(variant=cart.lines.get().variant, currency=yen, price=Decimal("2999.5"))
    choose(cart, "JPY")
    assert totals(cart).subtotal == 6000


def test_amounts_of_a_discount_are_converted(cart):
    CurrencyFactory(code="USD", rate=2)
    cart.discounts.add(DiscountFactory(kind="FIXED", value=5, minimum_total=Decimal("39.80")))
    choose(cart, "USD")
    assert totals(cart).discount == 10


def test_new_cart_starts_in_the_currency_that_its_visitor_sees():
    CurrencyFactory()
    line = carts.NewLine(VariantFactory().pk, 1)
    cart = carts.add_lines(key=carts.CartKey(), lines=[line], currency="USD", now=NOW).cart
    assert Cart.objects.get(pk=cart.pk).currency_id == "USD"
    carts.add_lines(key=carts.CartKey(code=cart.code), lines=[line], currency="EUR", now=NOW)
    assert Cart.objects.get(pk=cart.pk).currency_id == "USD"


@pytest.mark.parametrize("code", ["", "usd", "GBP", "US$"])
def test_currency_that_is_not_offered_is_refused(cart, code):
    CurrencyFactory(code="GBP", is_active=False)
    with pytest.raises(CurrencyUnavailable):
        choose(cart, code)
    assert Cart.objects.get().currency is None


def test_currency_withdrawn_from_under_a_cart_stops_the_order_until_another_is_chosen(cart):
    CurrencyFactory(rate=1)
    choose(cart, "USD")
    Currency.objects.update(is_active=False)
    with pytest.raises(CurrencyUnavailable) as refused:
        place(cart, "44.70")
    assert refused.value.field == ("currency",)
    choose(cart, "EUR")
    assert place(cart, "44.70").currency == "EUR"


def test_order_keeps_the_currency_and_rate_it_was_placed_with(cart):
    CurrencyFactory(rate=2)
    choose(cart, "USD")
    order = place(cart, "89.40")
    Currency.objects.update(rate=3)
    order.refresh_from_db()
    assert (order.currency, order.exchange_rate, order.total) == ("USD", 2, Decimal("89.40"))
    assert order.lines.get().unit_price == Decimal("39.80")


def test_rate_that_changes_is_told_before_it_is_charged(cart):
    CurrencyFactory(rate=2)
    choose(cart, "USD")
    seen = totals(cart).total
    Currency.objects.update(rate=3)
    with pytest.raises(orders.TotalChanged) as refused:
        place(cart, seen)
    assert (refused.value.actual, refused.value.currency) == (Decimal("134.10"), "USD")


def test_prices_seen_in_another_currency_are_not_compared(cart):
    CurrencyFactory()
    choose(cart, "USD")
    assert CartLine.objects.get().seen_price is None
    assert checkout.problems(priced=load_priced_cart(cart=Cart.objects.get(), now=NOW)) == []


def test_shops_own_currency_is_no_further_one(settings):
    with pytest.raises(ValidationError):
        Currency(code=settings.SHOP_CURRENCY, rate=1).full_clean()
    assert currency.offered() == ["EUR"]


def test_same_number_in_another_currency_is_not_the_same_total(cart):
    usd = CurrencyFactory(rate=1)
    choose(cart, "USD")
    key = carts.CartKey(code=cart.code)
    with pytest.raises(orders.TotalChanged) as refused:
        orders.place(key=key, expected_total=Decimal("44.70"), expected_currency="EUR", now=NOW)
    assert (refused.value.expected_currency, refused.value.currency) == ("EUR", usd.pk)
    placed = orders.place(key=key, expected_total=Decimal("44.70"), expected_currency="USD", now=NOW)
    assert placed.order.currency == "USD"


def test_amounts_that_no_column_holds_are_refused_not_stored(ready_cart):
    CurrencyFactory(rate=10**9)
    cart = ready_cart({VariantFactory(price=Decimal(10**9)): 1})
    choose(cart, "USD")
    carts.add_lines(key=carts.CartKey(code=cart.code), lines=[carts.NewLine(cart.lines.get().variant_id, 1)], now=NOW)
    cart.discounts.add(DiscountFactory(value=100))
    with pytest.raises(InvalidInput):
        place(cart, totals(cart).total)


# ── a variant's price ────────────────────────────────────────────────────────────────────────────────


def test_the_shop_offers_its_own_currency_first_and_those_that_are_active():
    CurrencyFactory(code="JPY", is_active=False)
    CurrencyFactory(code="USD")
    assert currency.offered() == ["EUR", "USD"]


def test_a_currency_is_found_by_its_code_among_those_that_are_active():
    CurrencyFactory(code="GBP")
    CurrencyFactory(code="JPY", is_active=False)
    usd = CurrencyFactory(code="USD")
    assert (currency.by_code(code="USD"), currency.by_code(code="EUR")) == (usd, None)
    for code in ("JPY", "XXX", ""):
        with pytest.raises(CurrencyUnavailable) as refused:
            currency.by_code(code=code)
        assert refused.value.field == ("currency",)


@pytest.fixture
def priced():
    """A variant at 10.00, 12.00 before; at 15.00 USD, 18.00 USD before; in GBP for 9.00 alone; in JPY by the rate."""
    variant = VariantFactory(price=Decimal(10), compare_at_price=Decimal(12))
    usd, gbp = CurrencyFactory(code="USD"), CurrencyFactory(code="GBP", rate=Decimal("0.8"))
    CurrencyFactory(code="JPY", rate=Decimal("160.4"))
    VariantPriceFactory(variant=variant, currency=gbp, price=Decimal(9))
    VariantPriceFactory(variant=variant, currency=usd, price=Decimal(15), compare_at_price=Decimal(18))
    VariantPriceFactory(variant=VariantFactory(), currency=usd, price=Decimal(99))
    return variant


@pytest.mark.parametrize(
    ("code", "price", "before"),
    [("EUR", "10.00", "12.00"), ("USD", "15.00", "18.00"), ("GBP", "9.00", None), ("JPY", "1604", "1925")],
)
def test_a_price_is_the_listed_one_or_the_converted_one_and_what_it_was_before_goes_with_it(
    priced, code, price, before
):
    exchange = currency.exchange_to(currency=currency.by_code(code=code))
    assert str(currency.price_of(variant=priced, exchange=exchange)) == price
    shown = currency.compare_at_price_of(variant=priced, exchange=exchange)
    assert (shown and str(shown)) == before
    assert currency.unit_prices(variants=[priced], exchange=exchange) == {priced.pk: Decimal(price)}


def test_what_was_never_dearer_has_no_price_of_before(priced):
    priced.compare_at_price = None
    exchange = currency.exchange_to(currency=currency.by_code(code="JPY"))
    assert currency.compare_at_price_of(variant=priced, exchange=exchange) is None


def test_list_prices_are_those_of_the_currency_and_none_in_the_shops_own(priced):
    def listed(code):
        exchange = currency.exchange_to(currency=currency.by_code(code=code))
        return sorted(currency.listed_in(exchange=exchange).values_list("price", flat=True))

    assert (listed("USD"), listed("GBP"), listed("JPY"), listed("EUR")) == ([15, 99], [9], [], [])


def test_the_shops_own_prices_cost_no_statement(priced, statements):
    own = currency.exchange_to(currency=None)
    with statements() as counted:
        currency.unit_prices(variants=[priced], exchange=own)
        currency.price_of(variant=priced, exchange=own)
        currency.compare_at_price_of(variant=priced, exchange=own)
    assert len(counted) == 0
