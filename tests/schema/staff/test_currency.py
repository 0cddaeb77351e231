"""Prices in further currencies: `@inContext` for the catalogue, the cart's own from then on."""

from decimal import Decimal

import pytest

from schema.base import ids
from storefront import models
from tests.factories import CurrencyFactory, ProductFactory, VariantFactory, VariantPriceFactory

pytestmark = pytest.mark.django_db

LIST = """
query ($currency: String = "USD", $filter: ProductFilter) @inContext(currency: $currency) {
  products(filter: $filter) { nodes {
    priceRange { min { amount currency } max { amount } }
    compareAtPrice { amount currency }
    variants { price { amount currency } compareAtPrice { amount } }
  } }
}
"""


@pytest.fixture
def shirt():
    """S at 20 (before: 25) and M at 30, which is listed at 31.99 (before: 39.99) USD; a dollar is 0.80 EUR."""
    product = ProductFactory(option1_name="Size")
    VariantFactory(product=product, option1="S", price=Decimal(20), compare_at_price=Decimal(25))
    medium = VariantFactory(product=product, option1="M", price=Decimal(30), position=1)
    VariantPriceFactory(
        variant=medium, currency=CurrencyFactory(rate="1.25"), price="31.99", compare_at_price=Decimal("39.99")
    )
    VariantPriceFactory(variant=medium, currency=CurrencyFactory(code="JPY", rate=160), price=5000)
    return product


def prices(product):
    return [variant["price"]["amount"] for variant in product["variants"]]


def test_catalogue_is_shown_in_the_currency_of_the_context(api, shirt):
    (product,) = api(LIST)["products"]["nodes"]
    assert prices(product) == ["25.00", "31.99"]
    assert product["priceRange"] == {"min": {"amount": "25.00", "currency": "USD"}, "max": {"amount": "31.99"}}
    assert [variant["compareAtPrice"]["amount"] for variant in product["variants"]] == ["31.25", "39.99"]
    assert product["compareAtPrice"] == {"amount": "31.25", "currency": "USD"}
    (product,) = api(LIST, currency="JPY")["products"]["nodes"]
    assert (prices(product), product["priceRange"]["min"]["amount"]) == (["3200", "5000"], "3200")


@pytest.mark.parametrize("currency", ["EUR", None])
def test_without_a_further_currency_it_is_the_shops_own(api, shirt, currency):
    (product,) = api(LIST, currency=currency)["products"]["nodes"]
    assert prices(product) == ["20.00", "30.00"]
    assert product["compareAtPrice"] == {"amount": "25.00", "currency": "EUR"}


def test_a_product_without_variants_is_shown_at_nothing_in_any_currency(api):
    CurrencyFactory()
    ProductFactory()
    (product,) = api(LIST)["products"]["nodes"]
    assert product["priceRange"]["min"] == {"amount": "0.00", "currency": "USD"}


CART = """
query @inContext(currency: "USD") { cart {
  discountCodes
  lines { quantity %s variant { price { amount } product { tags images { url } priceRange { min { amount } }
    compareAtPrice { amount } variants { price { amount } compareAtPrice { amount } } } } }
  %s
} }
"""


@pytest.mark.parametrize("money", ["", "unitPrice { amount } gross { amount }"], ids=["lines", "lines with money"])
@pytest.mark.parametrize("total", ["", "total { amount } problems { code }"], ids=["no total", "a total"])
def test_goods_in_a_cart_are_shown_in_the_context_and_cost_no_more_a_line(api, put, statements, money, total):
    CurrencyFactory()
    costs = set()
    for more in (2, 3):
        for _ in range(more):
            put(VariantFactory(compare_at_price=Decimal(30)))
        with statements() as counted:
            lines = api(CART % (money, total))["cart"]["lines"]
        assert all(line["variant"]["product"]["priceRange"]["min"]["amount"] == "24.88" for line in lines)
        costs.add(len(counted))
    assert len(costs) == 1


@pytest.mark.parametrize("currency", ["GBP", "usd", "", "US$"])
def test_a_currency_that_is_not_offered_is_a_mistake_of_the_front_end(api, shirt, currency):
    CurrencyFactory(code="GBP", is_active=False)
    response = api.post(LIST, currency=currency)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_USER_INPUT")


def test_a_currency_of_another_type_is_told_as_such(api, shirt):
    (error,) = api.errors(LIST, currency=["USD"])
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("bounds", "found"),
    [({"gte": "25.00"}, 1), ({"gte": "25.01"}, 0), ({"lte": "25.00"}, 1), ({"lte": "24.99"}, 0)],
    ids=str,
)
def test_a_filter_by_price_is_in_that_currency_too(api, shirt, bounds, found):
    assert len(api(LIST, filter={"price": bounds})["products"]["nodes"]) == found


def test_prices_in_the_shops_own_currency_cost_no_statement_more_and_in_another_the_same_for_all(api, statements):
    usd, costs = CurrencyFactory(), {"EUR": set(), "USD": set()}
    for size in (1, 5):
        for _ in range(size):
            VariantPriceFactory(variant=VariantFactory(), currency=usd, price=1)
        for currency, counts in costs.items():
            with statements() as counted:
                api(LIST, currency=currency)
            counts.add(len(counted))
    assert all(len(counts) == 1 for counts in costs.values())
    assert costs["EUR"] == {2}


ADD = """
mutation ($line: CartLineInput!) @inContext(currency: "USD") {
  addToCart(input: { lines: [$line] }) {
    cart { code currency subtotal { amount currency } lines { unitPrice { amount } variant { price { amount } } } }
  }
}
"""


def test_a_new_cart_is_in_the_currency_of_the_context_and_stays_so(api, do, ask):
    CurrencyFactory(rate="1.10")
    variant = VariantFactory(price=Decimal(10))
    cart = api(ADD, line={"variantId": ids.encode("ProductVariant", variant.pk)})["addToCart"]["cart"]
    assert (cart["currency"], cart["subtotal"]) == ("USD", {"amount": "11.00", "currency": "USD"})
    assert cart["lines"] == [{"unitPrice": {"amount": "11.00"}, "variant": {"price": {"amount": "11.00"}}}]
    assert ask("cart")["total"] == {"amount": "11.00", "currency": "USD"}
    assert do("checkout", currency="EUR")["cart"]["total"] == {"amount": "10.00", "currency": "EUR"}


def test_a_cart_does_not_change_to_a_currency_that_is_not_offered(put, refusals):
    put()
    assert refusals("checkout", currency="USD") == [
        {"__typename": "InvalidInput", "code": "CURRENCY_UNAVAILABLE", "field": ["currency"]}
    ]


def test_the_shop_tells_what_can_be_bought_in(api, shirt):
    CurrencyFactory(code="GBP", is_active=False)
    shop = api("{ shop { currency currencies pricesIncludeTax } }")["shop"]
    assert shop == {"currency": "EUR", "currencies": ["EUR", "JPY", "USD"], "pricesIncludeTax": True}


def test_an_order_in_another_currency_is_paid_and_shown_in_it(ready, do, api):
    cart = ready(VariantFactory(price=Decimal("19.90")))
    CurrencyFactory(code="JPY", rate=160)
    cart = do("checkout", currency="JPY")["cart"]
    assert cart["total"] == {"amount": "3968", "currency": "JPY"}
    order = do("placeOrder", cartCode=cart["code"], expectedTotal="3968")["order"]
    paid = do("startPayment", orderId=order["id"], receipt=order["receipt"], provider="TEST", paymentMethod="ok")
    assert paid["payment"]["amount"] == {"amount": "3968", "currency": "JPY"}
    assert models.Payment.objects.get().currency == "JPY"
    document = """query ($receipt: String) { order(receipt: $receipt) {
        currency exchangeRate lines { unitPrice { currency } }
    } }"""
    order = api(document, receipt=order["receipt"])["order"]
    assert order == {"currency": "JPY", "exchangeRate": "160", "lines": [{"unitPrice": {"currency": "JPY"}}]}
