"""One line a request, with an id that goes along; no secret in any; and what probes are told."""

import io
import json
import logging

import pytest
import structlog
from django.db import OperationalError, connection
from django.test import Client

from commercia import logs, requests
from domain.base import outbox
from storefront.models import OutboxMessage, User
from tests.factories import NOW, VariantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def log():
    """`log()`: the lines that were logged, as production writes them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def _formatter():
    line = dict(logs.configuration(as_json=True, level="INFO")["formatters"]["line"])
    return line.pop("()")(**line)


def lines(log):
    return [line for line in log() if line["event"] == "request"]


def test_a_request_is_one_line_that_says_what_it_was_and_what_it_cost(api, log):
    VariantFactory()
    query = "query Front { products { nodes { title } } shop { name } }"
    api(query, "Front")
    (line,) = lines(log)
    told = ("method", "path", "status", "operation", "viewer", "statements", "level", "cost")
    assert [line[name] for name in told] == ["POST", "/graphql/", 200, "Front", None, 1, "info", 51]
    assert len(line["hash"]) == 64
    assert line["milliseconds"] >= line["sql_milliseconds"] >= 0
    assert query not in json.dumps(line)


def test_whether_an_answer_was_kept_is_told_with_what_it_had_cost(api, log, kept):
    for _ in range(2):
        api("query Front { shop { name } }")
    api("{ me { name } }")
    assert [(line.get("cache"), line["cost"]) for line in lines(log)] == [("miss", 2), ("hit", 2), (None, 2)]


def test_who_asked_is_told_where_it_was_asked_for(api, log):
    user = User.objects.create_user("ada@example.com", "lamp-otter-quarry")
    api.client.force_login(user)
    api("{ me { name } }")
    api("{ shop { name } }")
    assert [line["viewer"] for line in lines(log)] == [str(user.pk), None]


def test_an_id_goes_with_the_request_its_answer_its_lines_and_what_it_owes(api, log):
    response = api.post('mutation { requestPasswordReset(input: {email: "x@example.com"}) { userErrors { code } } }')
    request_id = response["X-Request-ID"]
    assert [line["request_id"] for line in lines(log)] == [request_id]
    assert OutboxMessage.objects.get().request_id == request_id

    def told(payload, key, now):
        structlog.get_logger("handler").info("delivering")

    outbox.relay(handlers={"account_unknown": told}, clock=lambda: NOW.replace(year=2099))
    (line,) = [line for line in log() if line["event"] == "delivering"]
    assert line["request_id"] == request_id


@pytest.mark.parametrize(
    ("given", "kept"), [("abcd-1234", True), ("x", False), ("a b c d e f", False), ("é" * 9, False)]
)
def test_an_id_is_taken_from_the_proxy_alone_and_only_if_it_is_one(client, settings, given, kept):
    settings.BEHIND_PROXY = True
    headers = {"X-Request-ID": given}
    assert (client.get("/admin/login/", headers=headers)["X-Request-ID"] == given) is kept
    settings.BEHIND_PROXY = False
    assert client.get("/admin/login/", headers=headers)["X-Request-ID"] != given


CANARY = "canary-7f3a"
PLACES = {
    "a password": lambda api: api.post(
        f'mutation {{ login(input: {{email: "ada@example.com", password: "{CANARY}"}}) {{ userErrors {{ code }} }} }}'
    ),
    "a variable": lambda api: api.post("query ($s: String) { products(search: $s) { totalCount } }", s=CANARY),
    "an access token": lambda api: api.client.get(
        "/graphql/?query={me{name}}", headers={"authorization": f"Bearer {CANARY}"}
    ),
    "a refresh token": lambda api: api.post(
        f'mutation {{ refreshToken(input: {{refreshToken: "{CANARY}"}}) {{ userErrors {{ code }} }} }}'
    ),
    "a reset token": lambda api: api.post(
        f'mutation {{ resetPassword(input: {{token: "{CANARY}", password: "x"}}) {{ userErrors {{ code }} }} }}'
    ),
    "a receipt": lambda api: api.post(f'{{ order(receipt: "{CANARY}") {{ id }} }}'),
    "a cart's code": lambda api: api.post(f'{{ cart(code: "{CANARY}") {{ id }} }}'),
    "a payment's token": lambda api: api.post(
        f"""mutation {{ startPayment(input: {{orderId: "x", provider: TEST, paymentMethod: "{CANARY}"}}) {{
            userErrors {{ code }}
        }} }}"""
    ),
    "a cookie": lambda api: api.client.get("/graphql/?query={cart{id}}", headers={"cookie": f"cart={CANARY}"}),
    "the address": lambda api: api.client.get(f'/graphql/?query={{cart(code:"{CANARY}"){{id}}}}'),
    "a document that is none": lambda api: api.post(f"{{ {CANARY}"),
    "a body that is no JSON": lambda api: api.client.post("/graphql/", CANARY, content_type="application/json"),
    "a form of the admin": lambda api: api.client.post("/admin/login/", {"username": "ada", "password": CANARY}),
    "a new password": lambda api: api.post(
        f"""mutation {{ changePassword(input: {{currentPassword: "{CANARY}", newPassword: "{CANARY}"}}) {{
            userErrors {{ code }}
        }} }}"""
    ),
    "a proof of an e-mail": lambda api: api.post(
        f'mutation {{ verifyEmail(input: {{token: "{CANARY}"}}) {{ userErrors {{ code }} }} }}'
    ),
    "a session of the admin": lambda api: api.client.get("/admin/", headers={"cookie": f"sessionid={CANARY}"}),
    "the token of metrics": lambda api: api.client.get("/metrics", headers={"authorization": f"Bearer {CANARY}"}),
    "an operation's name": lambda api: api.post("query A { shop { name } }", operation=CANARY),
    "a header": lambda api: api.client.get("/graphql/?query={__typename}", headers={"x-api-key": CANARY}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("breaks", [False, True], ids=["", "while the database breaks"])
def test_no_secret_is_logged_wherever_it_was_put(api, log, place, breaks, monkeypatch):
    api.client.raise_request_exception = False
    if breaks:

        def broken(*args, **kwargs):
            raise OperationalError("gone")

        with connection.execute_wrapper(broken):
            PLACES[place](api)
    else:
        PLACES[place](api)
    assert lines(log)
    assert CANARY not in json.dumps(log())


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_living_process_says_so_without_a_statement_whatever_the_host(settings, statements):
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["shop.example"], True
    with statements() as counted:
        response = Client().get("/livez", headers={"host": "10.0.0.7"})
    assert (response.status_code, len(counted)) == (200, 0)


def test_a_shop_with_its_database_is_ready(client):
    response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (200, "ok")


def test_a_shop_without_its_database_is_not(client, monkeypatch):
    def gone():
        raise OperationalError("gone")

    with monkeypatch.context() as away:
        away.setattr(connection, "ensure_connection", gone)
        response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (503, "away")


def test_a_shop_that_is_not_migrated_is_not_ready(client, monkeypatch):
    monkeypatch.setattr(requests.MigrationExecutor, "migration_plan", lambda *_: ["something"])
    response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (503, "not migrated")


def test_a_cache_and_a_broker_that_are_away_are_told_but_the_shop_sells_without(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": settings.REDIS_URL}
    }
    settings.BROKER_URL = "amqp://127.0.0.1:1//"
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "cache": "away", "broker": "away"}
