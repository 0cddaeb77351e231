"""A buyer's operations, so that each test says only what it is about."""

import pytest

from schema import ids
from tests.factories import ShippingMethodFactory, VariantFactory

DOCUMENT = """
query cart($code: ID) { cart(code: $code) { ...CartParts } }
query order($id: ID, $receipt: String) { order(id: $id, receipt: $receipt) { ...OrderParts } }

mutation addToCart($input: AddToCartInput!) {
  payload: addToCart(input: $input) { cart { ...CartParts } userErrors { ...Refusal } }
}
mutation updateCartLine($input: UpdateCartLineInput!) {
  payload: updateCartLine(input: $input) { cart { ...CartParts } userErrors { ...Refusal } }
}
mutation removeFromCart($input: RemoveFromCartInput!) {
  payload: removeFromCart(input: $input) { cart { ...CartParts } userErrors { ...Refusal } }
}
mutation clearCart($input: ClearCartInput) {
  payload: clearCart(input: $input) { cart { ...CartParts } userErrors { ...Refusal } }
}
mutation checkout($input: CheckoutInput!) {
  payload: checkout(input: $input) { cart { ...CartParts } userErrors { ...Refusal } }
}
mutation placeOrder($input: PlaceOrderInput!) {
  payload: placeOrder(input: $input) { order { ...OrderParts } replayed userErrors { ...Refusal } }
}
mutation cancelOrder($input: CancelOrderInput!) {
  payload: cancelOrder(input: $input) { order { ...OrderParts } userErrors { ...Refusal } }
}
mutation startPayment($input: StartPaymentInput!) {
  payload: startPayment(input: $input) {
    payment { id provider state amount { amount currency } clientSecret redirectUrl failure }
    order { ...OrderParts }
    userErrors { ...Refusal }
  }
}

fragment CartParts on Cart {
  id code state totalQuantity
  lines { id quantity unitPrice { amount } total { amount } variant { id sku } }
  subtotal { amount } discount { amount } shipping { amount } tax { amount } total { amount currency }
  problems { ...Refusal }
  checkout {
    email ready
    shippingAddress { ...AddressParts } billingAddress { ...AddressParts }
    shippingOption { id name } shippingOptions { id name estimate price { amount currency } }
  }
  order { id }
}
fragment OrderParts on Order {
  id number state email note receipt shippingMethod
  subtotal { amount } discount { amount } shipping { amount } tax { amount } total { amount currency }
  lines { sku title variantTitle quantity unitPrice { amount } total { amount currency } variant { sku } image { url } }
  shippingAddress { ...AddressParts } billingAddress { ...AddressParts }
  payments { id state amount { amount } failure }
  events { kind message }
}
fragment AddressParts on Address { name line1 line2 city region postalCode countryCode phone }
fragment Refusal on UserError {
  __typename code message field
  ... on InsufficientStock { requested available variant { id sku } }
  ... on TotalChanged { expected { amount currency } actual { amount currency } }
  ... on CartLocked { order { number } }
}
"""
ADDRESS = {"name": "Ada", "line1": "Am Hafen 1", "postalCode": "20457", "city": "Hamburg", "countryCode": "DE"}


@pytest.fixture
def ask(api):
    """`ask("cart", code=…)`: what a query finds."""
    return lambda name, **given: api(DOCUMENT, name, **given)[name]


@pytest.fixture
def do(api):
    """`do("addToCart", lines=…)`: what a mutation that must succeed hands back, without its errors."""

    def mutate(name, **given):
        payload = api(DOCUMENT, name, input=given)["payload"]
        assert payload.pop("userErrors") == []
        return payload

    return mutate


@pytest.fixture
def refusals(api):
    """The `userErrors` of a mutation that must do nothing, without their messages, which are for people."""

    def mutate(name, **given):
        payload = api(DOCUMENT, name, input=given)["payload"]
        errors = payload.pop("userErrors")
        assert errors
        tried = {error["code"] for error in errors} <= {"PAYMENT_DECLINED", "PAYMENT_UNAVAILABLE"}
        assert tried or not any(payload.values()), "a payload with errors holds nothing else"
        assert all(error.pop("message") for error in errors)
        return errors

    return mutate


@pytest.fixture
def bad_input(api):
    """Asserts that a front end's mistake is told as such, and nothing is executed."""

    def mutate(name, **given):
        response = api.post(DOCUMENT, name, input=given)
        codes = {error["extensions"]["code"] for error in response.json()["errors"]}
        assert (response.status_code, codes) == (400, {"BAD_USER_INPUT"})
        assert "data" not in response.json()

    return mutate


@pytest.fixture
def variant_id():
    return lambda variant: ids.encode("ProductVariant", variant.pk)


@pytest.fixture
def put(do, variant_id):
    """`put(variant, 2)`: the cart with so many more of the variant in it; a new variant when none is given."""

    def add(variant=None, quantity=1, **given):
        variant = variant or VariantFactory()
        return do("addToCart", lines=[{"variantId": variant_id(variant), "quantity": quantity}], **given)["cart"]

    return add


@pytest.fixture
def ready(do, put):
    """`ready(variant, 2)`: a guest's cart that can be placed; shipping is 4.90."""

    def fill(variant=None, quantity=1):
        method = ShippingMethodFactory()
        code = put(variant, quantity)["code"]
        option = ids.encode("ShippingOption", method.pk)
        given = {"cartCode": code, "email": "ada@example.com", "shippingAddress": ADDRESS}
        return do("checkout", **given, shippingOptionId=option)["cart"]

    return fill


@pytest.fixture
def placed(do, ready):
    """`placed(variant, 2)`: an order that awaits its payment."""

    def place(variant=None, quantity=1):
        cart = ready(variant, quantity)
        return do("placeOrder", cartCode=cart["code"], expectedTotal=cart["total"]["amount"])["order"]

    return place
