"""What public fields read: only tables whose writes make a new version of the catalogue, in as many statements for one
row as for several. Both are held for every field of the schema, so that a new one needs no test of its own."""

import json
from types import SimpleNamespace

import pytest
import strawberry
import strawberry_django
from django.test import RequestFactory

from domain.base.money import Exchange
from domain.catalog import products
from domain.catalog.version_triggers import DERIVED_FROM, PUBLIC_TABLES, WITHOUT_TRIGGER
from schema.base import ids
from schema.base.context import Context
from schema.base.public import PUBLIC
from schema.root import graphql_schema
from schema.serving import execution
from storefront import models
from tests import public_reads
from tests.factories import (
    CategoryFactory,
    CurrencyFactory,
    ImageFactory,
    ProductFactory,
    VariantFactory,
    VariantPriceFactory,
)

pytestmark = pytest.mark.django_db
SCHEMA = graphql_schema


def grow(start, stop):
    """Products with these numbers, and so many of everything for the first: each of its own, so that none is shared."""
    first = None
    for number in range(start, stop):
        root = CategoryFactory(slug=f"root-{number}")
        leaf = CategoryFactory(slug=f"leaf-{number}", parent=CategoryFactory(parent=root))
        product = ProductFactory(
            title=f"Linen shirt {number}", slug=f"shirt-{number}", vendor="Mill", option1_name="Size"
        )
        first = first or models.Product.objects.get(slug="shirt-0")
        for each in {product, first}:
            tag = models.Tag.objects.create(name=f"tag-{number}-{each.slug}")
            each.tags.add(tag)
            each.categories.add(root, leaf)
            image = ImageFactory(product=each, alt="A shirt")
            variant = VariantFactory(
                product=each,
                sku=f"SHIRT-{number}-{each.slug}",
                option1=str(number),
                price=20,
                compare_at_price=30,
                image=image,
                weight_grams=200,
                stock__on_hand=9,
            )
            VariantPriceFactory(variant=variant, currency_id="USD", price=25, compare_at_price=35)
            products.refresh_derived(product=each)


@pytest.fixture
def shop():
    CurrencyFactory(code="USD", rate="1.1")
    grow(0, 1)


def samples():
    def literal(value):
        return json.dumps(value)

    product = models.Product.objects.get(slug="shirt-0")
    leaf = models.Category.objects.get(slug="leaf-0")
    cursor = run_plainly("{ products(first: 1, sort: NEWEST) { pageInfo { endCursor } } }")
    after = literal(cursor["products"]["pageInfo"]["endCursor"])
    category_id = literal(ids.encode("Category", leaf.pk))
    product_id = literal(ids.encode("Product", product.pk))
    return {
        "Query.product()": 'slug: "shirt-0"',
        "Query.product.slug": '"shirt-0"',
        "Query.product.id": product_id,
        "Query.category()": 'slug: "leaf-0"',
        "Query.category.slug": '"leaf-0"',
        "Query.category.id": category_id,
        "Query.products.first": "10",
        "Query.products.last": "10",
        "Query.products.after": after,
        "Query.products.before": after,
        "Query.products.search": '"shirt"',
        "ProductFilter.categoryId": category_id,
        "ProductFilter.categorySlug": '"root-0"',
        "ProductFilter.vendor": '["Mill"]',
        "ProductFilter.tags": '["tag-0-shirt-0"]',
        "ProductFilter.productType": '["Shirt"]',
        "ProductFilter.available": "true",
        "ProductFilter.ids": f"[{product_id}]",
        "DecimalRange.gte": '"1"',
        "DecimalRange.lte": '"100"',
        "OptionFilter.name": '"Size"',
        "OptionFilter.values": '["0"]',
        "Product.variant.sku": '"SHIRT-0-shirt-0"',
        "Shop.addressRules.countryCode": '"US"',
        "Shop.addressRules.region": '"CA"',
    }


def new_context():
    return Context(request=RequestFactory().get("/graphql/"), trusts_cookies=False)


def run_plainly(document):
    prepared = execution.prepare(document, None, pay=lambda _: None)
    answer = execution.execute(prepared, {}, new_context())
    found = json.loads(answer.content)
    assert "errors" not in found, (document, found["errors"])
    return found["data"]


def run_abroad(document):
    return run_plainly(f'query @inContext(currency: "USD") {document}')


@pytest.fixture(params=[run_plainly, run_abroad], ids=["in the shop's currency", "in another"])
def run(request):
    return request.param


@pytest.fixture(params=["compiled", "executed"])
def both_ways(request, settings):
    settings.COMPILED_READS = request.param == "compiled"


def undeclared(tables):
    """Those among tables by field which neither have triggers nor a reason to do without."""
    known = {*PUBLIC_TABLES, *WITHOUT_TRIGGER, *DERIVED_FROM}
    return {table: fields for table, fields in tables.items() if table not in known}


# ── the schema ───────────────────────────────────────────────────────────────────────────────────────


def test_public_fields_read_only_tables_with_a_trigger_in_as_many_statements_for_several_rows(shop, both_ways, run):
    few = public_reads.reads(SCHEMA, samples(), run)
    grow(1, 4)
    many = public_reads.reads(SCHEMA, samples(), run)
    wrong = {
        "fields without a value: add rows to `grow`": public_reads.never_seen(many),
        "tables without a trigger: see docs/caching.md": undeclared(public_reads.tables_by_field(many)),
        "documents that take statements for each row": public_reads.growing(few, many),
    }
    assert not any(wrong.values()), wrong


def test_the_list_of_public_tables_has_what_public_fields_read_and_no_more(shop):
    misspelt = {**samples(), "Query.products.search": '"shrit"'}
    tables = public_reads.tables_by_field(public_reads.reads(SCHEMA, misspelt, run_abroad))
    assert {DERIVED_FROM.get(table, table) for table in tables} == {*PUBLIC_TABLES, *WITHOUT_TRIGGER}


def info(exchange):
    context = new_context()
    context.exchange = exchange
    return SimpleNamespace(context=context)


INFOS = [info(Exchange("EUR")), info(Exchange("USD"))]


def test_the_tables_that_public_types_and_their_hints_name_have_triggers(shop):
    tables = public_reads.declared_tables(SCHEMA, samples(), INFOS)
    assert undeclared(dict.fromkeys(tables)) == {}
    assert "storefront_product_tags" in tables


# ── that it finds something ──────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Product)
class Product:
    title: str

    @strawberry_django.field(only=["pk"])
    def order_count(self) -> int:
        return models.OrderLine.objects.filter(variant__product=self.pk).count()

    @strawberry_django.field(only=["pk"], prefetch_related=["discounts"])
    def is_wanted(self) -> bool:
        return True


@strawberry.type
class Query:
    @strawberry.field(graphql_type=list[Product], metadata=PUBLIC)
    def products(self) -> list[models.Product]:
        return list(models.Product.objects.all())


CARELESS = strawberry.Schema(Query)


def run_carelessly(document):
    found = CARELESS.execute_sync(document)
    assert not found.errors
    return found.data


def test_a_field_that_reads_a_table_without_a_trigger_or_a_statement_a_row_is_found(shop):
    few = public_reads.reads(CARELESS._schema, {}, run_carelessly)
    grow(1, 3)
    many = public_reads.reads(CARELESS._schema, {}, run_carelessly)
    assert undeclared(public_reads.tables_by_field(many)) == {"storefront_orderline": {"Product.orderCount"}}
    assert public_reads.growing(few, many) == {"Product.orderCount: { products { it: orderCount } }": (2, 4)}
    declared = public_reads.declared_tables(CARELESS._schema, {}, INFOS)
    assert set(undeclared(dict.fromkeys(declared))) == {"storefront_discount", "storefront_discount_products"}
