"""A buyer's operations, so that each test says only what it is about."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone

from schema.base import ids
from storefront import models
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

query me { me { ...UserParts } }
mutation register($input: RegisterInput!) { payload: register(input: $input) { ...AuthParts } }
mutation login($input: LoginInput!) { payload: login(input: $input) { ...AuthParts } }
mutation refreshToken($input: RefreshTokenInput) { payload: refreshToken(input: $input) { ...AuthParts } }
mutation resetPassword($input: ResetPasswordInput!) { payload: resetPassword(input: $input) { ...AuthParts } }
mutation changePassword($input: ChangePasswordInput!) { payload: changePassword(input: $input) { ...AuthParts } }
mutation logout($input: LogoutInput) { payload: logout(input: $input) { userErrors { ...Refusal } } }
mutation requestPasswordReset($input: RequestPasswordResetInput!) {
  payload: requestPasswordReset(input: $input) { userErrors { ...Refusal ...Limit } }
}
mutation verifyEmail($input: VerifyEmailInput!) { payload: verifyEmail(input: $input) { ...AccountParts } }
mutation updateProfile($input: UpdateProfileInput!) { payload: updateProfile(input: $input) { ...AccountParts } }
mutation saveAddress($input: SaveAddressInput!) { payload: saveAddress(input: $input) { ...AccountParts } }
mutation deleteAddress($input: DeleteAddressInput!) { payload: deleteAddress(input: $input) { ...AccountParts } }
mutation deleteAccount($input: DeleteAccountInput!) { payload: deleteAccount(input: $input) { ...AccountParts } }

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
fragment AuthParts on AuthPayload {
  accessToken expiresAt expiresIn refreshToken
  user { ...UserParts }
  cart { ...CartParts }
  merged { before guest after reason variant { id sku } }
  userErrors { ...Refusal ...Limit }
}
fragment AccountParts on AccountPayload { user { ...UserParts } userErrors { ...Refusal ...Limit } }
fragment UserParts on User {
  id name email emailVerified isStaff
  cart { code totalQuantity }
  addresses { id address { ...AddressParts } }
  sessions { id createdAt lastUsedAt expiresAt userAgent current }
}
fragment Limit on UserError { ... on RateLimited { retryAfter } }
"""
ADDRESS = {"name": "Ada", "line1": "Am Hafen 1", "postalCode": "20457", "city": "Hamburg", "countryCode": "DE"}


@pytest.fixture
def ask(api):
    """`ask("cart", code=…)`: what a query finds."""
    return lambda name, **given: api(DOCUMENT, name, **given)[name]


@pytest.fixture
def do(api):
    """`do("addToCart", lines=…)`: what a mutation that must succeed hands back, without its errors."""

    def mutate(name, /, **given):
        payload = api(DOCUMENT, name, input=given)["payload"]
        assert payload.pop("userErrors") == []
        return payload

    return mutate


@pytest.fixture
def refusals(api):
    """The `userErrors` of a mutation that must do nothing, without their messages, which are for people."""

    def mutate(name, /, **given):
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

    def mutate(name, /, **given):
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


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────

PASSWORD = "lamp-otter-quarry"


class Browser(Client):
    """Forgets a cookie that an answer deletes, as browsers do; Django's own client would send it on, empty."""

    def request(self, **request):
        response = super().request(**request)
        for name in [name for name, cookie in response.cookies.items() if cookie["max-age"] == 0]:
            self.cookies.pop(name, None)
        return response


@pytest.fixture
def browser(api):
    """`browser()`: from now on `api`, and all that goes by it, is another browser, with nothing in it."""

    def another():
        api.client = Browser(headers={"accept": "application/graphql-response+json"})
        return api.client

    another()
    return another


@pytest.fixture
def bearer(api):
    """`bearer(token)`: from now on the browser at hand states this access token; None: no longer any."""

    def state(token):
        api.client.defaults.pop("HTTP_AUTHORIZATION", None)
        if token is not None:
            api.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    return state


@pytest.fixture
def password():
    """That of every `account`."""
    return PASSWORD


@pytest.fixture
def account(db):
    """`account("bob@example.com")`: somebody who has proven that e-mail, and can log in."""

    def make(email="ada@example.com", **fields):
        return models.User.objects.create_user(email, PASSWORD, **{"name": "Ada", **fields})

    return make


@pytest.fixture
def enter(do, bearer):
    """`enter(user)`: logs in by the browser at hand, which states the access token from then on."""

    def log_in(user, **given):
        payload = do("login", email=user.address, password=PASSWORD, **given)
        bearer(payload["accessToken"])
        return payload

    return log_in


@pytest.fixture
def mailed(do, delivered):
    """`mailed("requestPasswordReset", email=…)`: the token of the link in the one mail that a mutation sends."""

    def send(name, /, **given):
        delivered()
        do(name, **given)
        (mail,) = delivered()
        return re.search(r"token=(\S+)", mail.body)[1]

    return send


class Clock:
    """Stands still at the present, so that no count of attempts is cut in two by the end of its time."""

    def __init__(self):
        self.now = timezone.now()

    def forward(self, **much):
        self.now += timedelta(**much)


@pytest.fixture
def clock(monkeypatch):
    """What requests take for the present. Access tokens are measured by the real one."""
    clock = Clock()
    monkeypatch.setattr("schema.base.context.timezone", SimpleNamespace(now=lambda: clock.now))
    return clock
