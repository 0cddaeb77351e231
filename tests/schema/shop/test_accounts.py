"""The viewer's account over the wire: what they see of it, change of it, and take away with them."""

import json
import re
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission

from schema.base import ids
from storefront import models
from tests.factories import NOW, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "tulip-harbour-9"
HOME = {"name": "Ada", "line1": "Am Hafen 1", "postalCode": "20457", "city": "Hamburg", "countryCode": "DE"}
WHOLE = {**HOME, "line2": "", "region": "", "phone": ""}
WORK = {**HOME, "line1": "Speicherstadt 2", "line2": "3rd floor", "region": "HH", "phone": "+4940428310"}
UNKNOWN_ADDRESS = {"__typename": "InvalidInput", "code": "NOT_FOUND", "field": ["id"]}
LINK_EXPIRED = {"__typename": "InvalidInput", "code": "TOKEN_EXPIRED", "field": ["token"]}


def invalid(*field):
    return {"__typename": "InvalidInput", "code": "INVALID", "field": list(field)}


@pytest.fixture
def ada(browser, account, enter):
    """The viewer, logged in by the browser at hand."""
    user = account()
    enter(user)
    return user


@pytest.fixture
def ordered(placed_order):
    """`ordered(user, hours=…)`: the id of an order of theirs, placed so many hours after the first ones."""

    def place(user, hours=0):
        order = placed_order({VariantFactory(): 1}, user)
        models.Order.objects.filter(pk=order.pk).update(placed_at=NOW + timedelta(hours=hours))
        return ids.encode("Order", order.pk)

    return place


# ── me ───────────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_is_null(ask, api):
    assert ask("me") is None
    assert api.client.get("/graphql/", {"query": "{ me { id } }"}).json() == {"data": {"me": None}}


def test_one_sees_oneself(ada, ask):
    me = ask("me")
    (session,) = me.pop("sessions")
    assert session["current"] is True
    assert me == {
        "id": ids.encode("User", ada.pk),
        "name": "Ada",
        "email": "ada@example.com",
        "emailVerified": True,
        "isStaff": False,
        "cart": None,
        "addresses": [],
    }


def test_by_get_one_sees_oneself_by_a_token_but_not_by_a_cookie(ada, api):
    query = {"query": "{ me { email } }"}
    assert api.client.get("/graphql/", query).json() == {"data": {"me": {"email": "ada@example.com"}}}
    del api.client.defaults["HTTP_AUTHORIZATION"]
    api.client.force_login(ada)
    assert api.client.get("/graphql/", query).json() == {"data": {"me": None}}


def test_the_cart_is_the_active_one_on_every_device(ada, ask, put, browser, enter):
    cart = put(VariantFactory(), 3)
    browser()
    enter(ada)
    assert ask("me")["cart"] == {"code": cart["code"], "totalQuantity": 3}
    models.Cart.objects.update(state=models.CartState.CONVERTED)
    assert ask("me")["cart"] is None


def test_a_guests_cart_is_not_the_accounts(ada, ask, put, bearer, api):
    token = api.client.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    bearer(None)
    put()
    bearer(token)
    assert ask("me")["cart"] is None


def test_each_session_says_whether_it_is_the_one_that_asks(ada, ask, browser, enter):
    browser().defaults["HTTP_USER_AGENT"] = "Phone"
    enter(ada)
    devices = {session["userAgent"]: session["current"] for session in ask("me")["sessions"]}
    assert devices == {"": False, "Phone": True}


def test_only_ones_own_open_sessions_are_listed(ada, ask, browser, enter, account):
    browser()
    enter(account("bob@example.com"))
    assert len(ask("me")["sessions"]) == 1
    browser()
    enter(ada)
    models.Session.objects.filter(user=ada).exclude(pk=models.Session.objects.latest("created_at").pk).update(
        expires_at=NOW.replace(year=2020)
    )
    assert [session["current"] for session in ask("me")["sessions"]] == [True]


def test_who_came_by_djangos_session_has_none_that_is_current(api, account, ask, password, do):
    user = account(is_staff=True)
    do("login", email=user.email, password=password, deliver="PAYLOAD")
    api.client.force_login(user)
    me = ask("me")
    assert (me["email"], me["isStaff"]) == ("ada@example.com", True)
    assert [session["current"] for session in me["sessions"]] == [False]


def test_who_came_by_djangos_session_is_the_viewer_in_all(api, account, do, ask, ordered, password):
    user = account(is_staff=True)
    order = ordered(user)
    api.client.force_login(user)
    assert ask("order", id=order)["id"] == order
    assert do("updateProfile", name="Ada L.")["user"]["name"] == "Ada L."
    assert do("saveAddress", address=HOME)["user"]["addresses"]
    do("deleteAccount", password=password)
    assert not api.client.cookies.get("sessionid") or ask("me") is None
    assert ask("me") is None


def test_an_unproven_e_mail_is_shown_as_such(do, ask, bearer, password):
    bearer(do("register", email="ada@example.com", password=password)["accessToken"])
    me = ask("me")
    assert (me["email"], me["emailVerified"]) == ("ada@example.com", False)


# ── me.orders ────────────────────────────────────────────────────────────────────────────────────────

PAGE = """query ($first: Int, $after: String, $last: Int, $before: String) {
  me { orders(first: $first, after: $after, last: $last, before: $before) {
    totalCount
    nodes { id }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }
}"""


@pytest.fixture
def page(api):
    """`page(first=2)`: the connection; its nodes are those of its edges."""

    def ask(**given):
        orders = api(PAGE, **given)["me"]["orders"]
        assert orders["nodes"] == [edge["node"] for edge in orders["edges"]]
        assert [orders["pageInfo"]["startCursor"], orders["pageInfo"]["endCursor"]] == (
            [orders["edges"][0]["cursor"], orders["edges"][-1]["cursor"]] if orders["edges"] else [None, None]
        )
        return orders

    return ask


def numbered(orders):
    return [node["id"] for node in orders["nodes"]]


def test_who_has_ordered_nothing_has_no_orders(ada, page):
    assert page() == {
        "totalCount": 0,
        "nodes": [],
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


def test_the_newest_order_comes_first(ada, page, ordered):
    second, third, first = (ordered(ada, hours=hours) for hours in (2, 3, 1))
    assert numbered(page()) == [third, second, first]
    assert page()["totalCount"] == 3


@pytest.fixture
def history(ada, ordered):
    """Seven orders, the newest first; three of them of one moment."""
    placed = [ordered(ada, hours=hours) for hours in (9, 8, 5, 5, 5, 2, 1)]
    return placed[:2] + sorted(placed[2:5], key=lambda order: ids.uuid(order, "Order")) + placed[5:]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 100])
def test_forwards_every_order_comes_once(history, page, size):
    seen, after = [], None
    while True:
        orders = page(first=size, after=after)
        seen += numbered(orders)
        assert orders["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert orders["totalCount"] == 7
        after = orders["pageInfo"]["endCursor"]
        if not orders["pageInfo"]["hasNextPage"]:
            break
    assert seen == history


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 100])
def test_backwards_every_order_comes_once(history, page, size):
    seen, before = [], None
    while True:
        orders = page(last=size, before=before)
        seen = numbered(orders) + seen
        assert orders["pageInfo"]["hasNextPage"] is (before is not None)
        before = orders["pageInfo"]["startCursor"]
        if not orders["pageInfo"]["hasPreviousPage"]:
            break
    assert seen == history


def test_between_two_cursors_is_what_is_between(history, page):
    cursors = [edge["cursor"] for edge in page()["edges"]]
    assert numbered(page(after=cursors[1], before=cursors[5])) == history[2:5]


def test_a_new_order_moves_no_page(history, page, ordered, ada):
    first = page(first=3)
    ordered(ada, hours=10)
    assert numbered(page(first=3, after=first["pageInfo"]["endCursor"])) == history[3:6]


@pytest.mark.parametrize(
    "given",
    [
        {"first": -1},
        {"first": 101},
        {"last": 101},
        {"first": 1, "last": 1},
        {"after": ""},
        {"after": "junk"},
        {"before": "bnVsbA=="},
    ],
    ids=str,
)
def test_a_page_that_cannot_be_is_a_mistake_of_the_front_end(ada, api, given):
    (error,) = api.errors(PAGE, **given)
    assert (error["extensions"]["code"], error["path"][:2]) == ("BAD_USER_INPUT", ["me", "orders"])


def test_the_cursor_of_another_list_is_refused(ada, api, history):
    VariantFactory()
    cursor = api("{ products { edges { cursor } } }")["products"]["edges"][0]["cursor"]
    (error,) = api.errors(PAGE, after=cursor)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("rank", ["customer", "staff", "superuser"])
def test_ones_orders_are_ones_own_whoever_one_is(account, enter, page, ordered, api, rank):
    user = account("bob@example.com", is_staff=rank != "customer", is_superuser=rank == "superuser")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "change_order"]))
    other, guests = ordered(UserFactory()), ordered(None)
    mine = ordered(user)
    enter(user)
    assert numbered(page()) == [mine]
    assert page()["totalCount"] == 1
    seen = api("query ($a: ID, $b: ID) { a: order(id: $a) { id } b: order(id: $b) { id } }", a=other, b=guests)
    assert (seen["a"] is not None, seen["b"] is not None) == (rank != "customer",) * 2, "by id, staff see all"


def test_the_cursor_of_another_buyer_shows_ones_own_orders_only(history, page, browser, enter, account, ordered):
    """A cursor is a place in a list: it says what comes after it, not whose list it is."""
    theirs = [edge["cursor"] for edge in page()["edges"]]
    bob = account("bob@example.com")
    mine = ordered(bob, hours=3)
    browser()
    enter(bob)
    for cursor in theirs:
        assert set(numbered(page(after=cursor))) <= {mine}
        assert set(numbered(page(before=cursor))) <= {mine}
        assert page(after=cursor)["totalCount"] == 1


def test_an_order_in_the_history_is_shown_whole(ada, api, ordered):
    ordered(ada)
    (order,) = api(
        """{ me { orders { nodes {
          number state email receipt lines { title quantity total { amount } } total { amount currency }
          payments { state } events { kind } shippingAddress { line1 }
        } } } }"""
    )["me"]["orders"]["nodes"]
    assert order["receipt"].startswith(order["number"])
    assert (order["lines"][0]["quantity"], order["events"]) == (1, [{"kind": "PLACED"}])
    assert order["shippingAddress"] == {"line1": "Am Hafen 1"}


# ── updateProfile ────────────────────────────────────────────────────────────────────────────────────


def test_a_profile_is_changed_in_what_is_given(ada, do, ask):
    assert do("updateProfile", name="  Ada   Lovelace ")["user"]["name"] == "Ada Lovelace"
    for nothing in ({}, {"name": None}):
        assert do("updateProfile", **nothing)["user"]["name"] == "Ada Lovelace"
    assert do("updateProfile", name="")["user"]["name"] == ""
    assert ask("me")["name"] == ""


@pytest.mark.parametrize("field", ["email", "isStaff", "isActive", "isSuperuser", "password", "id"])
def test_nothing_else_of_oneself_is_changed_that_way(ada, bad_input, field):
    bad_input("updateProfile", **{field: True})


# ── saveAddress, deleteAddress ───────────────────────────────────────────────────────────────────────


def test_an_address_is_saved_replaced_and_deleted(ada, do, ask):
    (home,) = do("saveAddress", address=HOME)["user"]["addresses"]
    assert home["address"] == WHOLE
    addresses = do("saveAddress", address=WORK)["user"]["addresses"]
    assert [entry["address"] for entry in addresses] == [WHOLE, WORK]
    moved = {**WHOLE, "line1": "Am Kai 4"}
    addresses = do("saveAddress", id=home["id"], address=moved)["user"]["addresses"]
    assert [entry["address"] for entry in addresses] == [moved, WORK]
    assert addresses[0]["id"] == home["id"]
    addresses = do("deleteAddress", id=home["id"])["user"]["addresses"]
    assert [entry["address"] for entry in addresses] == [WORK]
    assert ask("me")["addresses"] == addresses


def test_every_part_that_is_missing_or_too_long_is_told(ada, refusals):
    given = {**HOME, "name": "", "line1": " ", "phone": "1" * 201, "countryCode": "XX"}
    errors = refusals("saveAddress", address=given)
    assert {(error["code"], *error["field"]) for error in errors} == {
        ("ADDRESS_INCOMPLETE", "address", "name"),
        ("ADDRESS_INCOMPLETE", "address", "line1"),
        ("ADDRESS_INCOMPLETE", "address", "countryCode"),
        ("INVALID", "address", "phone"),
    }
    assert not models.SavedAddress.objects.exists()


@pytest.mark.parametrize(
    "junk",
    ["", "junk", ids.encode("SavedAddress", "x"), ids.encode("Order", "0" * 32), ids.encode("SavedAddress", "0" * 32)],
)
def test_an_entry_that_is_not_there_is_not_found(ada, do, refusals, junk):
    do("saveAddress", address=HOME)
    assert refusals("saveAddress", id=junk, address=WORK) == [UNKNOWN_ADDRESS]
    assert refusals("deleteAddress", id=junk) == [UNKNOWN_ADDRESS]
    assert models.SavedAddress.objects.get().address.line1 == "Am Hafen 1"


def test_a_deleted_entry_is_not_found_again(ada, do, refusals):
    (entry,) = do("saveAddress", address=HOME)["user"]["addresses"]
    do("deleteAddress", id=entry["id"])
    assert refusals("deleteAddress", id=entry["id"]) == [UNKNOWN_ADDRESS]


# ── verifyEmail ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def claims(mailed, do, password, bearer):
    """The token that proves the e-mail of Ada, who has just registered and is the viewer."""
    token = mailed("register", email="ada@example.com", password=password, deliver="PAYLOAD")
    bearer(do("login", email="ada@example.com", password=password, deliver="PAYLOAD")["accessToken"])
    return token


def test_the_link_of_the_mail_proves_the_e_mail_and_again_changes_nothing(claims, do, ask):
    assert ask("me")["emailVerified"] is False
    for _ in range(2):
        user = do("verifyEmail", token=claims)["user"]
        assert (user["email"], user["emailVerified"]) == ("ada@example.com", True)
    assert ask("me")["emailVerified"] is True


def test_the_link_works_on_a_device_where_nobody_is_logged_in(claims, do, ask, bearer, api):
    token = api.client.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    bearer(None)
    assert do("verifyEmail", token=claims) == {"user": None}, "it proves an e-mail, and logs nobody in"
    bearer(token)
    assert ask("me")["emailVerified"] is True


def test_a_link_that_was_not_sent_proves_nothing(claims, refusals, ask):
    assert refusals("verifyEmail", token=claims[:-1]) == [LINK_EXPIRED]
    assert ask("me")["emailVerified"] is False


def test_of_two_who_claim_an_e_mail_the_first_to_prove_it_has_it(claims, do, refusals, mailed, bearer, ask):
    theirs = mailed("register", email="ada@example.com", password=NEW_PASSWORD)
    do("verifyEmail", token=theirs)
    assert refusals("verifyEmail", token=claims) == [invalid("token")]
    assert ask("me")["emailVerified"] is False


# ── deleteAccount ────────────────────────────────────────────────────────────────────────────────────


def test_who_leaves_is_gone_and_logged_out_everywhere(ada, api, do, ask, put, refusals, password, browser, enter):
    elsewhere = enter(ada, deliver="PAYLOAD")
    do("saveAddress", address=HOME)
    code = put()["code"]
    assert do("deleteAccount", password=password) == {"user": None}
    assert not api.client.cookies
    (error,) = api.errors("{ me { id } }")
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    browser()
    assert ask("me") is None
    assert ask("cart", code=code) is None
    (error,) = refusals("refreshToken", refreshToken=elsewhere["refreshToken"])
    assert error["code"] == "TOKEN_EXPIRED"
    (error,) = refusals("login", email="ada@example.com", password=password)
    assert error["code"] == "INVALID_CREDENTIALS"


def test_the_e_mail_can_register_again_and_sees_nothing_of_before(ada, api, do, ask, password, ordered, browser, enter):
    order = ordered(ada)
    do("deleteAccount", password=password)
    browser()
    do("register", email="ada@example.com", password=password)
    newcomer = models.User.objects.get(claimed_email="ada@example.com")
    assert newcomer.pk != ada.pk
    for _ in ("a new account", "a new login"):
        enter(newcomer)
        assert api("{ me { orders { totalCount nodes { id } } addresses { id } } }") == {
            "me": {"orders": {"totalCount": 0, "nodes": []}, "addresses": []}
        }
        assert ask("order", id=order) is None


def test_leaving_takes_the_password(ada, refusals, ask):
    assert refusals("deleteAccount", password="wrong-password") == [
        {"__typename": "InvalidInput", "code": "INVALID_CREDENTIALS", "field": ["password"]}
    ]
    assert ask("me")["email"] == "ada@example.com"


def test_staff_who_leave_are_staff_no_more(api, account, do, password):
    api.client.force_login(account(is_staff=True, is_superuser=True))
    do("deleteAccount", password=password)
    left = models.User.objects.get()
    assert (left.is_staff, left.is_superuser) == (False, False)


def test_a_guest_who_had_an_order_keeps_its_receipt(ada, api, do, ask, password, ordered, bearer):
    order = ordered(ada)
    receipt = ask("order", id=order)["receipt"]
    do("deleteAccount", password=password)
    bearer(None)
    assert ask("order", receipt=receipt)["id"] == order


# ── who has to be logged in ──────────────────────────────────────────────────────────────────────────

NEED_A_VIEWER = {
    "updateProfile": {"name": "Eve"},
    "saveAddress": {"address": HOME},
    "deleteAddress": {"id": ids.encode("SavedAddress", "0" * 32)},
    "deleteAccount": {"password": "lamp-otter-quarry"},
    "changePassword": {"current": "lamp-otter-quarry", "password": NEW_PASSWORD},
    "logout": {"everywhere": True},
}


@pytest.mark.parametrize("given", [None, "junk"], ids=["", "junk"])
@pytest.mark.parametrize("name", NEED_A_VIEWER)
def test_what_is_about_the_viewer_needs_one(api, account, name, given):
    account()
    before = models.User.objects.values().get()
    kind = f"{name[0].upper()}{name[1:]}Input!"
    document = f"mutation ($input: {kind}) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}"
    variables = {
        key: given if given and isinstance(value, str) else value for key, value in NEED_A_VIEWER[name].items()
    }
    response = api.post(document, input=variables)
    (error,) = response.json()["errors"]
    assert (response.status_code, response.json()["data"]) == (200, None)
    assert (error["path"], error["extensions"]) == ([name], {"code": "UNAUTHENTICATED"})
    assert models.User.objects.values().get() == before


@pytest.mark.parametrize("name", NEED_A_VIEWER)
def test_the_refresh_cookie_makes_nobody_the_viewer(api, account, do, ask, name, password):
    """It is for `refreshToken` alone: a request is not made in somebody's name by a cookie."""
    account()
    do("login", email="ada@example.com", password=password)
    assert "refresh" in api.client.cookies
    assert ask("me") is None
    kind = f"{name[0].upper()}{name[1:]}Input!"
    document = f"mutation ($input: {kind}) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}"
    (error,) = api.errors(document, input=NEED_A_VIEWER[name])
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


def test_the_schema_says_of_each_that_it_needs_a_viewer(schema_text):
    said = set(re.findall(r'The viewer has to be logged in\.[^"]*"""\s*(\w+)\(', schema_text))
    assert said | {"logout"} == NEED_A_VIEWER.keys()


@pytest.fixture
def schema_text():
    from schema.root import schema  # noqa: PLC0415

    return schema.as_str()


# ── bad inputs ───────────────────────────────────────────────────────────────────────────────────────


def test_a_password_that_is_no_good_is_refused_wherever_it_is_set(ada, refusals, mailed, password):
    token = mailed("requestPasswordReset", email="ada@example.com")
    for name, given in {
        "register": {"email": "ada@example.com"},
        "changePassword": {"current": password},
        "resetPassword": {"token": token},
    }.items():
        errors = refusals(name, **given, password="short")
        assert {(error["code"], *error["field"]) for error in errors} == {("INVALID", "password")}
    assert models.User.objects.get().check_password(password)


@pytest.mark.parametrize("name", ["register", "login", "requestPasswordReset"])
def test_what_is_no_e_mail_is_refused(refusals, password, name):
    more = {} if name == "requestPasswordReset" else {"password": password}
    assert refusals(name, email="ada@", **more) == [invalid("email")]
    assert not models.User.objects.exists()


def test_a_name_that_is_too_long_is_refused(refusals, password):
    assert refusals("register", email="ada@example.com", password=password, name="x" * 201) == [invalid("name")]
    assert not models.User.objects.exists()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("register", {}),
        ("register", {"email": None, "password": None}),
        ("register", {"email": 1, "password": "x"}),
        ("register", {"email": "ada@example.com", "password": ["x"]}),
        ("register", {"email": "ada@example.com", "password": "x", "isStaff": True}),
        ("login", {"email": "ada@example.com"}),
        ("login", {"email": "ada@example.com", "password": None}),
        ("refreshToken", {"refreshToken": 1}),
        ("logout", {"everywhere": "yes"}),
        ("logout", {"everywhere": None}),
        ("resetPassword", {"token": "x"}),
        ("changePassword", {"password": "x"}),
        ("requestPasswordReset", {}),
        ("verifyEmail", {"token": None}),
        ("saveAddress", {}),
        ("saveAddress", {"address": None}),
        ("saveAddress", {"address": {"name": "Ada"}}),
        ("deleteAddress", {}),
        ("deleteAccount", {}),
    ],
    ids=str,
)
def test_an_input_of_another_shape_is_a_mistake_of_the_front_end(bad_input, name, given):
    bad_input(name, **given)


@pytest.mark.parametrize("text", ["\0", "a\0b"])
@pytest.mark.parametrize("field", ["email", "password", "name", "cartCode"])
def test_nul_is_refused_before_anything_is_done(api, field, text):
    given = {"email": "ada@example.com", "password": "lamp-otter-quarry", field: text}
    body = {"query": "mutation ($i: RegisterInput!) { register(input: $i) { expiresAt } }", "variables": {"i": given}}
    response = api.client.post("/graphql/", json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert not models.User.objects.exists()


def test_times_are_in_utc_and_in_the_standard_form(ada, ask):
    (session,) = ask("me")["sessions"]
    for name in ("createdAt", "lastUsedAt", "expiresAt"):
        assert datetime.fromisoformat(session[name]).utcoffset() == timedelta(0)
