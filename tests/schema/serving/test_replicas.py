"""Which database answers. A replica is a copy of the test's own, of the time when it last followed: what was written
since tells the two apart."""

import inspect
import json
import time

import psycopg
import pytest
from django.core import signing
from django.db import connection, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from domain.base import replicas
from domain.catalog import catalog_version
from schema.base import ids
from schema.serving import execution, response_cache
from storefront import models
from tests.commercia.test_workers import free_port
from tests.factories import CategoryFactory, CurrencyFactory, ImageFactory, VariantFactory

# Each write is a transaction of its own, as it is in life.
pytestmark = pytest.mark.django_db(transaction=True)

TITLE = "query Title { products { nodes { title } } }"
EVERYTHING = """
fragment Everything on Product {
  title tags availability options { name values } images { url } featuredImage { url }
  categories { name ancestors { name } } priceRange { min { amount } } compareAtPrice { amount }
  variants { title availability image { url } selectedOptions { name } price { amount } }
}
query ($words: String) @inContext(currency: "USD") {
  shop { name currencies } categories { name children { name } } category(slug: "cups") { name }
  product(slug: "mug") { ...Everything }
  products(search: $words, filter: {available: true, categorySlug: "cups", tags: ["clay"]}) {
    totalCount facets { name values { value } } nodes { ...Everything }
  }
}"""


class Replica:
    def __init__(self, alias):
        self._alias = alias
        self._own = connections.databases["default"]
        self._name = f"{self._own['NAME']}_{alias}"

    def create(self):
        self.drop()
        connections.close_all()  # Nobody may look while a database is copied.
        self._administer(f'CREATE DATABASE "{self._name}" TEMPLATE "{self._own["NAME"]}"')

    def drop(self):
        self._administer(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def __enter__(self):
        connections.databases[self._alias] = {**self._own, "NAME": self._name}
        return self

    def __exit__(self, *_):
        self.start()
        connections[self._alias].close()
        del connections[self._alias], connections.databases[self._alias]

    def follow(self):
        """Has all that the primary has now, and nothing of what comes. Its own triggers are silent, as a replica's."""
        tables = connection.introspection.table_names()
        with self._connected(self._own["NAME"]) as primary, self._connected(self._name) as own:
            own.execute("SET session_replication_role = replica")
            for table in tables:
                own.execute(f'DELETE FROM "{table}"')  # noqa: S608 (a table of ours)
                reading = primary.cursor().copy(f'COPY "{table}" TO STDOUT')
                with reading as rows, own.cursor().copy(f'COPY "{table}" FROM STDIN') as writing:
                    for row in rows:
                        writing.write(row)

    def start(self):
        self._administer(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')

    def stop(self):
        self._administer(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
        self._administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", self._name)

    def _administer(self, sql, *params):
        with self._connected("postgres", autocommit=True) as server:
            server.execute(sql, params)

    def _connected(self, name, **how):
        given = {part.lower(): self._own[part] for part in ("USER", "PASSWORD", "HOST", "PORT") if self._own[part]}
        return psycopg.connect(dbname=name, **given, **how)


@pytest.fixture(scope="module")
def databases(django_db_setup):
    made = [Replica("copy1"), Replica("copy2")]
    for each in made:
        each.create()
    yield made
    for each in made:
        each.drop()


@pytest.fixture
def two(databases, settings, monkeypatch):
    """As if DATABASE_REPLICA_URLS named them: `copy1`, `copy2`."""
    monkeypatch.setattr(replicas, "unavailable_until", {})
    settings.DATABASE_ROUTERS = ["domain.base.replicas.Router"]
    settings.DATABASE_REPLICAS = ["copy1", "copy2"]
    # Django keeps a test from databases that it has not named, and so from those that were not there when it began.
    guarded = inspect.getclosurevars(BaseDatabaseWrapper.ensure_connection).nonlocals
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", guarded["real_ensure_connection"])
    first, second = databases
    with first, second:
        yield first, second


@pytest.fixture
def one(two, settings):
    settings.DATABASE_REPLICAS = ["copy1"]
    return two[0]


@pytest.fixture
def mug():
    return VariantFactory(product__slug="mug", product__title="Old")


@pytest.fixture
def replica(one, mug):
    """It knows the mug as Old; the primary has New."""
    one.follow()
    rename(mug, "New")
    return one


@pytest.fixture
def connected(monkeypatch):
    """The names of the databases that were connected to."""
    names = []
    connect = DatabaseWrapper.get_new_connection

    def noted(self, given):
        names.append(self.alias)
        return connect(self, given)

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", noted)
    return names


def rename(variant, title):
    models.Product.objects.filter(pk=variant.product_id).update(title=title)


def title(api):
    (product,) = api(TITLE)["products"]["nodes"]
    return product["title"]


def write(api, variant):
    """A mutation of a buyer's."""
    add = """mutation($id: ID!) { addToCart(input: {lines: [{variantId: $id}]}) {
        cart { lines { variant { product { title } } } } } }"""
    (line,) = api(add, id=ids.encode("ProductVariant", variant.pk))["addToCart"]["cart"]["lines"]
    return line["variant"]["product"]["title"]


if connection.vendor == "postgresql":
    # ── who is asked ─────────────────────────────────────────────────────────────────────────────────

    def test_the_public_catalogue_is_read_from_a_replica(api, replica):
        assert title(api) == "Old"

    @pytest.mark.parametrize("how", ["compiled", "executed"])
    @pytest.mark.parametrize("words", [None, "old", "oldd"], ids=["browsed", "searched", "misspelt"])
    def test_nothing_of_it_is_asked_of_the_primary(api, one, mug, statements, settings, how, words):
        mug.product.categories.add(CategoryFactory(slug="cups", parent=CategoryFactory()))
        mug.product.tags.add(models.Tag.objects.create(name="clay"))
        ImageFactory(product=mug.product)
        CurrencyFactory()
        one.follow()
        rename(mug, "New")
        settings.COMPILED_READS = how == "compiled"
        with statements() as of_the_primary, CaptureQueriesContext(connections["copy1"]) as of_the_replica:
            found = api(EVERYTHING, words=words)
        assert [product["title"] for product in found["products"]["nodes"]] == [found["product"]["title"]] == ["Old"]
        assert len(of_the_primary) == 0
        assert len(of_the_replica) > 10

    def test_what_was_compiled_for_one_database_is_read_from_any(api, replica, settings):
        assert title(api) == "Old"
        settings.DATABASE_REPLICAS = []
        assert title(api) == "New"
        settings.DATABASE_REPLICAS = ["copy1"]
        assert title(api) == "Old"

    @pytest.mark.parametrize("also", ["me { name }", "cart { id }"])
    def test_a_query_that_is_somebodys_reads_the_primary(api, replica, also):
        assert api(f"{{ {also} products {{ nodes {{ title }} }} }}")["products"]["nodes"] == [{"title": "New"}]

    def test_replicas_take_turns(api, two, mug):
        first, second = two
        first.follow()
        rename(mug, "New")
        second.follow()
        asked = [title(api) for _ in range(4)]
        assert sorted(asked[:2]) == sorted(asked[2:]) == ["New", "Old"]

    def test_a_transaction_reads_what_it_writes(replica, mug):
        def found():
            with transaction.atomic():
                return replicas.current(), models.Product.objects.get().title, replicas.connection().alias

        assert replicas.read(query=found) == ("default", "New", "default")
        assert replicas.read(query=replicas.current) == "copy1"

    def test_nothing_is_written_to_a_replica(replica):
        product = replicas.read(query=models.Product.objects.get)
        assert product.title == "Old"
        assert replicas.read(query=lambda: router.db_for_write(models.Product, instance=product)) == "default"
        assert router.allow_migrate("default", "storefront") is True
        assert router.allow_migrate("copy1", "storefront") is False

    # ── who has just written ─────────────────────────────────────────────────────────────────────────

    def test_a_mutation_reads_the_primary_and_so_does_its_browser_for_a_while(api, replica, mug, monkeypatch):
        assert write(api, mug) == "New"
        assert title(api) == "New"
        assert title(api) == "New"
        later = time.time() + 11
        monkeypatch.setattr(signing.time, "time", lambda: later)
        assert title(api) == "Old"

    def test_another_browser_reads_a_replica_and_so_does_one_that_keeps_no_cookies(api, replica, mug):
        write(api, mug)
        asked = json.dumps({"query": TITLE})
        answer = Client().post("/graphql/", asked, content_type="application/json").json()
        assert answer["data"]["products"]["nodes"] == [{"title": "Old"}]

    def test_it_is_known_by_a_cookie_that_no_script_reads(api, replica, mug, settings):
        settings.HTTPS, settings.DATABASE_REPLICA_LAG_SECONDS = True, 7
        write(api, mug)
        cookie = api.client.cookies["wrote"]
        assert {name: cookie[name] for name in ("max-age", "path", "httponly", "samesite", "secure")} == {
            "max-age": 7,
            "path": "/graphql/",
            "httponly": True,
            "samesite": "Lax",
            "secure": True,
        }

    def test_the_cookie_is_ours_alone_to_make(api, replica):
        api.client.cookies["wrote"] = "1"
        assert title(api) == "Old"

    def test_by_get_it_counts_without_a_header_and_the_answer_is_for_everyone_all_the_same(api, replica, mug, kept):
        write(api, mug)
        answer = api.client.get("/graphql/", {"query": TITLE})
        assert answer.json()["data"]["products"]["nodes"] == [{"title": "New"}]
        assert answer["Cache-Control"].startswith("public")
        assert not answer.cookies

    def test_queries_and_what_was_refused_set_none(api, replica):
        api("{ me { name } }")
        title(api)
        api.errors("mutation { nothing }")
        assert not api.client.cookies

    # ── a replica that is away ───────────────────────────────────────────────────────────────────────

    @pytest.fixture
    def away(replica):
        """Another is listed where nobody listens."""
        connections["copy1"].close()
        settings = connections["copy1"].settings_dict
        port, settings["PORT"] = settings["PORT"], free_port()
        yield
        settings["PORT"] = port

    def test_one_that_is_away_costs_a_moment_and_is_left_alone(api, away, connected, caplog):
        began = time.monotonic()
        assert [title(api) for _ in range(5)] == ["New"] * 5
        assert time.monotonic() - began < 1
        assert connected.count("copy1") == 1
        assert [each.getMessage() for each in caplog.records if each.name == "domain.base.replicas"] == [
            "Database copy1 does not answer. Not reading from it for 5 s."
        ]
        replicas.unavailable_until.clear()
        assert title(api) == "New"
        assert connected.count("copy1") == 2

    @pytest.mark.usefixtures("kept")
    def test_answers_are_kept_while_it_is_away(api, away, connected, mug):
        assert [title(api) for _ in range(3)] == ["New"] * 3
        rename(mug, "Newer")
        assert title(api) == "Newer"
        assert connected.count("copy1") == 1

    def test_the_shop_is_ready_without_it(api, client, away):
        assert client.get("/readyz").status_code == 200

    def test_one_that_is_back_is_read_again(api, replica):
        replica.stop()
        assert title(api) == "New"
        replica.start()
        assert title(api) == "New"
        replicas.unavailable_until.clear()  # As time does.
        assert title(api) == "Old"

    def test_while_one_is_away_the_others_answer(api, two, mug):
        first, second = two
        second.follow()
        first.stop()
        rename(mug, "New")
        assert sorted(title(api) for _ in range(2)) == ["New", "Old"]
        assert [title(api) for _ in range(4)] == ["Old"] * 4

    @pytest.mark.parametrize("how", ["compiled", "executed"])
    @pytest.mark.usefixtures("kept")
    def test_one_that_dies_over_an_answer_leaves_a_whole_one(api, replica, monkeypatch, settings, how):
        """Between its version and its answer."""
        execute = execution.execute

        def dying(*given):
            if not replicas.unavailable_until and replicas.current() == "copy1":
                replica.stop()
            return execute(*given)

        monkeypatch.setattr(execution, "execute", dying)
        settings.COMPILED_READS = how == "compiled"
        assert title(api) == "New"
        assert title(api) == "New"
        assert set(replicas.unavailable_until) == {"copy1"}

    @pytest.mark.parametrize("how", ["compiled", "executed"])
    def test_one_that_gives_up_a_statement_is_asked_the_next(api, replica, settings, how):
        """As of a release whose migration it has not seen, or when its primary removed what was being read."""
        settings.COMPILED_READS = how == "compiled"
        with connections["copy1"].cursor() as cursor:
            cursor.execute("ALTER TABLE storefront_product RENAME TO storefront_thing")
            try:
                assert title(api) == "New"
            finally:
                cursor.execute("ALTER TABLE storefront_thing RENAME TO storefront_product")
        assert title(api) == "Old"

    def test_an_answer_is_not_half_of_one_and_half_of_the_other(api, one, mug):
        category = CategoryFactory(name="Old")
        one.follow()
        rename(mug, "New")
        models.Category.objects.filter(pk=category.pk).update(name="New")
        with connections["copy1"].cursor() as cursor:
            cursor.execute("ALTER TABLE storefront_product RENAME TO storefront_thing")
            try:
                found = api("{ categories { name } products { nodes { title } } }")
            finally:
                cursor.execute("ALTER TABLE storefront_thing RENAME TO storefront_product")
        assert found == {"categories": [{"name": "New"}], "products": {"nodes": [{"title": "New"}]}}

    def test_whoever_has_turned_to_the_primary_stays_there(replica):
        def found():
            yield replicas.current()
            replicas.unavailable_until["copy1"] = time.monotonic() + 60
            yield replicas.current()
            replicas.unavailable_until.clear()
            yield replicas.current()

        assert replicas.read(query=lambda: list(found())) == ["copy1", "default", "default"]

    # ── what is kept ─────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.usefixtures("kept")
    def test_an_answer_has_the_version_of_the_database_that_it_was_read_from(api, replica, mug):
        """One that lags never fills in an old answer for a new version, so whoever follows gets the new one."""
        version = replicas.read(query=lambda: catalog_version.current(now=timezone.now(), database=replicas.current()))
        assert title(api) == "Old"
        (entry,) = response_cache.memory.values()
        assert entry.version == version < catalog_version.current(now=timezone.now())
        write(api, mug)
        assert title(api) == "New"
        api.client.cookies.clear()
        assert title(api) == "New"  # What is newer is good for those who ask a replica, too.
        response_cache.forget()
        rename(mug, "Newer")
        replica.follow()
        rename(mug, "Newest")
        assert title(api) == "Newer"
        replica.follow()
        assert title(api) == "Newest"

    @pytest.mark.usefixtures("kept")
    def test_what_is_kept_by_one_that_is_behind_is_not_given_by_one_that_is_not(api, two, mug):
        first, second = two
        first.follow()
        rename(mug, "New")
        second.follow()
        asked = [title(api) for _ in range(6)]
        assert asked[asked.index("New") :] == ["New"] * (6 - asked.index("New"))
        assert asked.index("New") <= 1

    @pytest.mark.usefixtures("kept")
    def test_whoever_has_just_written_believes_no_version_that_was_read_before(api, replica, mug, settings):
        settings.CATALOG_STALE_SECONDS = 60
        write(api, mug)
        assert title(api) == "New"
        rename(mug, "Newer")  # By a process that has told nobody.
        assert title(api) == "Newer"

    @pytest.mark.usefixtures("kept")
    def test_the_version_of_a_replica_is_never_asked_of_the_primary(api, replica, settings, monkeypatch):
        """Another thread finds it away when this one is about to ask: what is read from then on is the primary's."""
        settings.CATALOG_STALE_SECONDS = 60
        ask = catalog_version.current

        def asked(**given):
            replicas.unavailable_until["copy1"] = time.monotonic() + 60
            return ask(**given)

        with monkeypatch.context() as patched:
            patched.setattr(catalog_version, "current", asked)
            assert title(api) == "New"
        replicas.unavailable_until.clear()
        assert api("query Other { products { nodes { title } } }")["products"]["nodes"] == [{"title": "Old"}]
        for entry in response_cache.memory.values():
            assert entry.version < ask(now=timezone.now())


def test_without_replicas_nobody_is_told_that_they_have_written(api, mug):
    write(api, mug)
    assert set(api.client.cookies) == {"cart"}
