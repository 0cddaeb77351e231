import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client, TransactionTestCase
from django.test.utils import CaptureQueriesContext
from hypothesis import Phase
from hypothesis import settings as hypothesis

from commercia.settings import s3_storages
from domain.base import outbox, shared_cache
from domain.jobs.handlers import HANDLERS
from domain.payments import payments
from domain.sales import cart as carts
from domain.sales import checkout, orders, rates_cache
from schema.serving import persisted_queries, response_cache
from storefront import models
from storefront.demo import pictures
from tests import factories

# The same examples on each run and machine, and no complaint when a busy one is slow.
hypothesis.register_profile("shop", deadline=None, derandomize=True)
# For tests/mutation: that an example fails is enough, and nobody looks for the simplest one.
hypothesis.register_profile("mutants", hypothesis.get_profile("shop"), phases=[Phase.explicit, Phase.generate])
hypothesis.load_profile("shop")


@dataclass
class Api:
    """A front end: posts operations to the endpoint, keeps cookies as a browser does."""

    client: Client

    def post(self, query: str, operation: str | None = None, **variables: Any) -> HttpResponse:
        body = {"query": query, "operationName": operation, "variables": variables}
        return self.client.post("/graphql/", json.dumps(body), content_type="application/json")

    def upload(self, content: bytes, query: str, **variables: Any) -> HttpResponse:
        """Posts an operation of whose `$input` the `file` is sent beside it."""
        parts = {
            "operations": json.dumps({"query": query, "variables": variables}),
            "map": '{"0": ["variables.input.file"]}',
            "0": SimpleUploadedFile("export.csv", content, "text/csv"),
        }
        return self.client.post("/graphql/", parts, headers={"apollo-require-preflight": "true"})

    def __call__(self, query: str, operation: str | None = None, **variables: Any) -> dict[str, Any]:
        """The `data` of an operation that must not have failed."""
        answer = self.post(query, operation, **variables).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def errors(self, query: str, **variables: Any) -> list[dict[str, Any]]:
        return self.post(query, **variables).json()["errors"]


@pytest.fixture
def api() -> Api:
    return Api(Client(headers={"accept": "application/graphql-response+json"}))


@pytest.fixture
def statements() -> Callable[[], CaptureQueriesContext]:
    """`with statements() as counted:`, then `len(counted)`: SQL statements, transactions' own not counted."""
    return Statements


class Statements(CaptureQueriesContext):
    _OWN = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")

    def __init__(self) -> None:
        super().__init__(connection)

    @property
    def captured_queries(self) -> list[dict[str, Any]]:
        return [query for query in super().captured_queries if not query["sql"].startswith(self._OWN)]


@pytest.fixture
def ready_cart(db) -> Callable[..., models.Cart]:
    """A cart that can be placed, for a user or a guest: `ready_cart({variant: 2}, user=None)`."""

    def make(
        lines: dict[models.ProductVariant, int], user: models.User | None = None, shipping: Any = None
    ) -> models.Cart:
        wanted = [carts.NewLine(variant.pk, quantity) for variant, quantity in lines.items()]
        cart = carts.add_lines(key=carts.CartKey(user=user), lines=wanted, now=factories.NOW).cart
        method = shipping or factories.ShippingMethodFactory()
        return checkout.update(
            key=carts.CartKey(code=cart.code, user=user),
            email="ada@example.com",
            shipping_address=factories.ADDRESS,
            shipping_method_id=method.pk,
            now=factories.NOW,
        ).cart

    return make


@pytest.fixture
def placed_order(ready_cart) -> Callable[..., models.Order]:
    """An order that awaits payment: `placed_order({variant: 2}, user=None)`."""

    def make(
        lines: dict[models.ProductVariant, int], user: models.User | None = None, shipping: Any = None
    ) -> models.Order:
        cart = ready_cart(lines, user, shipping)
        key, total = carts.CartKey(code=cart.code, user=user), factories.totals(cart).total
        return orders.place(key=key, expected_total=total, now=factories.NOW).order

    return make


@pytest.fixture
def paid_order(placed_order) -> Callable[..., models.Order]:
    """An order whose money was taken by TEST: `paid_order({variant: 2}, user=None)`."""

    def make(*given: Any, **named: Any) -> models.Order:
        order = placed_order(*given, **named)
        payments.start(
            order_id=order.pk,
            viewer=None,
            receipt=orders.receipt(order=order),
            provider=models.PaymentProvider.TEST,
            method="ok",
            now=factories.NOW,
        )
        order.refresh_from_db()
        return order

    return make


@pytest.fixture
def delivered(mailoutbox) -> Callable[[], list[EmailMessage]]:
    """Has everything delivered that is owed, and returns the mails that went out by that."""

    def deliver() -> list[EmailMessage]:
        before = len(mailoutbox)
        outbox.relay(handlers=HANDLERS, clock=lambda: factories.NOW.replace(year=2099))
        return list(mailoutbox[before:])

    return deliver


@pytest.fixture
def demo_shop(db, settings, monkeypatch) -> None:
    """The shop of `manage.py demo`, its pictures drawn small: that takes two seconds instead of seven."""
    settings.DEBUG = True
    pictures.backdrop.cache_clear()
    monkeypatch.setattr(pictures, "SIDE", 90)
    call_command("demo")
    pictures.backdrop.cache_clear()
    settings.DEBUG = False


# What the migrations and Django itself put in, and no test changes.
KEPT_TABLES = {"django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}


@pytest.fixture(scope="session", autouse=True)
def _quick_flush():
    """A test whose transactions end leaves rows. Django's flush then truncates all tables and makes permissions anew,
    a tenth of a second on SQLite and more on PostgreSQL; only what has rows is emptied, and permissions stay."""

    def empty(_test):
        tables = connection.introspection.django_table_names(only_existing=False, include_views=False)
        # The others' triggers write to this one.
        last = models.CatalogueVersion._meta.db_table
        names = [*(name for name in tables if name not in {*KEPT_TABLES, last}), last]
        with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")  # noqa: S608 (our own tables)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    """Argon2 is slow on purpose; a test about that sets its hashers itself."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _own_cache(settings):
    """Where there is a Redis, each test has keys of its own."""
    if settings.REDIS_URL:
        settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8)}}


@pytest.fixture(autouse=True)
def _no_replicas(settings):
    """Whatever is configured, tests have one database; those about replicas have some of their own."""
    settings.DATABASE_REPLICAS = []


@pytest.fixture(autouse=True)
def _no_answers_kept(settings):
    """Each test reads what it has written; those about caching have `kept`."""
    settings.CATALOG_CACHE_MEGABYTES = 0
    rates_cache.clear()
    persisted_queries.forget()
    shared_cache.retry_now()


@pytest.fixture
def kept(settings):
    """Answers are kept, in a process that has just started, and each request looks whether they are still right."""
    settings.CATALOG_CACHE_MEGABYTES = 16
    settings.CATALOG_STALE_SECONDS = 0
    response_cache.forget()
    yield
    response_cache.forget()


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    originals = {**settings.STORAGES["originals"], "OPTIONS": {"location": tmp_path / "originals"}}
    settings.STORAGES = {**settings.STORAGES, "originals": originals}
    settings.WHITENOISE_AUTOREFRESH = True  # Else every client would first look for all static files.


@pytest.fixture(scope="session")
def s3_server():
    import botocore.session  # noqa: PLC0415 (S3 takes a second to import)

    from tests.s3 import S3  # noqa: PLC0415

    server = S3()
    with pytest.MonkeyPatch.context() as patched:
        # Every client of every thread would read and parse botocore's files on S3 anew.
        patched.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield server
    server.stop()


@pytest.fixture
def s3(s3_server, settings):
    """The shop's storage is a bucket of its own, `s3.bucket`."""
    s3_server.bucket = s3_server.new_bucket()
    settings.STORAGES = {**settings.STORAGES, **s3_storages(**s3_server.options())}
    return s3_server


class Files:
    """What lies in the shop's storage."""

    @property
    def public(self) -> list[str]:
        return self._names(default_storage, "products")

    @property
    def originals(self) -> list[str]:
        return self._names(storages["originals"], "")

    def read(self, name: str) -> bytes:
        with default_storage.open(f"products/{name}") as file:
            return file.read()

    def original(self, key: str) -> bytes:
        with storages["originals"].open(key) as file:
            return file.read()

    def put(self, key: str, content: bytes) -> None:
        """What a browser's post of the form comes to."""
        storages["originals"].save(key, ContentFile(content))

    @staticmethod
    def _names(storage: Storage, folder: str) -> list[str]:
        try:
            return sorted(storage.listdir(folder)[1])
        except FileNotFoundError:
            return []


@pytest.fixture(params=["disk", "S3"])
def files(request) -> Files:
    """Both storages, in turn."""
    if request.param == "S3":
        request.getfixturevalue("s3")
    return Files()
