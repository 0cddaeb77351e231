"""An answer that is the same for everyone is made once: what is kept, for whom, and how long it is right."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, Event

import pytest
from django.conf import settings as configured
from django.db import OperationalError, connections
from django.test import Client
from django.utils import timezone

from domain.base import shared_cache
from domain.catalog import catalog_version, products
from schema.base.context import Context
from schema.serving import execution, response_cache
from storefront import models
from tests.factories import CurrencyFactory, ImageFactory, ProductFactory, VariantFactory

# Each write is a transaction of its own, as it is in life.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("kept")]

PRICE = "query Price($slug: String!) { product(slug: $slug) { priceRange { min { amount currency } } } }"
TITLES = "query Titles { products { nodes { title } } }"


@pytest.fixture
def mug():
    return VariantFactory(product__slug="mug", product__title="Mug", price=Decimal("19.90"))


@pytest.fixture
def executed(monkeypatch):
    """The names of the operations that were executed, in their order."""
    names = []
    execute = execution.execute

    def noted(prepared, variables, context):
        names.append(prepared.name)
        return execute(prepared, variables, context)

    monkeypatch.setattr(execution, "execute", noted)
    return names


def price(api, **given):
    return api(PRICE, slug="mug", **given)["product"]["priceRange"]["min"]["amount"]


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────


def test_what_was_answered_is_answered_again_without_being_executed(api, mug, executed):
    assert [price(api) for _ in range(5)] == ["19.90"] * 5
    assert executed == ["Price"]


def test_a_kept_answer_costs_one_statement_to_see_that_it_is_right_and_none_while_that_was_just_seen(
    api, mug, settings, statements
):
    price(api)
    with statements() as counted:
        price(api)
    assert len(counted) == 1
    settings.CATALOG_STALE_SECONDS = 60
    price(api)
    with statements() as counted:
        price(api)
    assert len(counted) == 0


def test_a_document_that_is_known_is_not_parsed(api, mug, monkeypatch):
    price(api)
    monkeypatch.setattr(execution, "parse", None)
    assert price(api) == "19.90"


@pytest.mark.parametrize(
    "other",
    [
        {"slug": "cup"},
        {"headers": {"host": "localhost"}},
        {"secure": True},
        {"query": PRICE.replace("{ amount", "{ currency amount")},
        {"query": PRICE.replace("!)", '!) @inContext(currency: "USD")')},
        {"operation": "B"},
    ],
    ids=["variables", "host", "scheme", "text", "currency", "operation"],
)
def test_who_asks_for_something_else_gets_something_else(client, mug, executed, other, settings):
    settings.ALLOWED_HOSTS = ["*"]
    CurrencyFactory()
    VariantFactory(product__slug="cup")
    two = "query A { shop { name } } query B { shop { currency } } "

    def ask(slug="mug", headers=None, secure=False, query=PRICE, operation=None):
        given = {"query": two + query, "operationName": operation or "Price", "variables": {"slug": slug}}
        response = client.post("/graphql/", given, content_type="application/json", headers=headers, secure=secure)
        assert "errors" not in response.json()
        return response.json()

    usual = ask()
    ask(**other)
    assert len(executed) == 2
    assert ask() == usual
    assert len(executed) == 2


def test_a_picture_has_the_address_by_which_the_shop_was_asked(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    ImageFactory(product__slug="mug")
    query = '{ product(slug: "mug") { images { url } } }'
    for host in ("a.example", "b.example", "a.example"):
        (image,) = client.get("/graphql/", {"query": query}, headers={"host": host}).json()["data"]["product"]["images"]
        assert image["url"].startswith(f"http://{host}/")


def test_variables_are_the_same_in_whatever_order_and_with_whatever_nobody_declared(client, mug, executed):
    for text in (
        '{"slug": "mug"}',
        '{"more": {"a": [1]}, "slug": "mug"}',
        '{"slug": "m\\u0075g", "more": 2}',
    ):
        body = f'{{"query": {json.dumps(PRICE)}, "variables": {text}}}'
        assert client.post("/graphql/", body, content_type="application/json").json()["data"]["product"]
    assert executed == ["Price"]


def test_everyone_gets_it_whoever_asked_first(api, mug, executed, account, bearer, enter):
    enter(account())
    executed.clear()
    assert price(api) == "19.90"
    bearer("not a token")
    assert price(api) == "19.90"
    assert (
        Client(headers={"cookie": "cart=x; sessionid=y"})
        .get("/graphql/", {"query": PRICE, "variables": '{"slug": "mug"}'})
        .json()["data"]["product"]
    )
    assert executed == ["Price"]


def test_what_depends_on_the_viewer_is_never_kept(api, executed, account, enter, bearer):
    asked = "query Mixed { shop { name } me { name } }"
    assert api(asked)["me"] is None
    enter(account(name="Ada"))
    assert api(asked)["me"] == {"name": "Ada"}
    assert executed.count("Mixed") == 2


def test_what_turns_out_to_depend_on_the_viewer_is_not_kept_though_it_is_called_public(api, executed, monkeypatch):
    absolute = Context.absolute

    def nosy(self, url):
        return absolute(self, url) if self.viewer is None else ""

    monkeypatch.setattr(Context, "absolute", nosy)
    ImageFactory()
    for _ in range(2):
        api("query Nosy { products { nodes { images { url } } } }")
    assert executed == ["Nosy", "Nosy"]


def test_errors_are_never_kept(api, executed, monkeypatch, mug):
    def broken(**given):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("domain.catalog.browse.browse", broken)
        assert api.errors(TITLES)
    assert api(TITLES) == {"products": {"nodes": [{"title": "Mug"}]}}
    for _ in range(2):
        assert api.errors("query Bad { products(first: 101) { totalCount } }")
        assert api.errors('query Lost @inContext(currency: "XXX") { shop { name } }')
    assert executed == ["Titles", "Titles", "Bad", "Lost", "Bad", "Lost"]


def test_nothing_is_kept_where_that_is_switched_off(api, mug, executed, settings):
    settings.CATALOG_CACHE_MEGABYTES = 0
    price(api)
    price(api)
    assert executed == ["Price", "Price"]


def test_no_more_is_remembered_than_the_setting_says(settings):
    settings.CATALOG_CACHE_MEGABYTES = 1
    entry = response_cache.Entry(catalog_version.Version(1, 0.0), time.time() + 60, 1, "", b"x" * 3_000)
    for number in range(1_000):
        response_cache.memory.keep(str(number), entry)
        assert response_cache.memory.get("0"), "What is asked for is not forgotten."
    assert 900_000 < response_cache.memory.bytes <= 1_000_000
    assert response_cache.memory.get("1") is None
    response_cache.memory.keep("whale", entry._replace(content=b"x" * 200_000))
    assert response_cache.memory.get("whale") is None


# ── how long it is right ─────────────────────────────────────────────────────────────────────────────


def change_price(variant, amount):
    models.ProductVariant.objects.filter(pk=variant.pk).update(price=Decimal(amount))
    products.refresh_derived(product=variant.product)


def test_a_write_to_the_catalogue_shows(api, mug):
    assert price(api) == "19.90"
    change_price(mug, "24.90")
    assert price(api) == "24.90"


def test_a_product_that_was_scheduled_shows_when_its_time_has_come(api, monkeypatch):
    soon = timezone.now() + timedelta(hours=1)
    ProductFactory(title="Tomorrow's", published_at=soon)
    assert api(TITLES)["products"]["nodes"] == []
    for module in ("schema.serving.response_cache", "schema.base.context"):
        monkeypatch.setattr(f"{module}.timezone.now", lambda: soon)
    assert api(TITLES)["products"]["nodes"] == [{"title": "Tomorrow's"}]


def test_what_was_right_a_moment_ago_is_given_for_as_long_as_the_setting_promises(api, mug, settings):
    settings.CATALOG_STALE_SECONDS = 0.4
    assert price(api) == "19.90"
    change_price(mug, "24.90")
    changed = time.monotonic()
    seen = set()
    while time.monotonic() < changed + 1:
        asked = time.monotonic()
        amount = price(api)
        seen.add(amount)
        assert amount == "24.90" or asked < changed + 0.4
    assert seen == {"19.90", "24.90"}


def test_what_is_right_or_was_right_a_moment_ago_may_be_given_and_nothing_older(settings, monkeypatch):
    first, second, third = (catalog_version.Version(number, 0.0) for number in (1, 2, 3))
    known = response_cache.Known(third, at=1_000.0, former=second, former_at=990.0)
    settings.CATALOG_STALE_SECONDS = 30
    for now, served in ((1_000.0, {second, third}), (1_019.9, {second, third}), (1_020.0, set())):
        monkeypatch.setattr("schema.serving.response_cache.time.monotonic", lambda now=now: now)
        assert {version for version in (first, second, third) if known.may_serve(version)} == served


def test_whoever_writes_by_the_api_sees_it_at_once(api, mug, settings, account, enter, variant_id):
    settings.CATALOG_STALE_SECONDS = 60
    CurrencyFactory(code="USD", rate=2)
    staff = account(is_staff=True, is_superuser=True)
    enter(staff)
    asked = 'query @inContext(currency: "USD") { product(slug: "mug") { priceRange { min { amount } } } }'
    assert api(asked)["product"]["priceRange"]["min"]["amount"] == "39.80"
    (currency,) = api("{ currencies { id } }")["currencies"]
    save = "mutation ($id: ID!) { saveCurrency(input: {id: $id, rate: 3}) { userErrors { code } } }"
    assert api(save, id=currency["id"])["saveCurrency"]["userErrors"] == []
    assert api(asked)["product"]["priceRange"]["min"]["amount"] == "59.70"


def test_while_one_makes_the_new_answer_others_get_the_old_one_at_once(api, mug, settings, executed, monkeypatch):
    settings.CATALOG_STALE_SECONDS = 30
    price(api)
    change_price(mug, "24.90")
    now = time.monotonic
    monkeypatch.setattr(
        "schema.serving.response_cache.time.monotonic", lambda: now() + 20
    )  # So that it is asked again.
    making, go_on = Event(), Event()
    execute = execution.execute

    def slow(*given):
        making.set()
        assert go_on.wait(20)
        return execute(*given)

    monkeypatch.setattr(execution, "execute", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(in_thread, lambda: price(api))
        assert making.wait(20)
        try:
            assert price(api) == "19.90"
        finally:
            go_on.set()
        assert first.result(20) == "24.90"
    assert price(api) == "24.90"


def in_thread(call):
    try:
        return call()
    finally:
        connections.close_all()


@pytest.mark.parametrize("round", range(3))
def test_of_many_who_ask_at_once_one_makes_the_answer(api, mug, settings, executed, round):
    settings.CATALOG_STALE_SECONDS = 30
    start = Barrier(8, timeout=30)

    def ask(_):
        start.wait()
        return in_thread(lambda: price(api))

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {"19.90"}
    assert executed == ["Price"]


def test_without_the_database_nothing_is_given_that_nobody_knows_to_be_right(api, mug, executed, monkeypatch):
    price(api)

    def gone(**given):
        raise OperationalError("gone")

    monkeypatch.setattr(catalog_version, "current", gone)
    price(api)
    assert executed == ["Price", "Price"]


# ── by HTTP ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def get(client, mug):
    """`get()`: the answer to a GET of the mug's price."""

    def ask(query=PRICE, client=client, **headers):
        return client.get("/graphql/", {"query": query, "variables": '{"slug": "mug"}'}, headers=headers)

    return ask


def test_what_is_the_same_for_everyone_may_be_kept_by_proxies_and_browsers(get, settings):
    response = get(accept="application/json", origin="https://shop.example")
    assert response["Cache-Control"] == "public, max-age=5, s-maxage=10, stale-while-revalidate=10"
    assert response["ETag"].startswith('W/"')
    assert {name.strip().lower() for name in response["Vary"].split(",")} == {"accept", "origin"}
    assert "Set-Cookie" not in response
    assert not response.cookies


@pytest.mark.parametrize("cookie", ["", "cart=x; refresh=y; sessionid=z"])
def test_no_cookie_is_set_with_it_whatever_the_client_has(get, cookie):
    assert not get(cookie=cookie).cookies
    assert "cookie" not in get(cookie=cookie)["Vary"].lower()


def test_a_client_that_has_it_already_is_told_so_in_no_bytes(get, mug):
    first = get()
    again = get(**{"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again[name] == first[name]
    change_price(mug, "1.00")
    changed = get(**{"if-none-match": first["ETag"]})
    assert (changed.status_code, changed["ETag"] == first["ETag"]) == (200, False)
    change_price(mug, "19.90")
    assert get(**{"if-none-match": first["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "query",
    [
        "{ me { name } }",
        "{ cart { id } }",
        "{ shop { name } me { name } }",
        "{ nothing }",
        "{",
        "{ products(first: 101) { totalCount } }",
    ],
)
def test_nothing_else_is_kept_by_anyone(get, query):
    response = get(query)
    assert response["Cache-Control"] == "private, no-store"
    assert "ETag" not in response


def test_a_post_is_kept_by_nobody_else(api, mug):
    for _ in range(2):
        response = api.post(PRICE, slug="mug")
        assert response["Cache-Control"] == "private, no-store"
        assert "ETag" not in response


# ── by Redis ─────────────────────────────────────────────────────────────────────────────────────────


def another_process():
    """What this one remembers is forgotten, as if another were asked."""
    response_cache.forget()


@pytest.fixture
def kept_in_redis(monkeypatch):
    """The keys by which answers were kept for all processes."""
    keys, keep = [], shared_cache.store

    def noted(**given):
        keys.append(given["key"])
        keep(**given)

    monkeypatch.setattr(shared_cache, "store", noted)
    return keys


if configured.REDIS_URL:

    def test_what_one_process_has_made_another_gives(api, mug, executed):
        price(api)
        another_process()
        assert price(api) == "19.90"
        assert executed == ["Price"]

    def test_what_another_process_has_made_is_given_only_if_it_is_right(api, mug, executed):
        price(api)
        another_process()
        change_price(mug, "24.90")
        assert price(api) == "24.90"
        assert executed == ["Price", "Price"]

    def test_while_another_process_makes_the_answer_it_is_waited_for(api, mug, executed, kept_in_redis):
        price(api)
        (key,) = kept_in_redis
        entry = shared_cache.get(key=key)
        another_process()
        shared_cache.delete(key=key)
        assert shared_cache.claim(key=f"making:{key}", seconds=5)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(in_thread, lambda: price(api))
            time.sleep(0.2)
            assert not waiting.done()
            shared_cache.store(key=key, value=entry, seconds=60)
            assert waiting.result(20) == "19.90"
        assert executed == ["Price"]

    def test_a_process_that_died_over_it_is_not_waited_for_without_end(api, mug, executed, kept_in_redis, monkeypatch):
        monkeypatch.setattr(response_cache, "PATIENCE", 0.2)
        price(api)
        (key,) = kept_in_redis
        another_process()
        shared_cache.delete(key=key)
        shared_cache.claim(key=f"making:{key}", seconds=5)
        assert price(api) == "19.90"
        assert executed == ["Price", "Price"]


@pytest.mark.parametrize("kind", ["refuses", "is silent"])
def test_a_redis_that_is_away_is_gone_without_and_left_alone(api, mug, settings, executed, kind):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "is silent":
            listener.listen(1)
        settings.REDIS_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": settings.REDIS_URL,
                "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
            }
        }
        price(api)
        began = time.monotonic()
        for number in range(50):
            api(f"query N{number} {{ shop {{ name }} }}")
        assert time.monotonic() - began < 5
        assert [price(api) for _ in range(3)] == ["19.90"] * 3
    assert executed.count("Price") == 1
