"""Whatever changes what the public is shown makes a new version of the catalogue, with its own transaction."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from threading import Barrier

import pytest
from django.apps import apps
from django.db import connection, connections, transaction
from django.db.migrations.state import ProjectState
from django.db.models import F

from domain.catalog import catalog_version, products, stock, version_triggers
from domain.catalog.drafts import ProductDraft, VariantDraft
from domain.sales import cart as carts
from domain.sales import fulfilment, orders
from storefront.models import (
    CatalogueVersion,
    ProductVariant,
    SearchDocument,
    ShippingMethod,
    ShippingZone,
    Stock,
    StockPolicy,
    Tag,
    WeightBand,
)
from tests.factories import (
    NOW,
    CategoryFactory,
    CurrencyFactory,
    ImageFactory,
    ProductFactory,
    ShippingMethodFactory,
    TaxRateFactory,
    VariantFactory,
    VariantPriceFactory,
    totals,
)

# Each write is a transaction of its own, as it is in life.
pytestmark = pytest.mark.django_db(transaction=True)

TABLES = [*version_triggers.PUBLIC_TABLES, *version_triggers.RATE_TABLES]
MODELS = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}


def current(now=NOW):
    return catalog_version.current(now=now)


@pytest.fixture
def raises():
    """`with raises(): …`, `with raises(False): …`: whether what is done makes a new version."""

    class Raises:
        def __init__(self, it_does=True):
            self.it_does = it_does

        def __enter__(self):
            self.before = current()

        def __exit__(self, failed, *_):
            if not failed:
                assert (current() > self.before) is self.it_does

    return Raises


@pytest.fixture
def catalogue():
    """A row in each table of the catalogue, and what the next one is made of."""
    variant = VariantFactory()
    variant.product.categories.add(CategoryFactory())
    variant.product.tags.add(Tag.objects.create(name="linen"))
    ImageFactory(product=variant.product)
    VariantPriceFactory(variant=variant, currency=CurrencyFactory(), price=1)
    TaxRateFactory()
    return {
        "zone": ShippingMethodFactory(bands={1000: "3"}).zone,
        "product": ProductFactory(),
        "category": CategoryFactory(),
        "tag": Tag.objects.create(name="cotton"),
        "variant": variant,
        "currency": CurrencyFactory(code="JPY"),
    }


INSERTS = {
    "storefront_category": lambda it: CategoryFactory(),
    "storefront_tag": lambda it: Tag.objects.create(name="wool"),
    "storefront_product": lambda it: ProductFactory(),
    "storefront_product_categories": lambda it: it["product"].categories.add(it["category"]),
    "storefront_product_tags": lambda it: it["product"].tags.add(it["tag"]),
    "storefront_image": lambda it: ImageFactory(product=it["product"]),
    "storefront_productvariant": lambda it: ProductVariant.objects.create(product=it["product"], sku="NEW", price=1),
    "storefront_searchdocument": lambda it: SearchDocument.objects.create(product=it["product"]),
    "storefront_currency": lambda it: CurrencyFactory(code="CHF"),
    "storefront_variantprice": lambda it: VariantPriceFactory(variant=it["variant"], currency=it["currency"], price=1),
    "storefront_taxrate": lambda it: TaxRateFactory(country_code="AT"),
    "storefront_shippingzone": lambda it: ShippingZone.objects.create(name="Here", countries=["AT"]),
    "storefront_shippingmethod": lambda it: ShippingMethod.objects.create(zone=it["zone"], name="Bicycle", price=1),
    "storefront_weightband": lambda it: WeightBand.objects.create(
        method=it["zone"].methods.get(), up_to_grams=9, price=1
    ),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("write", ["insert", "update", "delete"])
def test_every_write_to_a_table_of_the_catalogue_makes_a_new_version_however_it_is_made(
    catalogue, raises, table, write
):
    model = MODELS[table]
    column = next(field.name for field in model._meta.fields if not field.primary_key)
    writes = {
        "insert": lambda: INSERTS[table](catalogue),
        "update": lambda: model.objects.update(**{column: F(column)}),
        "delete": lambda: model.objects.all()._raw_delete(connection.alias),
    }
    with transaction.atomic():
        with raises():
            writes[write]()
        transaction.set_rollback(True)  # Else what hangs on a deleted row would be asked for.


def test_the_database_has_the_triggers_of_every_table_in_the_list_and_no_others():
    assert version_triggers.tables_with_triggers(connection=connection) == {*TABLES}


def test_triggers_that_are_missing_are_created_and_the_others_stay():
    """As on a database of an earlier release, or where SQLite has rebuilt a table."""
    drop = {
        "postgresql": "DROP TRIGGER catalogue_version ON storefront_tag",
        "sqlite": "DROP TRIGGER catalogue_version_tag_update",
    }
    with connection.cursor() as cursor:
        cursor.execute(drop[connection.vendor])
    assert version_triggers.tables_with_triggers(connection=connection) == {*TABLES} - {"storefront_tag"}
    with connection.schema_editor() as editor:
        for operation in import_module("storefront.migrations.0003_catalogue_triggers").Migration.operations:
            operation.database_forwards("storefront", editor, ProjectState(), ProjectState())
    assert version_triggers.tables_with_triggers(connection=connection) == {*TABLES}


def fail():
    ProductFactory()
    raise ZeroDivisionError


def test_what_is_rolled_back_makes_none(raises):
    with raises(it_does=False), pytest.raises(ZeroDivisionError), transaction.atomic():
        fail()


def test_a_savepoint_that_is_rolled_back_does_not_forget_what_came_after_it(raises):
    with raises(), transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            fail()
        ProductFactory()


def test_saving_what_is_the_same_makes_none(raises):
    draft = ProductDraft(slug="tee", title="Tee", variants=(VariantDraft("TEE", Decimal(10), on_hand=5),))
    with raises():
        products.save(draft=draft, actor=None, now=NOW)
    with raises(it_does=False):
        products.save(draft=draft, actor=None, now=NOW)


def test_a_product_that_was_scheduled_makes_a_new_version_by_appearing():
    at_nine = NOW + timedelta(hours=9)
    ProductFactory(published_at=at_nine)
    before = current(at_nine - timedelta(seconds=1))
    assert before == current(NOW)
    assert current(at_nine) > before


# ── stock ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def place(ready_cart):
    """`place({variant: 2})`: an order, once its cart is there."""
    shipping = ShippingMethodFactory()

    def buy(lines):
        cart = ready_cart(lines, shipping=shipping)
        key, total = carts.CartKey(code=cart.code), totals(cart).total
        return lambda: orders.place(key=key, expected_total=total, now=NOW).order

    return buy


@pytest.mark.parametrize(
    ("on_hand", "bought", "told"),
    [(100, 1, False), (5, 1, False), (4, 1, True), (3, 1, False), (3, 3, True), (10, 10, True)],
)
def test_a_sale_makes_a_new_version_only_if_the_public_is_told_something_else(raises, place, on_hand, bought, told):
    """LOW_STOCK is three or fewer."""
    order = place({VariantFactory(stock__on_hand=on_hand): bought, VariantFactory(stock__on_hand=50): 2})
    with raises(told):
        placed = order()
    with raises(told):
        orders.cancel(order_id=placed.pk, viewer=None, receipt=orders.receipt(order=placed), now=NOW)


def test_what_is_sold_on_order_is_never_out_of_stock(raises, place):
    order = place({VariantFactory(stock__on_hand=0, stock__policy=StockPolicy.BACKORDER): 1})
    with raises(it_does=False):
        order()


def test_shipping_what_was_reserved_tells_the_public_nothing(raises, paid_order):
    order = paid_order({VariantFactory(stock__on_hand=5): 2})
    with raises(it_does=False):
        fulfilment.ship(order_id=order.pk, actor=None, carrier="DHL", tracking_number="1", now=NOW)


@pytest.mark.parametrize(
    ("policy", "on_hand", "told"),
    [
        (StockPolicy.DENY, 11, False),
        (StockPolicy.DENY, 3, True),
        (StockPolicy.DENY, 0, True),
        (StockPolicy.BACKORDER, 10, False),
        (StockPolicy.BACKORDER, 0, True),
    ],
)
def test_a_count_makes_a_new_version_only_if_the_public_is_told_something_else(raises, policy, on_hand, told):
    variant = VariantFactory(stock__on_hand=10)
    with raises(told), transaction.atomic():
        stock.record_count(variants={variant: (policy, on_hand)}, actor=None, now=NOW)


def test_goods_that_come_back_are_told_of(raises):
    variant = VariantFactory(stock__on_hand=0)
    with raises(), transaction.atomic():
        stock.record_count(variants={variant: (StockPolicy.DENY, 5)}, actor=None, now=NOW)


# ── at once ──────────────────────────────────────────────────────────────────────────────────────────


def together(*writes):
    start = Barrier(len(writes), timeout=30)

    def run(write):
        try:
            start.wait()
            write()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(writes)) as threads:
        list(threads.map(run, writes))


def test_of_many_writers_at_once_each_is_counted():
    variants = [VariantFactory() for _ in range(16)]
    before = current()

    def write(variant):
        for price in range(5):
            ProductVariant.objects.filter(pk=variant.pk).update(price=price)

    together(*(lambda variant=variant: write(variant) for variant in variants))
    assert current().changes == before.changes + 16 * 5


if connection.vendor == "postgresql":

    def test_writers_do_not_wait_for_each_other_and_whoever_commits_last_makes_the_last_version():
        """The one that began first commits last: were the version the highest key, it would be missed."""
        early, late = VariantFactory(), VariantFactory()
        seen = []

        def second():
            ProductVariant.objects.filter(pk=late.pk).update(price=2)
            seen.append(current())

        with transaction.atomic():
            ProductVariant.objects.filter(pk=early.pk).update(price=1)
            together(second)
        assert current() > seen[0]
        assert 1 <= CatalogueVersion.objects.count() <= 3

    def test_sales_that_cross_a_threshold_at_once_do_not_wait_for_each_other():
        first, second = VariantFactory(stock__on_hand=4), VariantFactory(stock__on_hand=4)

        def count(variant):
            with transaction.atomic():
                stock.record_count(variants={variant: (StockPolicy.DENY, 0)}, actor=None, now=NOW)

        before = current()
        with transaction.atomic():
            stock.record_count(variants={first: (StockPolicy.DENY, 0)}, actor=None, now=NOW)
            together(lambda: count(second))
            assert Stock.objects.get(variant=second).on_hand == 0
        assert current().changes == before.changes + 2
