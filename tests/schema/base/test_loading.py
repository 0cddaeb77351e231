"""What a mutation answers is what a query would, whatever is selected of it."""

import pytest

from schema.base import ids
from storefront import models
from tests.factories import CurrencyFactory, ImageFactory, ShippingMethodFactory, TaxRateFactory, VariantFactory

pytestmark = pytest.mark.django_db

ORDER = """fragment Told on Order {
  id number state placedAt email currency exchangeRate pricesIncludeTax note shippingMethod discountCodes receipt
  shippingAddress { name line1 city postalCode countryCode } billingAddress { name }
  subtotal { amount } discount { amount } shipping { amount } net { amount } tax { amount } total { amount }
  refunded { amount currency } priceTrace { label amount { amount } }
  lines { id sku title variantTitle quantity unitPrice { amount } total { amount } gross { amount }
    variant { id sku title price { amount } product { title tags } } image { url } }
  payments { id provider state amount { amount } refunded { amount } failure refunds { id } }
  shipments { id } events { kind message at }
}"""
CHECKOUT = """mutation ($code: ID!, $option: ID) { checkout(input: {cartCode: $code, email: "a@example.com",
  shippingOptionId: $option, shippingAddress: {name: "A", line1: "B 1", city: "C", postalCode: "20457",
  countryCode: "DE"}}) { cart { total { amount } checkout { shippingOptions { id } } } userErrors { message } } }"""


@pytest.fixture
def cart(api):
    ImageFactory(product=(variant := VariantFactory(price=10)).product)
    TaxRateFactory(country_code="DE", percent=19)
    ShippingMethodFactory()
    line = ids.encode("ProductVariant", variant.pk)
    add = 'mutation { addToCart(input: {lines: [{variantId: "%s", quantity: 2}]}) { cart { code } } }'
    code = api(add % line)["addToCart"]["cart"]["code"]
    option = api(CHECKOUT, code=code)["checkout"]["cart"]["checkout"]["shippingOptions"][0]["id"]
    return api(CHECKOUT, code=code, option=option)["checkout"]["cart"] | {"code": code}


def test_an_order_that_was_placed_paid_and_refused_is_told_as_it_is_read(api, cart):
    def read():
        return api("query ($receipt: String!) { order(receipt: $receipt) { ...Told } }" + ORDER, receipt=receipt)

    place = "mutation ($code: ID!, $total: Decimal!) { placeOrder(input: {cartCode: $code, expectedTotal: $total}) {"
    given = {"code": cart["code"], "total": cart["total"]["amount"]}
    for _ in range(2):  # The second time it is replayed.
        placed = api(place + " order { ...Told } userErrors { code } } }" + ORDER, **given)["placeOrder"]
        receipt = placed["order"]["receipt"]
        assert placed == {"order": read()["order"], "userErrors": []}
    pay = """mutation ($order: ID!, $receipt: String!, $method: String!) { startPayment(input: {orderId: $order,
      receipt: $receipt, provider: TEST, paymentMethod: $method}) {
      payment { id provider state amount { amount } refunded { amount } failure refunds { id } }
      order { ...Told } userErrors { code } } }"""
    for method, code in (("decline", "PAYMENT_DECLINED"), ("timeout", "PAYMENT_UNAVAILABLE"), ("ok", None)):
        paid = api(pay + ORDER, order=placed["order"]["id"], receipt=receipt, method=method)["startPayment"]
        order = read()["order"]
        assert paid["order"] == order
        assert paid["payment"] == order["payments"][-1]
        assert [error["code"] for error in paid["userErrors"]] == ([code] if code else [])
    assert order["state"] == "PAID"


def test_a_document_that_variables_change_is_worked_out_each_time(api, cart, statements):
    document = """mutation ($code: ID!, $more: Boolean!) { checkout(input: {cartCode: $code}) { cart {
      id lines @include(if: $more) { variant { product { images { id } } } } } } }"""
    costs = []
    for more in (False, True, False, True):
        with statements() as counted:
            found = api(document, code=cart["code"], more=more)["checkout"]["cart"]
        assert ("lines" in found) is more
        costs.append(len(counted))
    assert costs[:2] == costs[2:]
    assert costs[0] < costs[1]


def test_a_document_is_worked_out_once_for_each_currency(api, cart):
    CurrencyFactory(code="USD", rate="2")
    document = """mutation ($code: ID!, $in: String!) @inContext(currency: $in) {
      checkout(input: {cartCode: $code}) { cart { lines { variant { price { amount currency } } } } } }"""
    for _ in range(2):
        for currency, amount in (("EUR", "10.00"), ("USD", "20.00")):
            (line,) = api(document, code=cart["code"], **{"in": currency})["checkout"]["cart"]["lines"]
            assert line["variant"]["price"] == {"amount": amount, "currency": currency}
    models.Currency.objects.update(rate="3")
    (line,) = api(document, code=cart["code"], **{"in": "USD"})["checkout"]["cart"]["lines"]
    assert line["variant"]["price"]["amount"] == "30.00"


def test_two_parts_of_one_answer_are_told_apart(api, cart):
    document = """mutation ($code: ID!) { one: checkout(input: {cartCode: $code}) { cart { ...Some } }
      two: checkout(input: {cartCode: $code}) { cart { id } } three: checkout(input: {cartCode: $code}) {
        cart { code } cart { lines { quantity } } } }
      fragment Some on Cart { lines { variant { sku product { title } } } }"""
    first = api(document, code=cart["code"])
    assert first["one"]["cart"]["lines"][0]["variant"]["product"]["title"]
    assert first["two"]["cart"].keys() == {"id"}
    assert first["three"]["cart"].keys() == {"code", "lines"}
    assert api(document, code=cart["code"]) == first
