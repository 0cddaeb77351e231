"""Access tokens over the wire: one is good until its user, version or session is gone; no other opens anything."""

import ast
import base64
import hashlib
import hmac
import json
import logging
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from django.contrib.auth import authenticate
from django.core import signing
from django.test import RequestFactory
from django.utils import timezone

from domain.accounts import sessions
from schema.base import ids, tokens
from storefront import models
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]
NEW_KEY = "the-key-after-the-rotation-" + "1" * 32
ANY_KEY = "somebody-elses-key-" + "2" * 32
ORDER = ids.encode("Order", "0" * 32)
PROBE = "{ shop { name } products { totalCount } me { id } }"


@pytest.fixture
def session(account):
    """Ada's, begun on a device."""
    return sessions.begin(user=account(), user_agent="", now=timezone.now()).session


@pytest.fixture
def access(session):
    """A good access token."""
    return tokens.issue(session, now=timezone.now())[0]


@pytest.fixture
def forge(access, settings):
    """`forge(aud="admin")`: a token like the good one in all but that; a claim that is ... is left out."""

    def make(key=None, algorithm="HS256", **changes):
        claims = {name: value for name, value in {**unverified(access), **changes}.items() if value is not ...}
        header = {"alg": algorithm, "typ": "JWT"}
        return by_hand(header, claims, settings.JWT_KEY if key is None else key, f"sha{algorithm[2:]}")

    return make


@pytest.fixture
def probe(api):
    """What a request with this Authorization header is told."""

    def send(authorization):
        api.client.defaults["HTTP_AUTHORIZATION"] = authorization
        response = api.post(PROBE)
        assert response.status_code == 200
        return response.json()

    return send


@pytest.fixture
def opens_to(probe):
    """Whom the header makes the viewer: the key of a user, or None."""

    def send(authorization):
        body = probe(authorization)
        assert "errors" not in body, body
        me = body["data"]["me"]
        return base64.b64decode(me["id"]).decode().removeprefix("User:") if me else None

    return send


@pytest.fixture
def refuses(probe):
    """Asserts that the header's token keeps the viewer out, and nothing else."""

    def send(token, prefix="Bearer "):
        body = probe(prefix + token)
        assert body["data"] == {"shop": {"name": "Commercia"}, "products": {"totalCount": 0}, "me": None}
        (error,) = body["errors"]
        assert (error["path"], error["extensions"]) == (["me"], {"code": "UNAUTHENTICATED"})
        return error["message"]

    return send


def unverified(token):
    return jwt.decode(token, options={"verify_signature": False})


def b64(data):
    text = data if isinstance(data, bytes | str) else json.dumps(data)
    return base64.urlsafe_b64encode(text if isinstance(text, bytes) else text.encode()).rstrip(b"=").decode()


def by_hand(header, claims, key, digest="sha256"):
    """A token that is signed by HMAC, whatever its header says."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(key.encode(), signed.encode(), digest))}"


# ── what is issued ───────────────────────────────────────────────────────────────────────────────────


def test_a_good_token_makes_its_user_the_viewer(session, access, opens_to):
    assert opens_to(f"Bearer {access}") == str(session.user_id)


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "BEARER ", "JWT ", "jwt ", "Bearer   ", " Bearer "])
def test_both_prefixes_are_understood_in_any_case(session, access, opens_to, prefix):
    assert opens_to(prefix + access) == str(session.user_id)


@pytest.mark.parametrize("authorization", ["", "Basic {}", "Token {}", "Digest {}", "{}", "Bearer{}", "XBearer {}"])
def test_a_header_of_another_scheme_is_about_somebody_else(access, opens_to, authorization):
    assert opens_to(authorization.format(access)) is None


def test_a_token_names_the_id_and_tells_nothing_of_the_person(session, access):
    claims = unverified(access)
    assert claims.pop("iat") < claims.pop("exp")
    assert claims == {
        "iss": "Commercia",
        "aud": "storefront",
        "typ": "access",
        "sub": str(session.user_id),
        "ver": session.user.token_version,
        "sid": str(session.pk),
    }


def test_a_token_lasts_minutes(access, settings):
    claims = unverified(access)
    assert claims["exp"] - claims["iat"] == settings.ACCESS_TOKEN_MINUTES * 60
    assert settings.ACCESS_TOKEN_MINUTES <= 15


def test_a_token_never_outlasts_its_session(session):
    now = session.expires_at - timedelta(seconds=90)
    token, expires_at = tokens.issue(session, now=now)
    assert expires_at == session.expires_at
    assert unverified(token)["exp"] == int(session.expires_at.timestamp())


def test_the_key_is_one_of_its_own(settings, access):
    assert settings.GRAPHQL_JWT["JWT_SECRET_KEY"] == settings.JWT_KEY != settings.SECRET_KEY
    assert jwt.decode(access, settings.JWT_KEY, ["HS256"], audience="storefront")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(access, settings.SECRET_KEY, ["HS256"], audience="storefront")


# ── what is verified ─────────────────────────────────────────────────────────────────────────────────


def test_an_expired_token_is_refused_and_says_so(session, refuses):
    token, expires_at = tokens.issue(session, now=timezone.now() - timedelta(hours=1))
    assert expires_at < timezone.now() < session.expires_at
    assert "expired" in refuses(token)


def test_a_token_is_refused_from_its_last_second_on(forge, refuses):
    assert "expired" in refuses(forge(exp=int(timezone.now().timestamp())))


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "typ", "sub", "ver", "sid"])
def test_a_token_that_lacks_a_claim_is_refused(forge, refuses, claim):
    refuses(forge(**{claim: ...}))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "Another shop"),
        ("iss", ""),
        ("iss", None),
        ("iss", ["Commercia"]),
        ("aud", "admin"),
        ("aud", []),
        ("aud", ["admin"]),
        ("aud", None),
        ("typ", "refresh"),
        ("typ", "Access"),
        ("typ", ["access"]),
        ("typ", None),
        ("ver", "0" * 16),
        ("ver", ""),
        ("ver", None),
        ("sub", "00000000-0000-0000-0000-000000000000"),
        ("sub", "ada@example.com"),
        ("sub", ""),
        ("sub", 1),
        ("sub", None),
        ("sid", "00000000-0000-0000-0000-000000000000"),
        ("sid", "junk"),
        ("exp", "never"),
        ("exp", None),
        ("nbf", 2**40),
        ("iat", 2**40),
    ],
)
def test_a_token_with_another_value_in_a_claim_is_refused(forge, refuses, claim, value):
    refuses(forge(**{claim: value}))


@pytest.mark.parametrize("value", [1, None, ["x"]], ids=str)
def test_a_session_that_is_no_text_is_refused(forge, refuses, value):
    refuses(forge(sid=value))


def test_a_token_with_the_session_of_another_user_is_refused(forge, refuses):
    other = UserFactory()
    theirs = sessions.begin(user=other, user_agent="", now=timezone.now()).session
    refuses(forge(sid=str(theirs.pk)))
    refuses(forge(sub=str(other.pk)))
    refuses(forge(sub=str(other.pk), ver=other.token_version))


def test_a_token_signed_with_the_secret_key_is_refused(forge, refuses, settings):
    refuses(forge(key=settings.SECRET_KEY))


def test_a_token_signed_with_an_unknown_key_is_refused(forge, refuses):
    refuses(forge(key=ANY_KEY))


def test_a_token_that_was_changed_is_refused(access, refuses):
    header, payload, signature = access.split(".")
    claims = {**unverified(access), "exp": unverified(access)["exp"] + 3600}
    refuses(f"{header}.{b64(claims)}.{signature}")
    refuses(f"{header}.{payload}.{signature[::-1]}")
    refuses(f"{header}.{payload}.")
    refuses(f"{header}.{payload}")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_that_asks_not_to_be_verified_is_refused(access, refuses, settings, name):
    claims = unverified(access)
    unsigned = f"{b64({'alg': name, 'typ': 'JWT'})}.{b64(claims)}"
    refuses(f"{unsigned}.")
    refuses(f"{unsigned}.{access.rpartition('.')[2]}")
    refuses(by_hand({"alg": name, "typ": "JWT"}, claims, settings.JWT_KEY))


@pytest.mark.parametrize("name", ["HS384", "HS512"])
def test_a_token_of_another_strength_is_refused(forge, refuses, name):
    refuses(forge(algorithm=name))


@pytest.mark.parametrize("name", ["RS256", "HS512", "HS384", "ES256", "EdDSA", "hs256", 1, ["HS256"], {"a": 1}, None])
def test_a_token_that_names_another_algorithm_is_refused(access, refuses, settings, name):
    claims = unverified(access)
    refuses(by_hand({"alg": name, "typ": "JWT"}, claims, settings.JWT_KEY))
    refuses(by_hand({"typ": "JWT"}, claims, settings.JWT_KEY))


def test_a_token_made_by_hand_is_good_without_a_change(forge, opens_to, session):
    """So that it is the change by which all those are refused."""
    assert opens_to(f"Bearer {forge()}") == str(session.user_id)


# ── a new key ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def rotated(access, settings):
    """The key is a new one; the old one is still accepted."""
    settings.JWT_KEY_FALLBACKS = [settings.JWT_KEY]
    settings.GRAPHQL_JWT = {**settings.GRAPHQL_JWT, "JWT_SECRET_KEY": NEW_KEY}


def test_a_token_of_the_old_key_is_good_while_that_is_a_fallback(rotated, access, opens_to, session):
    assert opens_to(f"Bearer {access}") == str(session.user_id)


def test_any_of_several_fallbacks_will_do(rotated, access, opens_to, session, settings):
    settings.JWT_KEY_FALLBACKS = [ANY_KEY, *settings.JWT_KEY_FALLBACKS]
    assert opens_to(f"Bearer {access}") == str(session.user_id)


def test_a_token_of_the_old_key_is_refused_once_that_is_taken_out(rotated, access, refuses, settings):
    settings.JWT_KEY_FALLBACKS = []
    refuses(access)
    settings.JWT_KEY_FALLBACKS = [ANY_KEY]
    refuses(access)


def test_new_tokens_are_signed_with_the_new_key_alone(rotated, session, opens_to):
    token, _ = tokens.issue(session, now=timezone.now())
    assert jwt.decode(token, NEW_KEY, ["HS256"], audience="storefront")
    assert opens_to(f"Bearer {token}") == str(session.user_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_500_000_000},
        {"exp": ...},
        {"aud": "admin"},
        {"aud": ...},
        {"iss": "Another shop"},
        {"iss": ...},
        {"typ": "refresh"},
        {"typ": ...},
        {"ver": "0" * 16},
        {"ver": ...},
        {"sid": ...},
        {"sub": ...},
        {"algorithm": "HS512"},
    ],
    ids=str,
)
def test_the_old_key_opens_no_more_than_the_new_one(rotated, forge, refuses, changes):
    refuses(forge(**changes))


def test_a_token_of_the_old_key_that_is_not_to_be_verified_is_refused(rotated, access, refuses):
    refuses(f"{b64({'alg': 'none'})}.{b64(unverified(access))}.")


def test_an_expired_token_of_the_old_key_says_so(rotated, forge, refuses):
    assert "expired" in refuses(forge(exp=1_500_000_000))


# ── whose it is, and until when ──────────────────────────────────────────────────────────────────────


def test_the_token_of_a_renamed_user_is_not_that_of_the_names_next_owner(session, access, opens_to, account):
    models.User.objects.filter(pk=session.user_id).update(email="ada.new@example.com")
    successor = account("ada@example.com")
    assert opens_to(f"Bearer {access}") == str(session.user_id) != str(successor.pk)


@pytest.fixture
def two_devices(account, enter, browser, api):
    """Ada is logged in on a device and, at hand, on another; the access token of the first."""
    user = account()
    first = enter(user)["accessToken"]
    browser()
    enter(user)
    return first


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("changePassword", {"current": "lamp-otter-quarry", "password": "tulip-harbour-9"}),
        ("logout", {"everywhere": True}),
        ("deleteAccount", {"password": "lamp-otter-quarry"}),
    ],
)
def test_what_ends_every_session_ends_every_access_token_at_once(two_devices, api, do, opens_to, refuses, name, given):
    at_hand = api.client.defaults["HTTP_AUTHORIZATION"]
    assert opens_to(f"Bearer {two_devices}")
    api.client.defaults["HTTP_AUTHORIZATION"] = at_hand
    do(name, **given)
    refuses(two_devices)
    refuses(at_hand, prefix="")


def test_a_new_password_by_mail_ends_every_access_token_at_once(two_devices, api, do, mailed, refuses, browser):
    at_hand = api.client.defaults["HTTP_AUTHORIZATION"]
    browser()
    token = mailed("requestPasswordReset", email="ada@example.com")
    do("resetPassword", token=token, password="tulip-harbour-9")
    refuses(two_devices)
    refuses(at_hand, prefix="")


def test_logging_out_ends_the_access_token_of_that_device_only(two_devices, api, do, opens_to, refuses):
    at_hand = api.client.defaults["HTTP_AUTHORIZATION"]
    do("logout")
    refuses(at_hand, prefix="")
    assert opens_to(f"Bearer {two_devices}")


def test_a_stolen_refresh_token_ends_the_access_token_with_the_session(account, enter, do, refusals, refuses, clock):
    login = enter(account(), deliver="PAYLOAD")
    do("refreshToken", refreshToken=login["refreshToken"])
    clock.forward(minutes=1)
    refusals("refreshToken", refreshToken=login["refreshToken"])
    refuses(login["accessToken"])


def test_a_password_that_is_set_by_whatever_way_ends_the_access_token(session, access, refuses):
    session.user.set_password("tulip-harbour-9")
    session.user.save()
    refuses(access)


def test_who_may_no_longer_log_in_is_out_at_once(session, access, refuses):
    models.User.objects.filter(pk=session.user_id).update(is_active=False)
    refuses(access)


def test_the_token_of_a_user_who_is_no_more_is_refused(session, access, refuses):
    session.user.delete()
    refuses(access)


def test_the_token_of_a_session_past_its_end_is_refused(session, access, refuses):
    models.Session.objects.filter(pk=session.pk).update(expires_at=timezone.now())
    refuses(access)


# ── other tokens of ours ─────────────────────────────────────────────────────────────────────────────


def test_refresh_tokens_are_kept_as_sha_256_only(account, enter, do):
    issued = [enter(account(), deliver="PAYLOAD")["refreshToken"]]
    issued.append(do("refreshToken", refreshToken=issued[0])["refreshToken"])
    kept = models.RefreshToken.objects.values_list("digest", flat=True)
    assert set(kept) == {hashlib.sha256(token.encode()).hexdigest() for token in issued}
    rows = [list(model.objects.values()) for model in (models.User, models.Session, models.RefreshToken)]
    assert not any(token in str(rows) for token in issued)


def test_a_refresh_token_is_no_access_token(account, enter, refuses, api):
    login = enter(account(), deliver="PAYLOAD")
    enter(models.User.objects.get())
    (digest, _) = models.RefreshToken.objects.values_list("digest", flat=True)
    api.client.defaults.pop("HTTP_AUTHORIZATION")
    for junk in (login["refreshToken"], api.client.cookies["refresh"].value, digest):
        refuses(junk)


def test_the_token_of_a_mails_link_is_no_access_token(session, mailed, refuses):
    refuses(mailed("requestPasswordReset", email="ada@example.com"))
    refuses(mailed("register", email="bob@example.com", password="tulip-harbour-9"))


def test_an_access_token_is_no_other_token(access, refusals):
    for name, given in {
        "refreshToken": {"refreshToken": access},
        "verifyEmail": {"token": access},
        "resetPassword": {"token": access, "password": "tulip-harbour-9"},
    }.items():
        assert [error["code"] for error in refusals(name, **given)] == ["TOKEN_EXPIRED"]


def test_a_text_that_the_secret_key_signed_is_no_access_token(session, refuses, settings):
    refuses(signing.dumps({"sub": str(session.user_id), "sid": str(session.pk)}))
    refuses(signing.Signer().sign(str(session.user_id)))


# ── junk ─────────────────────────────────────────────────────────────────────────────────────────────

JUNK = {
    "nothing": "",
    "a word": "x",
    "several words": "x y z",
    "two dots": "..",
    "three dots": "...",
    "many dots": "." * 50,
    "three words": "x.y.z",
    "very long": "x" * 100_000,
    "very long parts": ".".join(["x" * 30_000] * 3),
    "Latin letters": "é.ü.ß",
    "other letters": "😀.ж.中".encode().decode("latin-1"),
    "NUL": "\0",
    "NUL in a header": f"{b64(chr(0))}.{b64('{}')}.x",
    "percents": "%00.%ff.%s",
    "quotes": "'\";--.\\.`",
    "no base64": "!!!.???.***",
    "no JSON": f"{b64('x')}.{b64('x')}.{b64('x')}",
    "no UTF-8": f"{b64(bytes([0xFF, 0xFE]))}.{b64(bytes([0xFF]))}.x",
    "a header that is a list": f"{b64([])}.{b64({})}.x",
    "a header that is a number": f"{b64('1')}.{b64({})}.x",
    "a header that is null": f"{b64('null')}.{b64({})}.x",
    "a header without an algorithm": f"{b64({})}.{b64({})}.x",
    "a header with a key of its own": f"{b64({'alg': 'HS256', 'kid': 1, 'jwk': {}, 'jku': 'http://x/'})}.{b64({})}.x",
    "a header with b64": f"{b64({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}..x",
    "a header with crit": f"{b64({'alg': 'HS256', 'crit': 1})}.{b64({})}.x",
    "a deep header": b64("[" * 5_000) + ".x.y",
    "a deep header of objects": b64('{"a":' * 5_000) + ".x.y",
    "a deep payload": f"{b64({'alg': 'HS256'})}.{b64('[' * 5_000)}.x",
    "a large number": b64('{"alg": 1' + "0" * 5_000 + "}") + ".x.y",
    "infinity": b64('{"alg": Infinity}') + ".x.y",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_junk_keeps_the_viewer_out_and_public_fields_answer(refuses, junk):
    refuses(junk)


@pytest.mark.parametrize("authorization", ["Bearer", "bearer", "JWT", "Bearer ", "Bearer  "])
def test_a_prefix_without_a_token_keeps_the_viewer_out(refuses, authorization):
    refuses("", prefix=authorization)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_deep_payload_with_a_good_signature_is_refused(refuses, settings, opening):
    """It takes the key to make one; even so it is no reason to break."""
    refuses(by_hand({"alg": "HS256"}, opening * 5_000, settings.JWT_KEY))


@pytest.fixture
def bad(session):
    """A token that was good an hour ago."""
    return tokens.issue(session, now=timezone.now() - timedelta(hours=1))[0]


@pytest.mark.parametrize("junk", ["", "x", "x.y.z", JUNK["a deep header"], None], ids=["", "x", "x.y.z", "deep", "old"])
def test_a_bad_token_fills_no_guests_cart(api, put, refuses, bearer, bad, variant_id, junk):
    """Who believes to be logged in would not find it again."""
    put()
    before = list(models.CartLine.objects.values())
    bearer(bad if junk is None else junk)
    add = "mutation ($id: ID!) { addToCart(input: {lines: [{variantId: $id}]}) { cart { id } userErrors { code } } }"
    response = api.post(add, id=variant_id(VariantFactory()))
    (error,) = response.json()["errors"]
    assert (response.json()["data"], error["extensions"]) == (None, {"code": "UNAUTHENTICATED"})
    assert list(models.CartLine.objects.values()) == before
    assert models.Cart.objects.count() == 1


@pytest.mark.parametrize(
    "document",
    [
        "{ it: cart { id } }",
        "{ it: me { id } }",
        f'{{ it: order(id: "{ORDER}") {{ id }} }}',
        "mutation { it: clearCart { cart { id } } }",
        'mutation { it: checkout(input: {email: "ada@example.com"}) { cart { id } } }',
        'mutation { it: placeOrder(input: {expectedTotal: "1"}) { order { id } } }',
        'mutation { it: updateProfile(input: {name: "Eve"}) { user { id } } }',
        'mutation { it: verifyEmail(input: {token: "x"}) { user { id } } }',
        f'mutation {{ it: cancelOrder(input: {{orderId: "{ORDER}", receipt: "x"}}) {{ order {{ id }} }} }}',
        f'mutation {{ it: startPayment(input: {{orderId: "{ORDER}", provider: TEST}}) {{ order {{ id }} }} }}',
        "mutation { it: logout(input: {everywhere: true}) { userErrors { code } } }",
    ],
)
def test_whatever_needs_to_know_the_viewer_refuses_a_bad_token(api, bearer, bad, document):
    bearer(bad)
    errors = api.errors(document)
    assert {error["extensions"]["code"] for error in errors} == {"UNAUTHENTICATED"}


def test_a_bad_token_is_not_made_up_for_by_djangos_session(api, account, refuses):
    user = account()
    api.client.force_login(user)
    assert api("{ me { name } }") == {"me": {"name": "Ada"}}
    refuses("x.y.z")


def test_the_token_comes_before_djangos_session(api, session, access, opens_to):
    api.client.force_login(UserFactory())
    assert opens_to(f"Bearer {access}") == str(session.user_id)


def test_an_expired_token_still_lets_one_in_again(session, bad, do, bearer, mailed, account, password):
    bearer(bad)
    assert do("login", email="ada@example.com", password=password)["user"]["email"] == "ada@example.com"
    assert do("refreshToken")["accessToken"], "by the cookie of the login"
    assert do("register", email="bob@example.com", password=password)["user"]["email"] == "bob@example.com"
    token = mailed("requestPasswordReset", email="ada@example.com")
    assert do("resetPassword", token=token, password="tulip-harbour-9")["user"]["email"] == "ada@example.com"
    do("logout")


@pytest.mark.parametrize("token", ["", "x.y.z", None], ids=["", "x.y.z", "old"])
def test_one_leaves_with_any_token(account, enter, do, refusals, bearer, bad, token, browser):
    login = enter(models.User.objects.get(), deliver="PAYLOAD")
    bearer(bad if token is None else token)
    do("logout", refreshToken=login["refreshToken"])
    bearer(None)
    assert [error["code"] for error in refusals("refreshToken", refreshToken=login["refreshToken"])] == [
        "TOKEN_EXPIRED"
    ]


# ── who verifies what ────────────────────────────────────────────────────────────────────────────────


def test_the_backend_of_graphql_jwt_is_not_listed(settings):
    assert settings.AUTHENTICATION_BACKENDS == ["django.contrib.auth.backends.ModelBackend"]
    assert "graphql_jwt" not in str([settings.INSTALLED_APPS, settings.MIDDLEWARE])


@pytest.mark.parametrize("prefix", ["JWT", "Bearer"])
def test_a_token_makes_no_wrong_password_right(access, password, prefix):
    request = RequestFactory().post("/graphql/", headers={"authorization": f"{prefix} {access}"})
    assert authenticate(request, username="ada@example.com", password="wrong") is None
    assert authenticate(request) is None
    assert authenticate(request, username="ada@example.com", password=password)


def test_over_the_wire_neither(access, refusals, bearer):
    bearer(access)
    (error,) = refusals("login", email="ada@example.com", password="wrong")
    assert error["code"] == "INVALID_CREDENTIALS"


def test_one_module_alone_knows_how_tokens_are_made():
    found = set()
    for folder in ("commercia", "schema", "domain", "storefront"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if {name.partition(".")[0] for name in names} & {"jwt", "graphql_jwt"}:
                    found.add(str(path.relative_to(ROOT)))
    assert found == {"schema/base/tokens.py"}


# ── the log ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def log(caplog):
    """All that was logged, at any level, whatever a handler makes of it."""
    for name in (None, "django", "django.request", "django.security", "schema", "domain"):
        caplog.set_level(logging.DEBUG, name)
    return lambda: caplog.text + "".join(repr(vars(record)) for record in caplog.records)


def test_no_secret_is_logged(
    log, api, do, ask, put, refusals, bearer, browser, clock, mailed, refuses, settings, password
):
    secrets = {settings.SECRET_KEY, settings.JWT_KEY, password, "tulip-harbour-9", "wrong-password"}
    secrets.add(put()["code"])
    refusals("register", email="ada@example.com", password="12345")
    secrets.add(mailed("register", email="ada@example.com", password=password))

    def by_cookie(name, **given):
        payload = do(name, **given)
        secrets.update({payload["accessToken"], api.client.cookies["refresh"].value})
        bearer(payload["accessToken"])

    refusals("login", email="ada@example.com", password="wrong-password")
    by_cookie("login", email="ada@example.com", password=password)
    by_cookie("refreshToken")
    by_cookie("changePassword", current=password, password="tulip-harbour-9")
    refusals("changePassword", current="wrong-password", password=password)
    assert ask("me")

    login = do("login", email="ada@example.com", password="tulip-harbour-9", deliver="PAYLOAD")
    refreshed = do("refreshToken", refreshToken=login["refreshToken"])
    secrets.update({login["refreshToken"], refreshed["refreshToken"], refreshed["accessToken"]})
    clock.forward(minutes=1)
    (error,) = refusals("refreshToken", refreshToken=login["refreshToken"])
    assert error["code"] == "TOKEN_REUSED"
    bearer(refreshed["accessToken"])
    api.post("{ me { id } }")

    browser()
    token = mailed("requestPasswordReset", email="ada@example.com")
    secrets.add(token)
    refusals("resetPassword", token=token + "x", password=password)
    by_cookie("resetPassword", token=token, password=password)
    do("logout")

    written = log()
    assert "A refresh token was reused" in written
    assert len(secrets) > 12
    assert [secret for secret in secrets if secret in written] == []


def test_no_secret_is_logged_when_things_break(log, do, put, monkeypatch, account, password, clock):
    def broken(**given):
        raise RuntimeError("The database is on fire.")

    code = put()["code"]
    account()
    monkeypatch.setattr("domain.sales.cart.merge", broken)
    payload = do("login", email="ada@example.com", password=password, cartCode=code, deliver="PAYLOAD")
    written = log()
    assert "on fire" in written
    for secret in (password, payload["accessToken"], payload["refreshToken"], code):
        assert secret not in written


def test_no_secret_is_logged_when_the_answer_breaks(log, api, monkeypatch, account, password):
    def broken(**given):
        raise RuntimeError("The database is on fire.")

    account()
    monkeypatch.setattr("domain.accounts.accounts.login", broken)
    login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }"
    (error,) = api.post(login, input={"email": "ada@example.com", "password": password}).json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    written = log()
    assert "on fire" in written
    assert password not in written
