"""Whose it is: every id and secret that the API takes, tried by everybody whom it does not concern.

What the schema takes is read from the schema: an argument without a row here fails the first test.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core import signing
from django.db import transaction
from django.test import Client
from django.utils import timezone
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from domain.accounts import sessions, throttle
from domain.sales import orders
from schema.base import ids, tokens
from schema.root import graphql_schema
from storefront import models
from storefront.models.cart import new_cart_code
from tests.factories import ADDRESS, NOW, DiscountFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "tulip-harbour-9"
HOME = {"name": "Eve", "line1": "Am Kai 4", "postalCode": "20457", "city": "Hamburg", "countryCode": "DE"}

# ── what the API takes ───────────────────────────────────────────────────────────────────────────────

SECRETS = {"code", "cartCode", "receipt", "token", "refreshToken"}


def taken_by_the_schema() -> set[str]:
    """`Mutation.addToCart(input.lines.variantId)` and the like: ids of any type, and secrets by their name.

    What is for staff asks for a permission before it looks at an id: `test_staff.py` tries each.
    """
    return {
        f"{type_.name}.{name}({path})"
        for type_ in graphql_schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name, field in type_.fields.items()
        if not (field.description or "").startswith("For staff")
        for path in _paths({name: argument.type for name, argument in field.args.items()})
    }


def _paths(parts: dict[str, Any], above: tuple[Any, ...] = ()) -> list[str]:
    found = []
    for name, type_ in parts.items():
        named = get_named_type(type_)
        if named.name == "ID" or name in SECRETS:
            found.append(name)
        elif isinstance(named, GraphQLInputObjectType) and named not in above:
            inner = {name: part.type for name, part in named.fields.items()}
            found += [f"{name}.{path}" for path in _paths(inner, (*above, named))]
    return found


def test_everything_that_the_schema_takes_has_a_row():
    assert taken_by_the_schema() == ROWS.keys()


def test_public_is_what_the_shop_publishes_alone():
    assert set(PUBLIC.values()) == {"Product", "Category", "ProductVariant", "ShippingOption", "DiscountCode"}


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────────

ERRORS = "userErrors { __typename code message field ... on CartLocked { order { id } } }"
CART_PARTS = "{ id code state totalQuantity lines { id } checkout { email } order { id } }"
ORDER_PARTS = "{ id number state email receipt shippingAddress { name line1 } }"
CART, ORDER = f"cart {CART_PARTS}", f"order {ORDER_PARTS}"
ACCOUNT = "user { id name addresses { id address { name line1 } } }"
ENTRY = "user { email } cart { totalQuantity lines { quantity variant { sku } } } merged { before guest after reason }"


def mutation(name: str, selection: str) -> str:
    kind = f"{name[0].upper()}{name[1:]}Input!"
    return f"mutation ($input: {kind}) {{ it: {name}(input: $input) {{ {selection} {ERRORS} }} }}"


@dataclass(frozen=True)
class Row:
    """How something is asked for. `given(world, its, value)`: the variables, with the value in the place in question.

    `its` are the things of the owner whose value is tried; `value(its)` is that value; `proof(data)` what only a
    success has. `enters`: it begins a session of whoever asks.
    """

    document: str
    given: Callable[[Any, Any, str], dict[str, Any]]
    value: Callable[[Any], str]
    proof: Callable[[dict[str, Any]], Any]
    kind: str = ""
    enters: bool = False


def by_code(name: str, selection: str = CART, **more: Callable[[Any, Any], Any]) -> Row:
    def given(world, its, value):
        return {"input": {"cartCode": value, **{key: make(world, its) for key, make in more.items()}}}

    return Row(
        mutation(name, selection), given, lambda its: its.code, lambda it: it["cart" if selection is CART else "order"]
    )


def entering(name: str, **more: Callable[[Any], Any]) -> Row:
    """The code of a guest's cart beside a login, which is Bob's (or Carol's, who registers)."""

    def given(world, its, value):
        return {"input": {"cartCode": value, **{key: make(world) for key, make in more.items()}}}

    return Row(mutation(name, ENTRY), given, lambda its: its.code, lambda it: it["merged"], enters=True)


def by_id(name: str, part: str, type_: str, selection: str, proof: str, **more: Callable[[Any], Any]) -> Row:
    many = part.endswith("s")

    def given(world, its, value):
        return {"input": {part: [value] if many else value, **{key: make(world) for key, make in more.items()}}}

    return Row(mutation(name, selection), given, lambda its: its.ids[type_], lambda it: it[proof], kind=type_)


PUBLIC = {
    "Query.product(id)": "Product",
    "Query.products(filter.ids)": "Product",
    "Query.products(filter.categoryId)": "Category",
    "Query.category(id)": "Category",
    "Mutation.addToCart(input.lines.variantId)": "ProductVariant",
    "Mutation.checkout(input.shippingOptionId)": "ShippingOption",
    "Mutation.applyDiscountCode(input.code)": "DiscountCode",
    "Mutation.removeDiscountCode(input.code)": "DiscountCode",
}

# What belongs to an account opens to its owner alone.
PRIVATE = {
    "Query.order(id)": Row(
        f"query ($id: ID) {{ it: order(id: $id) {ORDER_PARTS} }}",
        lambda world, its, value: {"id": value},
        lambda its: its.ids["Order"],
        lambda it: it["id"],
        kind="Order",
    ),
    "Mutation.updateCartLine(input.lineId)": by_id(
        "updateCartLine", "lineId", "CartLine", CART, "cart", quantity=lambda world: 1
    ),
    "Mutation.removeFromCart(input.lineIds)": by_id("removeFromCart", "lineIds", "CartLine", CART, "cart"),
    "Mutation.cancelOrder(input.orderId)": by_id("cancelOrder", "orderId", "Order", ORDER, "order"),
    "Mutation.startPayment(input.orderId)": by_id(
        "startPayment", "orderId", "Order", f"payment {{ state }} {ORDER}", "payment", provider=lambda world: "TEST"
    ),
    "Mutation.saveAddress(input.id)": by_id(
        "saveAddress", "id", "SavedAddress", ACCOUNT, "user", address=lambda world: HOME
    ),
    "Mutation.deleteAddress(input.id)": by_id("deleteAddress", "id", "SavedAddress", ACCOUNT, "user"),
}

# An account's cart opens to its owner alone, whoever knows the code; a guest's to whoever knows it.
CODES = {
    "Query.cart(code)": Row(
        f"query ($code: ID) {{ it: cart(code: $code) {CART_PARTS} }}",
        lambda world, its, value: {"code": value},
        lambda its: its.code,
        lambda it: it["id"],
    ),
    "Mutation.addToCart(input.cartCode)": by_code(
        "addToCart", lines=lambda world, its: [{"variantId": world.variant, "quantity": 1}]
    ),
    "Mutation.updateCartLine(input.cartCode)": by_code(
        "updateCartLine", lineId=lambda world, its: its.ids["CartLine"], quantity=lambda world, its: 1
    ),
    "Mutation.removeFromCart(input.cartCode)": by_code(
        "removeFromCart", lineIds=lambda world, its: [its.ids["CartLine"]]
    ),
    "Mutation.clearCart(input.cartCode)": by_code("clearCart"),
    "Mutation.checkout(input.cartCode)": by_code("checkout", email=lambda world, its: "eve@example.com"),
    "Mutation.applyDiscountCode(input.cartCode)": by_code("applyDiscountCode", code=lambda world, its: "POST"),
    "Mutation.removeDiscountCode(input.cartCode)": by_code("removeDiscountCode", code=lambda world, its: "TEN"),
    "Mutation.placeOrder(input.cartCode)": by_code("placeOrder", ORDER, expectedTotal=lambda world, its: its.total),
    "Mutation.register(input.cartCode)": entering(
        "register", email=lambda world: "carol@example.com", password=lambda world: NEW_PASSWORD
    ),
    "Mutation.login(input.cartCode)": entering(
        "login", email=lambda world: "bob@example.com", password=lambda world: world.password
    ),
    "Mutation.resetPassword(input.cartCode)": entering(
        "resetPassword", token=lambda world: world.bobs_reset, password=lambda world: NEW_PASSWORD
    ),
}

# Whoever has one of these may do what it is for, and nothing else: they are as good as what they open.
BEARER = {
    "Query.order(receipt)": Row(
        f"query ($receipt: String) {{ it: order(receipt: $receipt) {ORDER_PARTS} }}",
        lambda world, its, value: {"receipt": value},
        lambda its: its.secrets["receipt"],
        lambda it: it["id"],
        kind="receipt",
    ),
    "Mutation.cancelOrder(input.receipt)": Row(
        mutation("cancelOrder", ORDER),
        lambda world, its, value: {"input": {"orderId": its.ids["Order"], "receipt": value}},
        lambda its: its.secrets["receipt"],
        lambda it: it["order"],
        kind="receipt",
    ),
    "Mutation.startPayment(input.receipt)": Row(
        mutation("startPayment", f"payment {{ state }} {ORDER}"),
        lambda world, its, value: {"input": {"orderId": its.ids["Order"], "receipt": value, "provider": "TEST"}},
        lambda its: its.secrets["receipt"],
        lambda it: it["payment"],
        kind="receipt",
    ),
    "Mutation.refreshToken(input.refreshToken)": Row(
        mutation("refreshToken", "user { email } cart { id }"),
        lambda world, its, value: {"input": {"refreshToken": value}},
        lambda its: its.secrets["refresh token"],
        lambda it: it["user"],
        kind="refresh token",
    ),
    "Mutation.logout(input.refreshToken)": Row(
        mutation("logout", ""),
        lambda world, its, value: {"input": {"refreshToken": value}},
        lambda its: its.secrets["refresh token"],
        lambda it: True,
        kind="refresh token",
    ),
    "Mutation.verifyEmail(input.token)": Row(
        mutation("verifyEmail", ACCOUNT),
        lambda world, its, value: {"input": {"token": value}},
        lambda its: its.secrets["proof"],
        lambda it: True,
        kind="proof",
    ),
    "Mutation.resetPassword(input.token)": Row(
        mutation("resetPassword", "user { email } cart { id }"),
        lambda world, its, value: {"input": {"token": value, "password": NEW_PASSWORD}},
        lambda its: its.secrets["reset"],
        lambda it: it["user"],
        kind="reset",
    ),
}
ROWS = {**PUBLIC, **PRIVATE, **CODES, **BEARER}

# ── the shop ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def belongings(placed_order, ready_cart):
    """`belongings(user)`: an order that awaits its payment, a cart that can be placed, and an address of theirs."""

    def make(user):
        variant = VariantFactory(stock__on_hand=100)
        order = placed_order({variant: 1}, user)
        cart = ready_cart({variant: 2}, user)
        cart.discounts.add(models.Discount.objects.get_or_create(code="TEN", kind="PERCENTAGE", value=10)[0])
        address = models.SavedAddress.objects.create(user=user, address=ADDRESS, created_at=NOW) if user else None
        return SimpleNamespace(
            user=user,
            code=cart.code,
            total=str(totals(cart).total),
            ids={
                "Order": ids.encode("Order", order.pk),
                "CartLine": ids.encode("CartLine", cart.lines.get().pk),
                "SavedAddress": ids.encode("SavedAddress", address.pk) if address else "",
            },
            secrets={"receipt": orders.receipt(order=order)},
        )

    return make


@pytest.fixture
def world(account, belongings, mailed, password, variant_id, monkeypatch, settings):
    """Ada, Bob, staff without rights, and a guest, each with things of their own; one may try as often as one likes."""
    for action in throttle.LIMITS:
        monkeypatch.setitem(throttle.LIMITS, action, throttle.Limit(900, 10_000, 10_000, 10_000))
    settings.MAX_DISCOUNT_CODES = 2
    DiscountFactory(code="POST", kind="FREE_SHIPPING", value=0)
    ada, bob, guest = belongings(account()), belongings(account("bob@example.com")), belongings(None)
    claim = mailed("register", email="ada.new@example.com", password=password)
    entry = sessions.begin(user=ada.user, user_agent="", now=timezone.now())
    ada.secrets |= {
        "refresh token": entry.refresh_token,
        "access token": tokens.issue(entry.session, now=timezone.now())[0],
        "reset": mailed("requestPasswordReset", email="ada@example.com"),
        "proof": claim,
    }
    return SimpleNamespace(
        ada=ada,
        bob=bob,
        guest=guest,
        staff=account("staff@example.com", is_staff=True),
        bobs_reset=mailed("requestPasswordReset", email="bob@example.com"),
        variant=variant_id(VariantFactory()),
        password=password,
    )


def _browser(**headers):
    return Client(headers={"accept": "application/json", **headers})


def _by_token(user):
    session = sessions.begin(user=user, user_agent="", now=timezone.now()).session
    return _browser(authorization=f"Bearer {tokens.issue(session, now=timezone.now())[0]}")


def _guest(world):
    client = _browser()
    add = "mutation ($id: ID!) { addToCart(input: {lines: [{variantId: $id}]}) { cart { id } } }"
    client.post("/graphql/", {"query": add, "variables": {"id": world.variant}}, content_type="application/json")
    assert "cart" in client.cookies
    return client


def _staff(world):
    client = _browser()
    client.force_login(world.staff)
    return client


def _logged_in(name):
    return lambda world: _by_token(getattr(world, name).user)


VISITORS = {"nobody": lambda world: _browser(), "a guest": _guest, "a customer": _logged_in("bob"), "staff": _staff}
# Attempts are counted, and mails owed to whoever registers, whatever the answer.
_OF_NOBODY = {models.Attempts, models.OutboxMessage}
TABLES = [model for model in apps.get_app_config("storefront").get_models() if model not in _OF_NOBODY]


def rows_now():
    return {(table.__name__, row[table._meta.pk.attname]): row for table in TABLES for row in table.objects.values()}


class Visitors:
    """Try values; afterwards the shop is as it was before."""

    def __init__(self, world: Any):
        self.world = world
        self.clients = {who: come(world) for who, come in {**VISITORS, "the owner": _logged_in("ada")}.items()}
        self.users = {"a customer": world.bob.user.pk, "staff": world.staff.pk, "the owner": world.ada.user.pk}
        self.before = rows_now()

    def try_(self, who: str, row: Row, its: Any, *values: str) -> tuple[dict[str, Any], set[Any]]:
        """The answer to each value, and the keys of the rows that changed, but for what is about who came or went."""
        answers, changed = {}, set()
        for group in [[value] for value in values] if row.enters else [values]:
            savepoint = transaction.savepoint()
            try:
                answers |= {value: self._answer(self.clients[who], row, its, value) for value in group}
                changed |= self._changed(who, row)
            finally:
                transaction.savepoint_rollback(savepoint)
        return answers, changed

    def _answer(self, client: Client, row: Row, its: Any, value: str) -> Any:
        """Status, body without the value itself, and which cookies are set (False) or deleted (True)."""
        body = {"query": row.document, "variables": row.given(self.world, its, value)}
        cookies = client.cookies.copy()
        response = client.post("/graphql/", json.dumps(body), content_type="application/json")
        client.cookies = cookies
        told = {name: cookie["max-age"] == 0 for name, cookie in response.cookies.items()}
        return response.status_code, without(value, response.json()), told

    def _changed(self, who: str, row: Row) -> set[Any]:
        after = rows_now()
        changed = {key for key in self.before.keys() | after.keys() if self.before.get(key) != after.get(key)}
        users = {self.users.get(who)}
        if row.enters:
            users = {
                self.world.bob.user.pk,
                *(key for name, key in after.keys() - self.before.keys() if name == "User"),
            }
        rows = {**self.before, **after}
        sessions = {key for (name, key), it in rows.items() if name == "Session" and it["user_id"] in users}
        own = {("User", key) for key in users} | {("Session", key) for key in sessions}
        return {key for key in changed - own if rows[key].get("session_id") not in sessions}


def without(value: str, answer: Any) -> Any:
    """The answer with the value left out wherever it is repeated."""
    match answer:
        case dict():
            return {key: without(value, inner) for key, inner in answer.items()}
        case list():
            return [without(value, inner) for inner in answer]
        case str() if len(value) > 8:
            return answer.replace(value, "…")
        case _:
            return answer


@pytest.fixture
def visitors(world):
    return Visitors(world)


def spelt(row: Row, value: str) -> list[str]:
    """The value, and what else is read as the same."""
    if not row.kind:
        return [value]
    key = ids.uuid(value, row.kind)
    return [value, *(ids.encode(row.kind, same) for same in (key.hex, str(key).upper(), f"{{{key}}}", key.urn))]


def unknown(row: Row) -> str:
    return ids.encode(row.kind, uuid4()) if row.kind else new_cart_code()


def junk(row: Row, value: str) -> list[str]:
    """What is no such value, but for all that made of it."""
    made = [
        "",
        " ",
        "junk",
        "0",
        "null",
        "%",
        "é😀",
        "x" * 5_000,
        value[:-1],
        value + " ",
        value + "A",
        value.swapcase(),
    ]
    if row.kind:
        key = ids.uuid(value, row.kind)
        other = "Order" if row.kind != "Order" else "Cart"
        made += [str(key), ids.encode(other, key), ids.encode(row.kind.lower(), key), ids.encode(row.kind, f"{key}0")]
        made += [ids.encode(row.kind, ""), ids.encode(row.kind, "1"), f"{row.kind}:{key}"]
    return [text for text in made if text != value]


def assert_succeeded(row: Row, answer: Any, changed: set[Any], what: Any) -> None:
    status, body, _ = answer
    assert (status, body.get("errors")) == (200, None), what
    assert row.proof(body["data"]["it"]), what
    assert body["data"]["it"].get("userErrors", []) == [], what
    assert bool(changed) is row.document.startswith("mutation"), what


def assert_refused_alike(row: Row, answers: dict[str, Any], changed: set[Any], who: str) -> None:
    first = next(iter(answers.values()))
    it = first[1]["data"] and first[1]["data"]["it"]
    assert not (it and row.proof(it)), who
    assert answers == dict.fromkeys(answers, first), who
    assert changed == set(), who


# ── the matrix ───────────────────────────────────────────────────────────────────────────────────────

OWNED = {**PRIVATE, **CODES}


def test_what_is_somebody_elses_is_answered_as_what_does_not_exist(subtests, visitors, world):
    for name, row in OWNED.items():
        with subtests.test(name):
            nobodys = unknown(row)
            for who in VISITORS:
                answers, changed = visitors.try_(who, row, world.ada, nobodys, *spelt(row, row.value(world.ada)))
                assert_refused_alike(row, answers, changed, who)


def test_junk_is_answered_as_what_does_not_exist(subtests, visitors, world):
    for name, row in OWNED.items():
        with subtests.test(name):
            nobodys = unknown(row)
            answers, changed = visitors.try_("a customer", row, world.ada, nobodys, *junk(row, row.value(world.ada)))
            assert_refused_alike(row, answers, changed, "a customer")


def test_the_owner_is_answered(visitors, world):
    """So that each row above is known to ask for the right thing."""
    for name, row in OWNED.items():
        for value in [] if row.enters else spelt(row, row.value(world.ada)):
            answers, changed = visitors.try_("the owner", row, world.ada, value)
            assert_succeeded(row, answers[value], changed, name)


def test_the_owner_of_a_cart_brings_it_to_no_account_by_its_code(visitors, world):
    """It is an account's already: only a guest's is merged."""
    row, nobodys = CODES["Mutation.login(input.cartCode)"], new_cart_code()
    answers, _ = visitors.try_("the owner", row, world.ada, nobodys, world.ada.code)
    assert answers[world.ada.code] == answers[nobodys]


def test_a_guests_cart_opens_to_whoever_knows_its_code(visitors, world):
    """By design. So that each row about codes is known to ask for the right thing, too."""
    code = world.guest.code
    for name, row in CODES.items():
        for who in (*VISITORS, "the owner"):
            answers, changed = visitors.try_(who, row, world.guest, code)
            assert_succeeded(row, answers[code], changed, (name, who))


def test_nothing_but_its_code_opens_a_guests_cart(subtests, visitors, world):
    for name, row in CODES.items():
        with subtests.test(name):
            nobodys = new_cart_code()
            values = [*junk(row, world.guest.code), *world.ada.secrets.values(), world.guest.secrets["receipt"]]
            answers, changed = visitors.try_("nobody", row, world.guest, nobodys, *values)
            assert_refused_alike(row, answers, changed, "nobody")


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────


def tampered(value: str) -> list[str]:
    first, last = ("A" if letter != "A" else "B" for letter in (value[0], value[-1]))
    head, _, tail = value.partition(":")
    changed = [first + value[1:], value[:-1] + last, value[:-1], value[1:], value[::-1], value.swapcase()]
    return [*changed, value + "A", value + " ", " " + value, head, f"{head}:", f":{tail}", f"{value}:{value}"]


SALTS = {"receipt": "commercia.order-receipt", "reset": "commercia.password-reset", "proof": "commercia.email-proof"}


def of_another_purpose(world: Any, kind: str) -> list[str]:
    """Everything else that the shop has made, signed or kept."""
    ada = world.ada
    user, number = ada.user, ada.secrets["receipt"].partition(":")[0]
    claims = {"user": str(user.pk), "version": user.token_version, "email": "ada.new@example.com"}
    salts = ["commercia", *(salt for name, salt in SALTS.items() if name != kind)]
    return [
        *(secret for name, secret in ada.secrets.items() if name != kind),
        *ada.ids.values(),
        *(ada.code, world.guest.code, number, str(user.pk), user.token_version),
        hashlib.sha256(ada.secrets["refresh token"].encode()).hexdigest(),
        signing.get_cookie_signer(salt="refresh").sign(ada.secrets["refresh token"]),
        signing.get_cookie_signer(salt="cart").sign(ada.code),
        *(signing.Signer(salt=salt).sign(number) for salt in salts),
        *(signing.dumps(claims, salt=salt) for salt in salts),
        *(signing.Signer().sign(number), signing.dumps(claims)),
    ]


def test_the_salts_are_those_of_the_shop(world):
    """Else the texts of another purpose would prove nothing."""
    ada = world.ada
    assert signing.Signer(salt=SALTS["receipt"]).unsign(ada.secrets["receipt"])
    assert all(signing.loads(ada.secrets[name], salt=SALTS[name]) for name in ("reset", "proof"))


def test_a_secret_that_nobody_was_given_opens_nothing(subtests, visitors, world):
    for name, row in BEARER.items():
        with subtests.test(name):
            real = row.value(world.ada)
            nobodys = f"{real.partition(':')[0]}:{new_cart_code()}"
            values = {
                " ",
                ":",
                "junk",
                "é😀",
                "x" * 5_000,
                new_cart_code(),
                *tampered(real),
                *of_another_purpose(world, row.kind),
            }
            if row.kind != "refresh token":
                values.add("")  # There it says, in other words, that there is none.
            for who in ("nobody", "a customer"):
                answers, changed = visitors.try_(who, row, world.ada, nobodys, *sorted(values - {real}))
                assert answers == dict.fromkeys(answers, answers[nobodys]), who
                assert changed == set(), who


def test_a_secret_is_good_for_whoever_has_it(visitors, world):
    """By design, as a ticket is. So that each row above is known to ask for the right thing."""
    for name, row in BEARER.items():
        real = row.value(world.ada)
        for who in VISITORS:
            answers, changed = visitors.try_(who, row, world.ada, real)
            assert_succeeded(row, answers[real], changed, (name, who))


def with_receipt(row: Row, receipt: str) -> Row:
    """The row with this receipt beside what it gives."""

    def given(world, its, value):
        plain = row.given(world, its, value)
        return {"input": {**plain["input"], "receipt": receipt}} if "input" in plain else {**plain, "receipt": receipt}

    return replace(row, given=given)


def test_a_receipt_opens_no_other_order(subtests, visitors, world):
    """Bob's receipt with the id of Ada's order is answered as his receipt with an id that nobody has."""
    both = f"query ($id: ID, $receipt: String) {{ it: order(id: $id, receipt: $receipt) {ORDER_PARTS} }}"
    rows = {
        "order": replace(PRIVATE["Query.order(id)"], document=both),
        "cancelOrder": PRIVATE["Mutation.cancelOrder(input.orderId)"],
        "startPayment": PRIVATE["Mutation.startPayment(input.orderId)"],
    }
    for name, plain in rows.items():
        row = with_receipt(plain, world.bob.secrets["receipt"])
        bobs, nobodys = world.bob.ids["Order"], unknown(row)
        for who in (*VISITORS, "the owner"):
            with subtests.test(name, who=who):
                answers, changed = visitors.try_(who, row, world.ada, nobodys, *spelt(row, world.ada.ids["Order"]))
                assert_refused_alike(row, answers, changed, who)
                answers, changed = visitors.try_(who, row, world.bob, bobs)
                assert_succeeded(row, answers[bobs], changed, who)
