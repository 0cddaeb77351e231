"""Logging in over the wire, staying so, and leaving; what becomes of the guest's cart, and how often one may try."""

import json
import logging
from datetime import datetime, timedelta

import pytest
from django.core import signing
from django.utils import timezone

from domain.accounts import sessions, throttle
from domain.accounts.throttle import Limit
from schema.base import ids
from schema.base.context import REFRESH_COOKIE
from storefront import models
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "tulip-harbour-9"
EXPIRED = {"__typename": "InvalidInput", "code": "TOKEN_EXPIRED", "field": None}
LINK_EXPIRED = EXPIRED | {"field": ["token"]}
REUSED = {"__typename": "InvalidInput", "code": "TOKEN_REUSED", "field": None}
WRONG = {"__typename": "InvalidInput", "code": "INVALID_CREDENTIALS", "field": None}
SESSION_TABLES = (models.Session, models.RefreshToken)


def invalid(*field):
    return {"__typename": "InvalidInput", "code": "INVALID", "field": list(field)}


@pytest.fixture(autouse=True)
def _here(browser):
    """Everything here happens in browsers, which forget a cookie when they are told to."""


@pytest.fixture
def come_in(do, account, password, mailed, bearer):
    """`come_in("login", deliver="PAYLOAD")`: what each way to log in hands back to Ada, on a device without tokens."""

    def enter(name, /, **given):
        if name == "register":
            return do(name, email="ada@example.com", password=password, name="Ada", **given)
        user = models.User.objects.filter(email="ada@example.com").first() or account()
        if name == "login":
            return do(name, email=user.email, password=password, **given)
        if name == "resetPassword":
            token = mailed("requestPasswordReset", email=user.email)
            return do(name, token=token, password=NEW_PASSWORD, **given)
        elsewhere = do("login", email=user.email, password=password, deliver="PAYLOAD")
        bearer(elsewhere["accessToken"])
        return do(name, current=password, password=NEW_PASSWORD, **given)

    return enter


WAYS = ["register", "login", "resetPassword", "changePassword"]
WITH_CART = ["register", "login", "resetPassword"]


# ── what is handed over ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", WAYS)
def test_whoever_comes_in_gets_tokens_and_sees_themself(come_in, way, clock, settings, bearer, ask):
    payload = come_in(way)
    user = models.User.objects.get()
    (session,) = payload["user"]["sessions"]
    expires_at = clock.now + timedelta(minutes=settings.ACCESS_TOKEN_MINUTES)
    assert datetime.fromisoformat(payload["expiresAt"]) == expires_at
    assert payload["expiresIn"] == settings.ACCESS_TOKEN_MINUTES * 60
    assert datetime.fromisoformat(session["expiresAt"]) == clock.now + timedelta(days=settings.SESSION_DAYS)
    assert payload["user"] == {
        "id": ids.encode("User", user.pk),
        "name": "Ada",
        "email": "ada@example.com",
        "emailVerified": way != "register",
        "isStaff": False,
        "cart": None,
        "addresses": [],
        "sessions": [session | {"current": True, "userAgent": ""}],
    }
    assert (payload["cart"], payload["merged"], payload["refreshToken"]) == (None, [], None)
    bearer(payload["accessToken"])
    assert ask("me") == payload["user"]


@pytest.mark.parametrize("way", WAYS)
def test_a_browser_gets_its_refresh_token_in_a_cookie_that_no_script_reads(api, come_in, way, settings, clock):
    assert come_in(way, deliver="COOKIE")["refreshToken"] is None
    cookie = api.client.cookies["refresh"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/graphql/", "")
    assert cookie["max-age"] == settings.SESSION_DAYS * 86_400
    assert cookie["domain"] == ""


@pytest.mark.parametrize("way", WAYS)
def test_the_cookie_is_secure_where_the_shop_is(api, come_in, way, settings):
    settings.HTTPS = True
    come_in(way)
    assert api.client.cookies["refresh"]["secure"] is True


@pytest.mark.parametrize("way", WAYS)
def test_without_a_word_the_refresh_token_goes_into_the_cookie(api, come_in, way):
    assert come_in(way)["refreshToken"] is None
    assert "refresh" in api.client.cookies


@pytest.mark.parametrize("way", WAYS)
def test_an_app_gets_its_refresh_token_in_the_payload_and_no_cookie(api, come_in, way, do):
    token = come_in(way, deliver="PAYLOAD")["refreshToken"]
    assert "refresh" not in api.client.cookies
    assert do("refreshToken", refreshToken=token)["user"]["email"] == "ada@example.com"


@pytest.mark.parametrize("deliver", ["HEADER", "", None])
def test_there_are_two_ways_to_hand_it_over(bad_input, deliver):
    bad_input("login", email="ada@example.com", password="x", deliver=deliver)


def test_the_session_says_on_which_device_it_is(api, come_in):
    api.client.defaults["HTTP_USER_AGENT"] = "Lynx/2.9 " + "x" * 400
    (session,) = come_in("login")["user"]["sessions"]
    assert session["userAgent"] == ("Lynx/2.9 " + "x" * 400)[:300]


def test_what_follows_in_the_request_is_seen_by_who_has_just_come_in(api, account, password):
    user = account()
    document = """mutation ($email: String!, $password: String!) {
      login(input: {email: $email, password: $password}) { user { id sessions { current } } }
      updateProfile(input: {name: "Ada L."}) { user { name } }
    }"""
    answer = api(document, email=user.email, password=password)
    assert answer["updateProfile"] == {"user": {"name": "Ada L."}}
    assert answer["login"]["user"]["sessions"] == [{"current": True}]


# ── register, login ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("deliver", ["COOKIE", "PAYLOAD"])
def test_coming_in_ends_the_session_that_the_browser_had(api, come_in, account, do, password, way, deliver, refusals):
    """Its cookie is overwritten, so nobody could end it any more but everywhere."""
    account("bob@example.com")
    do("login", email="bob@example.com", password=password)
    bobs = api.client.cookies["refresh"].value
    come_in(way, deliver=deliver)
    assert not models.Session.objects.filter(user__email="bob@example.com").exists()
    api.client.cookies["refresh"] = bobs
    assert refusals("refreshToken") == [EXPIRED]


def test_a_login_that_fails_ends_no_session(api, come_in, refusals, do):
    come_in("login")
    assert refusals("login", email="ada@example.com", password="wrong-password") == [WRONG]
    assert do("refreshToken")["accessToken"]


def test_coming_in_ends_no_session_by_a_cookie_that_was_made_up(api, come_in, browser, refusals, do):
    token = come_in("login", deliver="PAYLOAD")["refreshToken"]
    browser()
    api.client.cookies["refresh"] = token
    come_in("login")
    assert do("refreshToken", refreshToken=token)["accessToken"]


def test_a_name_need_not_be_given(do, password):
    assert do("register", email="ada@example.com", password=password)["user"]["name"] == ""
    assert do("register", email="bob@example.com", password=password, name=None)["user"]["name"] == ""


def test_a_wrong_password_opens_nothing(api, account, refusals):
    account()
    assert refusals("login", email="ada@example.com", password="wrong-password") == [WRONG]
    assert not api.client.cookies
    assert not models.Session.objects.exists()


# ── refreshToken ─────────────────────────────────────────────────────────────────────────────────────


def test_a_refresh_by_cookie_gives_the_next_cookie_and_shows_no_token(api, come_in, do, bearer, ask):
    login = come_in("login")
    before = api.client.cookies["refresh"].value
    refreshed = do("refreshToken")
    cookie = api.client.cookies["refresh"]
    assert refreshed["refreshToken"] is None
    assert cookie.value != before
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert refreshed["user"]["sessions"][0]["id"] == login["user"]["sessions"][0]["id"]
    bearer(refreshed["accessToken"])
    assert ask("me")["email"] == "ada@example.com"


def test_a_refresh_by_argument_gives_the_next_token_and_no_cookie(api, come_in, do):
    token = come_in("login", deliver="PAYLOAD")["refreshToken"]
    refreshed = do("refreshToken", refreshToken=token)
    assert refreshed["refreshToken"] not in {None, token}
    assert not api.client.cookies
    assert do("refreshToken", refreshToken=refreshed["refreshToken"])["accessToken"]


def test_no_script_can_ask_for_the_token_in_the_cookie(bad_input, come_in, do):
    come_in("login")
    bad_input("refreshToken", deliver="PAYLOAD")
    for given in ({}, {"refreshToken": None}):
        assert do("refreshToken", **given)["refreshToken"] is None


def test_an_argument_comes_before_the_cookie(api, come_in, do, refusals):
    app = come_in("login", deliver="PAYLOAD")
    come_in("login")
    before = api.client.cookies["refresh"].value
    assert do("refreshToken", refreshToken=app["refreshToken"])["refreshToken"]
    assert refusals("refreshToken", refreshToken="") == [EXPIRED]
    assert api.client.cookies["refresh"].value == before


def test_a_refresh_takes_no_input_at_all(api, come_in):
    come_in("login")
    answer = api("mutation { refreshToken { user { email } userErrors { code } } }")
    assert answer == {"refreshToken": {"user": {"email": "ada@example.com"}, "userErrors": []}}


def test_nobody_is_refreshed_to_nobody(refusals):
    assert refusals("refreshToken") == [EXPIRED]


def test_a_token_that_nobody_has_is_told_as_an_old_one(refusals):
    assert refusals("refreshToken", refreshToken="x") == [EXPIRED]


@pytest.mark.parametrize("tamper", [lambda v: v[:-1] + "_", lambda v: "x" + v, lambda v: v.split(":")[0], lambda v: ""])
def test_a_cookie_that_was_tampered_with_is_ignored(api, come_in, refusals, tamper):
    come_in("login")
    api.client.cookies["refresh"] = tamper(api.client.cookies["refresh"].value)
    assert refusals("refreshToken") == [EXPIRED]


def test_the_cookie_of_one_name_is_none_of_another(api, come_in, put, refusals, ask):
    """Each is signed with its name: who holds a cart holds no session by it."""
    put()
    api.client.cookies["refresh"] = api.client.cookies["cart"].value
    assert refusals("refreshToken") == [EXPIRED]
    come_in("login")
    api.client.cookies["cart"] = api.client.cookies["refresh"].value
    assert ask("cart") is None


def test_a_refreshed_session_does_not_last_longer(api, come_in, do, clock, settings):
    come_in("login")
    clock.forward(days=1)
    do("refreshToken")
    assert api.client.cookies["refresh"]["max-age"] == (settings.SESSION_DAYS - 1) * 86_400


def test_a_used_token_that_comes_back_later_ends_the_session_for_both(come_in, do, refusals, clock, api, bearer):
    token = come_in("login", deliver="PAYLOAD")["refreshToken"]
    others = come_in("login", deliver="PAYLOAD")["refreshToken"]
    fresh = do("refreshToken", refreshToken=token)
    clock.now += sessions.GRACE + timedelta(seconds=1)
    assert refusals("refreshToken", refreshToken=token) == [REUSED]
    assert refusals("refreshToken", refreshToken=token) == [EXPIRED]
    assert refusals("refreshToken", refreshToken=fresh["refreshToken"]) == [EXPIRED]
    bearer(fresh["accessToken"])
    assert [error["extensions"]["code"] for error in api.errors("{ me { id } }")] == ["UNAUTHENTICATED"]
    assert do("refreshToken", refreshToken=others)["accessToken"], "that of another device"


def test_what_was_last_used_comes_first(come_in, do, clock):
    first = come_in("login", deliver="PAYLOAD")
    clock.forward(minutes=1)
    come_in("login", deliver="PAYLOAD")
    clock.forward(minutes=1)
    devices = do("refreshToken", refreshToken=first["refreshToken"])["user"]["sessions"]
    assert [device["current"] for device in devices] == [True, False]
    assert datetime.fromisoformat(devices[0]["lastUsedAt"]) == clock.now
    assert datetime.fromisoformat(devices[0]["createdAt"]) == clock.now - timedelta(minutes=2)


# ── what another site cannot have a browser do ───────────────────────────────────────────────────────

BY_COOKIE = ["mutation { refreshToken { accessToken } }", "mutation { logout { userErrors { code } } }"]


@pytest.mark.parametrize("document", BY_COOKIE)
@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain; x=json", ""],
)
@pytest.mark.parametrize("headers", [{}, {"apollo-require-preflight": "x"}], ids=["", "preflight"])
def test_a_form_of_another_site_is_415_whatever_cookies_come_along(api, come_in, document, content_type, headers):
    come_in("login")
    before = _kept()
    body = json.dumps({"query": document})
    response = api.client.generic("POST", "/graphql/", body, content_type=content_type, headers=headers)
    assert response.status_code == 415
    assert not response.cookies
    assert _kept() == before


@pytest.mark.parametrize("document", BY_COOKIE)
@pytest.mark.parametrize("headers", [{}, {"apollo-require-preflight": "x"}], ids=["", "preflight"])
def test_an_address_of_another_site_is_405_whatever_cookies_come_along(api, come_in, document, headers):
    come_in("login")
    before = _kept()
    response = api.client.get("/graphql/", {"query": document}, headers=headers)
    assert response.status_code == 405
    assert not response.cookies
    assert _kept() == before


def _kept():
    return [list(table.objects.order_by("pk").values()) for table in SESSION_TABLES]


# ── logout ───────────────────────────────────────────────────────────────────────────────────────────


def test_logging_out_leaves_nothing_in_the_browser(api, come_in, do, put, bearer):
    bearer(come_in("login")["accessToken"])
    put()
    api.client.force_login(models.User.objects.get())
    api.client.cookies["cart"] = signing.get_cookie_signer(salt="cart").sign("x")
    assert set(api.client.cookies) == {"refresh", "sessionid", "cart"}
    answer = api.post("mutation { logout { userErrors { code } } }")
    assert answer.json() == {"data": {"logout": {"userErrors": []}}}
    assert {name: cookie["max-age"] for name, cookie in answer.cookies.items()} == {
        "refresh": 0,
        "cart": 0,
        "sessionid": 0,
    }
    assert not api.client.cookies
    assert not models.Session.objects.exists()


def test_logging_out_ends_djangos_session_too(api, account, do, ask):
    api.client.force_login(account(is_staff=True))
    cookie = api.client.cookies["sessionid"].value
    do("logout")
    api.client.cookies["sessionid"] = cookie
    assert ask("me") is None


def test_logging_out_again_changes_nothing(come_in, do, bearer):
    login = come_in("login")
    bearer(login["accessToken"])
    for _ in range(2):
        assert do("logout") == {}
    bearer(None)
    assert do("logout") == {}


def test_one_logs_out_by_the_cookie_when_the_access_token_is_over(come_in, do, bearer, refusals, api):
    come_in("login")
    cookie = api.client.cookies["refresh"].value
    bearer("x.y.z")
    do("logout")
    api.client.cookies["refresh"] = cookie
    assert refusals("refreshToken") == [EXPIRED]
    assert not models.Session.objects.exists()


def test_one_logs_out_by_the_access_token_alone(api, come_in, do, bearer):
    bearer(come_in("login", deliver="PAYLOAD")["accessToken"])
    do("logout")
    assert not models.Session.objects.exists()


def test_one_logs_out_by_the_refresh_token_alone(come_in, do, refusals):
    token = come_in("login", deliver="PAYLOAD")["refreshToken"]
    other = come_in("login", deliver="PAYLOAD")["refreshToken"]
    do("logout", refreshToken=token)
    assert refusals("refreshToken", refreshToken=token) == [EXPIRED]
    assert do("refreshToken", refreshToken=other)["accessToken"], "the other device stays"


def test_a_used_refresh_token_logs_out_too(come_in, do, refusals):
    """An app that lost the answer to its last refresh has no other."""
    token = come_in("login", deliver="PAYLOAD")["refreshToken"]
    fresh = do("refreshToken", refreshToken=token)["refreshToken"]
    do("logout", refreshToken=token)
    assert refusals("refreshToken", refreshToken=fresh) == [EXPIRED]


def test_logging_out_ends_all_sessions_that_the_browser_holds(api, come_in, do, bearer):
    bearer(come_in("login", deliver="PAYLOAD")["accessToken"])
    argument = come_in("login", deliver="PAYLOAD")["refreshToken"]
    elsewhere = next(each["id"] for each in come_in("login", deliver="PAYLOAD")["user"]["sessions"] if each["current"])
    come_in("login")
    assert models.Session.objects.count() == 4
    do("logout", refreshToken=argument)
    (left,) = models.Session.objects.values_list("pk", flat=True)
    assert ids.encode("Session", left) == elsewhere


def test_logging_out_everywhere_needs_a_viewer(api, come_in):
    come_in("login")
    before = _kept()
    body = api.post("mutation { logout(input: {everywhere: true}) { userErrors { code } } }").json()
    assert body["data"] is None
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]
    assert _kept() == before


def test_logging_out_everywhere_ends_the_tokens_of_every_device(api, come_in, do, bearer, browser, refusals, ask):
    app = come_in("login", deliver="PAYLOAD")
    desktop = browser()
    come_in("login")
    desktop.force_login(models.User.objects.get())
    phone = browser()
    bearer(come_in("login")["accessToken"])
    do("logout", everywhere=True)
    assert not phone.cookies
    assert refusals("refreshToken", refreshToken=app["refreshToken"]) == [EXPIRED]
    api.client = desktop
    assert ask("me") is None, "by Django's session"
    assert refusals("refreshToken") == [EXPIRED]
    assert not any(table.objects.exists() for table in SESSION_TABLES)


def test_the_next_visitor_of_the_browser_sees_no_cart(api, come_in, do, put, ask, bearer):
    guests = put()["code"]
    bearer(come_in("login")["accessToken"])
    own = put()["code"]
    assert ask("cart")["totalQuantity"] == 2
    do("logout")
    bearer(None)
    assert ask("cart") is None
    assert ask("cart", code=own) is None
    assert ask("cart", code=guests) is None
    assert put()["code"] not in {own, guests}


def test_the_next_visitor_does_not_fill_the_carts_of_the_last(come_in, do, put, refusals, bearer, variant_id):
    guests = put()["code"]
    bearer(come_in("login")["accessToken"])
    own = put()["code"]
    do("logout")
    bearer(None)
    for code in (own, guests):
        (error,) = refusals("addToCart", cartCode=code, lines=[{"variantId": variant_id(VariantFactory())}])
        assert (error["code"], error["field"]) == ("NOT_FOUND", ["cartCode"])


# ── resetPassword, changePassword ────────────────────────────────────────────────────────────────────


def test_the_link_of_a_mail_is_good_once(come_in, mailed, do, refusals):
    come_in("login")
    token = mailed("requestPasswordReset", email="ada@example.com")
    other = mailed("requestPasswordReset", email="ada@example.com")
    do("resetPassword", token=token, password=NEW_PASSWORD)
    for used in (token, other):
        assert refusals("resetPassword", token=used, password="another-pass-7") == [LINK_EXPIRED]
    assert do("login", email="ada@example.com", password=NEW_PASSWORD)["accessToken"]


def test_changing_a_password_takes_the_present_one(come_in, bearer, refusals, do):
    bearer(come_in("login")["accessToken"])
    before = models.User.objects.values().get()
    for wrong in ("", "wrong-password", NEW_PASSWORD):
        assert refusals("changePassword", current=wrong, password=NEW_PASSWORD) == [WRONG | {"field": ["current"]}]
    assert models.User.objects.values().get() == before


def test_a_new_password_has_to_be_a_good_one(come_in, bearer, refusals, password):
    bearer(come_in("login")["accessToken"])
    assert refusals("changePassword", current=password, password="short") == [invalid("password")]
    assert models.User.objects.get().check_password(password)


def test_changing_a_password_keeps_who_came_by_djangos_session_in(api, account, do, ask, password, bearer):
    """The session of the admin ends with the old password; the new tokens go on."""
    api.client.force_login(account(is_staff=True))
    payload = do("changePassword", current=password, password=NEW_PASSWORD)
    assert ask("me") is None
    bearer(payload["accessToken"])
    assert ask("me")["isStaff"] is True


# ── the guest's cart ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", ["cookie", "code"])
@pytest.mark.parametrize("way", WITH_CART)
def test_the_guests_cart_comes_along(api, come_in, put, ask, bearer, way, by):
    variant = VariantFactory()
    code = put(variant, 2)["code"]
    if by == "code":
        api.client.cookies.clear()
    payload = come_in(way, **({"cartCode": code} if by == "code" else {}))
    (change,) = payload["merged"]
    assert change["variant"]["sku"] == variant.sku
    assert {name: change[name] for name in ("before", "guest", "after", "reason")} == {
        "before": 0,
        "guest": 2,
        "after": 2,
        "reason": "ADDED",
    }
    assert payload["cart"]["totalQuantity"] == payload["user"]["cart"]["totalQuantity"] == 2
    assert payload["cart"]["code"] != code
    assert "cart" not in api.client.cookies
    bearer(payload["accessToken"])
    assert ask("cart") == payload["cart"]
    assert ask("cart", code=code)["state"] == "MERGED"


@pytest.mark.parametrize("way", WITH_CART)
def test_the_cookie_of_the_guests_cart_is_deleted(api, come_in, put, way):
    put()
    assert "cart" in api.client.cookies
    come_in(way)
    assert "cart" not in api.client.cookies


def test_the_answer_tells_the_browser_to_forget_the_cart(api, put, account, password):
    put()
    account()
    login = "mutation ($input: LoginInput!) { login(input: $input) { userErrors { code } } }"
    response = api.post(login, input={"email": "ada@example.com", "password": password})
    assert (response.cookies["cart"]["max-age"], response.cookies["cart"]["path"]) == (0, "/graphql/")


@pytest.mark.parametrize("way", WITH_CART)
def test_every_line_is_told_with_what_became_of_it(browser, come_in, enter, account, put, way, password, bearer):
    plenty, few, gone, withdrawn = (VariantFactory(stock__on_hand=5) for _ in range(4))
    if way != "register":
        enter(account())
        put(plenty, 1)
        put(few, 4)
        bearer(None)
        browser()
    for variant, quantity in {plenty: 2, few: 3, gone: 1, withdrawn: 1}.items():
        put(variant, quantity)
    models.Stock.objects.filter(pk=gone.pk).update(on_hand=0)
    models.Stock.objects.filter(pk=few.pk).update(on_hand=2 if way == "register" else 5)
    models.Product.objects.filter(pk=withdrawn.product_id).update(published_at=None)
    told = [
        (change["variant"]["sku"], change["before"], change["guest"], change["after"], change["reason"])
        for change in come_in(way)["merged"]
    ]
    before, had = (0, 0) if way == "register" else (1, 4)
    assert told == [
        (plenty.sku, before, 2, before + 2, "ADDED"),
        (few.sku, had, 3, 2 if way == "register" else 5, "CAPPED"),
        (gone.sku, 0, 1, 0, "SOLD_OUT"),
        (withdrawn.sku, 0, 1, 0, "NOT_FOR_SALE"),
    ]


def test_refreshing_merges_nothing_and_keeps_the_cart(api, come_in, do, put, browser):
    token = come_in("login", deliver="PAYLOAD")["refreshToken"]
    browser()
    put()
    payload = do("refreshToken", refreshToken=token)
    assert (payload["merged"], payload["cart"]) == ([], None)
    assert "cart" in api.client.cookies


@pytest.mark.parametrize("code", ["", "nobody's"], ids=["empty", "unknown"])
def test_a_code_that_opens_no_cart_stops_no_login(come_in, code):
    payload = come_in("login", cartCode=code)
    assert payload["accessToken"]
    assert (payload["merged"], payload["cart"]) == ([], None)


def test_a_code_that_opens_no_cart_costs_nobody_the_one_of_the_cookie(api, come_in, put, ask):
    code = put()["code"]
    come_in("login", cartCode="nobody's")
    assert ask("cart")["code"] == code, "merged it is not, so it is not forgotten either"


def test_a_cart_that_cannot_be_merged_stops_no_login_and_stays(api, come_in, put, ask, monkeypatch, caplog):
    code = put()["code"]
    with monkeypatch.context() as broken, caplog.at_level(logging.CRITICAL):
        broken.setattr("domain.sales.cart.merge", None)
        payload = come_in("login")
    assert payload["accessToken"]
    assert (payload["merged"], payload["cart"]) == ([], None)
    assert "cart" in api.client.cookies
    assert ask("cart")["code"] == code
    assert come_in("login")["cart"]["totalQuantity"] == 1, "next time"


def test_of_two_logins_in_a_request_the_first_gets_the_cart(api, put, account, password):
    account()
    account("bob@example.com")
    put()
    document = """mutation ($password: String!) {
      a: login(input: {email: "ada@example.com", password: $password}) { cart { totalQuantity } }
      b: login(input: {email: "bob@example.com", password: $password}) { cart { totalQuantity } user { email } }
    }"""
    answer = api(document, password=password)
    assert answer["a"] == {"cart": {"totalQuantity": 1}}
    assert answer["b"] == {"cart": None, "user": {"email": "bob@example.com"}}


def test_a_checkout_that_was_begun_comes_along(come_in, ready):
    cart = ready()
    checkout = come_in("login")["cart"]["checkout"]
    assert checkout == cart["checkout"]


# ── how often one may try ────────────────────────────────────────────────────────────────────────────

HUGE = 10_000


@pytest.fixture
def limit(monkeypatch, clock):
    """`limit("login", account_from_address=3)`: so few attempts in 900 seconds, by that count alone."""

    def set_(action, **few):
        limits = {"account": HUGE, "account_from_address": HUGE, "address": HUGE, **few}
        monkeypatch.setitem(throttle.LIMITS, action, Limit(seconds=900, **limits))

    return set_


@pytest.fixture
def limited(api):
    """`limited("login", 10, email=…)`: the codes of so many attempts, each in a request of its own."""
    return lambda name, times, /, **given: [_code(api, name, given) for _ in range(times)]


def _code(api, name, given):
    document = f"""mutation ($input: {name[0].upper()}{name[1:]}Input!) {{
      {name}(input: $input) {{ userErrors {{ __typename code field ... on RateLimited {{ retryAfter }} }} }}
    }}"""
    errors = api(document, input=given)[name]["userErrors"]
    if not errors:
        return "OK"
    (error,) = errors
    if error["code"] == "RATE_LIMITED":
        assert (error["__typename"], error["field"]) == ("RateLimited", None)
        assert 0 < error["retryAfter"] <= 900
    return error["code"]


ATTEMPTS = {
    "login": ("login", {"password": "wrong-password"}, "INVALID_CREDENTIALS"),
    "register": ("register", {"password": "lamp-otter-quarry"}, "OK"),
    "requestPasswordReset": ("reset", {}, "OK"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_every_attempt_is_counted_and_after_some_there_are_no_more(limit, limited, name):
    action, given, code = ATTEMPTS[name]
    limit(action, account_from_address=3)
    assert limited(name, 5, email="ada@example.com", **given) == [code] * 3 + ["RATE_LIMITED"] * 2


@pytest.mark.parametrize("name", ATTEMPTS)
def test_ten_aliases_of_one_request_are_ten_attempts(limit, api, name, account):
    action, given, code = ATTEMPTS[name]
    limit(action, account_from_address=4)
    account()
    kind = f"{name[0].upper()}{name[1:]}Input!"
    fields = " ".join(f"a{number}: {name}(input: $input) {{ userErrors {{ ...E }} }}" for number in range(10))
    document = f"""mutation ($input: {kind}) {{ {fields} }}
      fragment E on UserError {{ __typename code ... on RateLimited {{ retryAfter }} }}"""
    answer = api(document, input={"email": "ada@example.com", **given})
    errors = [payload["userErrors"] for payload in answer.values()]
    assert [[error["code"] for error in each] for each in errors] == [[code] if code != "OK" else []] * 4 + [
        ["RATE_LIMITED"]
    ] * 6
    assert all(error["__typename"] == "RateLimited" and error["retryAfter"] > 0 for (error,) in errors[4:])


def test_it_is_told_exactly_when_a_lockout_ends(limit, api, clock, limited, password, account):
    limit("login", account_from_address=1)
    account()
    limited("login", 1, email="ada@example.com", password="wrong-password")
    document = """mutation ($input: LoginInput!) {
      login(input: $input) { userErrors { ... on RateLimited { retryAfter } } }
    }"""
    given = {"email": "ada@example.com", "password": password}
    (error,) = api(document, input=given)["login"]["userErrors"]
    clock.forward(seconds=error["retryAfter"] - 1)
    assert limited("login", 1, **given) == ["RATE_LIMITED"]
    clock.forward(seconds=1)
    assert limited("login", 1, **given) == ["OK"]


def test_whoever_guesses_the_present_password_is_stopped(limit, come_in, bearer, limited, password):
    bearer(come_in("login")["accessToken"])
    limit("login", account_from_address=2)
    wrong, right = ({"current": current, "password": NEW_PASSWORD} for current in ("wrong-password", password))
    assert limited("changePassword", 3, **wrong) == ["INVALID_CREDENTIALS"] * 2 + ["RATE_LIMITED"]
    assert limited("changePassword", 1, **right) == ["RATE_LIMITED"]
    assert limited("deleteAccount", 1, password=password) == ["RATE_LIMITED"]
    assert models.User.objects.get().check_password(password)


# ── whoever tries cart codes ─────────────────────────────────────────────────────────────────────────


def test_who_tries_cart_codes_by_a_query_is_stopped_by_an_error(limit, api):
    limit("cart", address=3)
    fields = " ".join(f'a{number}: cart(code: "code-{number}") {{ id }}' for number in range(5))
    body = api.post(f"{{ {fields} shop {{ name }} }}").json()
    assert body["data"] == {f"a{number}": None for number in range(5)} | {"shop": {"name": "Commercia"}}
    assert [error["path"] for error in body["errors"]] == [["a3"], ["a4"]]
    for error in body["errors"]:
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert 0 < error["extensions"]["retryAfter"] <= 900
        assert error["message"].startswith("Too many attempts. Try again in ")


CART_INPUTS = {
    "addToCart": {"lines": [{"variantId": "UHJvZHVjdFZhcmlhbnQ6MQ=="}]},
    "updateCartLine": {"lineId": ids.encode("CartLine", "0" * 32), "quantity": 1},
    "removeFromCart": {"lineIds": [ids.encode("CartLine", "0" * 32)]},
    "clearCart": {},
    "checkout": {"email": "ada@example.com"},
    "placeOrder": {"expectedTotal": "1.00"},
}


@pytest.mark.parametrize("name", CART_INPUTS)
def test_who_tries_cart_codes_by_a_mutation_is_stopped_by_a_user_error(limit, limited, name):
    limit("cart", address=2)
    given = {**CART_INPUTS[name], "cartCode": "nobody's"}
    assert limited(name, 4, **given) == ["NOT_FOUND"] * 2 + ["RATE_LIMITED"] * 2


@pytest.mark.parametrize("name", CART_INPUTS)
def test_ten_aliases_of_one_request_are_ten_cart_codes(limit, api, name):
    limit("cart", address=4)
    fields = " ".join(f"a{number}: {name}(input: $input) {{ userErrors {{ code }} }}" for number in range(10))
    given = {**CART_INPUTS[name], "cartCode": "nobody's"}
    answer = api(f"mutation ($input: {name[0].upper()}{name[1:]}Input!) {{ {fields} }}", input=given)
    codes = [payload["userErrors"][0]["code"] for payload in answer.values()]
    assert codes == ["NOT_FOUND"] * 4 + ["RATE_LIMITED"] * 6


def test_a_query_and_a_mutation_are_counted_together(limit, api, limited):
    limit("cart", address=2)
    for _ in range(2):
        assert api('{ cart(code: "x") { id } }') == {"cart": None}
    assert limited("clearCart", 1, cartCode="x") == ["RATE_LIMITED"]


def test_a_cart_of_ones_own_stays_open_meanwhile(limit, limited, put, ask, do, api):
    limit("cart", address=1)
    code = put()["code"]
    assert limited("clearCart", 2, cartCode="x")[-1] == "RATE_LIMITED"
    assert ask("cart")["code"] == ask("cart", code=code)["code"] == code
    assert put(cartCode=code)["totalQuantity"] == 2
    assert do("clearCart")["cart"]["lines"] == []


def test_a_code_that_opens_a_cart_and_no_code_at_all_are_not_counted(limit, put, ask, api, limited):
    limit("cart", address=1)
    code = put()["code"]
    for _ in range(3):
        assert ask("cart", code=code)
    api.client.cookies.clear()
    for _ in range(3):
        assert ask("cart") is None
        assert limited("clearCart", 1) == ["NOT_FOUND"]
    assert limited("clearCart", 1, cartCode="x") == ["NOT_FOUND"], "the first to be counted"


def test_the_code_of_an_accounts_cart_is_counted_as_one_that_nobody_has(limit, limited, enter, account, put, bearer):
    enter(account())
    code = put()["code"]
    bearer(None)
    limit("cart", address=2)
    assert limited("clearCart", 3, cartCode=code) == ["NOT_FOUND"] * 2 + ["RATE_LIMITED"]


# ── whose attempts they are ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def share_attempts(api, limit, limited):
    """Whether two requests, by their WSGI variables, count as from one address."""

    def asked(first, second):
        limit("login", address=1)
        codes = []
        for variables in (first, second):
            api.client.defaults.update(variables)
            codes += limited("login", 1, email="ada@example.com", password="wrong-password")
        assert codes[0] == "INVALID_CREDENTIALS"
        return codes[1] == "RATE_LIMITED"

    return asked


def forwarded(text, peer="10.0.0.1"):
    return {"HTTP_X_FORWARDED_FOR": text, "REMOTE_ADDR": peer}


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:DB8:0001:0002::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.10", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "unix:", True),
    ],
)
def test_an_address_is_that_of_the_network_one_comes_from(share_attempts, first, second, shared):
    assert share_attempts({"REMOTE_ADDR": first}, {"REMOTE_ADDR": second}) is shared


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("1.1.1.1, 203.0.113.9", "2.2.2.2, 3.3.3.3,203.0.113.9", True),
        ("203.0.113.9, 1.1.1.1", "203.0.113.9, 2.2.2.2", False),
        ("x, 2001:db8:1:2::1", "y, 2001:db8:1:2::2", True),
        ("junk", "more junk", True),
    ],
)
def test_behind_a_proxy_it_is_what_the_proxy_saw(share_attempts, settings, first, second, shared):
    settings.BEHIND_PROXY = True
    assert share_attempts(forwarded(first), forwarded(second)) is shared


def test_behind_a_proxy_that_says_nothing_it_is_the_peer(share_attempts, settings):
    settings.BEHIND_PROXY = True
    assert not share_attempts({"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": "203.0.113.10"})


def test_without_a_proxy_nobody_is_believed(share_attempts, settings):
    settings.BEHIND_PROXY = False
    assert share_attempts(forwarded("203.0.113.9"), forwarded("203.0.113.10"))


# ── nothing tells who has an account ─────────────────────────────────────────────────────────────────

RANDOM = {"id", "code", "accessToken", "refreshToken"}


def like(value, name=""):
    """The answer without what differs each time."""
    match value:
        case {"message": str()}:
            return value
        case dict():
            return {key: like(inner, key) for key, inner in value.items()}
        case list():
            return [like(inner) for inner in value]
        case str() if name in RANDOM:
            return f"{name} of {len(value)} characters"
        case _:
            return value


@pytest.fixture
def told(api, browser, clock, variant_id):
    """All that the answer to a fresh browser tells: status, body, headers, cookies; no cart, or a guest's."""

    def ask(document, with_cart, **given):
        browser()
        if with_cart:
            add = "mutation ($id: ID!) { addToCart(input: {lines: [{variantId: $id}]}) { cart { code } } }"
            api(add, id=with_cart)
        response = api.post(document, input=given)
        cookies = {
            name: (len(cookie.value), {key: value for key, value in cookie.items() if key != "expires"})
            for name, cookie in response.cookies.items()
        }
        headers = {name: value for name, value in response.headers.items() if name != "X-Request-ID"}
        return response.status_code, like(response.json()), headers, cookies

    return ask


PEOPLE = {
    "proven": lambda make: make("ada@example.com"),
    "claimed": lambda make: make(None, claimed_email="ada@example.com"),
    "proven and claimed": lambda make: (make("ada@example.com"), make(None, claimed_email="ada@example.com")),
    "claimed twice": lambda make: [make(None, claimed_email="ada@example.com") for _ in range(3)],
    "no longer active": lambda make: make("ada@example.com", is_active=False),
    "staff": lambda make: make("ada@example.com", is_staff=True, is_superuser=True),
}


@pytest.fixture
def people(password):
    """`people("proven")`: those who have ada@example.com; nobody has bob@example.com."""

    def make(email, **fields):
        user = models.User(email=email, joined_at=timezone.now(), **fields)
        user.set_password(password)
        user.save()
        return user

    return lambda who: PEOPLE[who](make)


@pytest.mark.parametrize("deliver", ["COOKIE", "PAYLOAD"])
@pytest.mark.parametrize("who", PEOPLE)
def test_registering_tells_nobody_who_has_an_account(told, people, who, deliver, variant_id):
    people(who)
    variant = VariantFactory()
    document = """mutation ($input: RegisterInput!) { register(input: $input) {
      accessToken expiresAt expiresIn refreshToken
      user {
        id name email emailVerified isStaff addresses { id } cart { id totalQuantity } orders { totalCount }
        sessions { id createdAt lastUsedAt expiresAt userAgent current }
      }
      cart { id code totalQuantity lines { id } }
      merged { before guest after reason variant { sku } }
      userErrors { __typename code message field }
    } }"""
    known, unknown = (
        told(document, variant_id(variant), email=email, password=NEW_PASSWORD, name="Eve", deliver=deliver)
        for email in ("ada@example.com", "bob@example.com")
    )
    assert unknown[0] == 200
    assert unknown[1]["data"]["register"]["userErrors"] == []
    known[1]["data"]["register"]["user"]["email"] = "bob@example.com"
    assert known == unknown


@pytest.mark.parametrize("with_cart", [True, False], ids=["cart", "no cart"])
@pytest.mark.parametrize("who", PEOPLE)
def test_a_login_that_fails_tells_nobody_who_has_an_account(told, people, who, with_cart, variant_id):
    people(who)
    variant = variant_id(VariantFactory()) if with_cart else None
    document = """mutation ($input: LoginInput!) { login(input: $input) {
      accessToken expiresAt expiresIn refreshToken user { id } cart { id } merged { after }
      userErrors { __typename code message field }
    } }"""
    known, unknown = (
        told(document, variant, email=email, password="wrong-password")
        for email in ("ada@example.com", "bob@example.com")
    )
    assert unknown[1]["data"]["login"]["userErrors"][0]["code"] == "INVALID_CREDENTIALS"
    assert known == unknown


@pytest.mark.parametrize("who", PEOPLE)
def test_asking_for_a_new_password_tells_nobody_who_has_an_account(told, people, who):
    people(who)
    document = """mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) {
      userErrors { __typename code message field }
    } }"""
    known, unknown = (told(document, None, email=email) for email in ("ada@example.com", "bob@example.com"))
    assert unknown[1] == {"data": {"requestPasswordReset": {"userErrors": []}}}
    assert known == unknown


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", ["register", "requestPasswordReset"])
def test_both_get_one_mail(people, who, name, api, delivered):
    people(who)
    more = {"password": NEW_PASSWORD} if name == "register" else {}
    for email in ("ada@example.com", "bob@example.com"):
        _code(api, name, {"email": email, **more})
        assert [mail.to for mail in delivered()] == [[email]]


@pytest.mark.parametrize("who", PEOPLE)
def test_a_lockout_tells_nobody_who_has_an_account(limit, limited, people, who):
    people(who)
    limit("login", account_from_address=2)
    for email in ("ada@example.com", "bob@example.com"):
        codes = limited("login", 3, email=email, password="wrong-password")
        assert codes == ["INVALID_CREDENTIALS"] * 2 + ["RATE_LIMITED"]


# ── mail that does not go out ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["register", "requestPasswordReset"])
def test_a_mail_that_cannot_be_sent_fails_nothing_and_is_kept(do, name, settings, password, delivered):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # Nobody listens there.
    given = {"password": password} if name == "register" else {}
    do(name, email="ada@example.com", **given)
    assert delivered() == []
    message = models.OutboxMessage.objects.get()
    assert (message.attempts, message.delivered_at, message.error[:22]) == (1, None, "ConnectionRefusedError")


def test_the_refresh_cookie_is_named_as_the_documents_say():
    assert REFRESH_COOKIE == "refresh"
