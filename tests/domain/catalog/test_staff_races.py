"""Staff who write the same goods at once: real threads with connections of their own, on both databases."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Barrier

import pytest
from django.db import connections

from domain.base import crud
from domain.base.change_log import StaleVersion
from domain.base.errors import DomainError, InvalidInput, NotFound
from domain.catalog import categories, products, stock
from domain.catalog.drafts import ProductDraft, VariantDraft
from domain.catalog.stock import InsufficientStock
from domain.payments import check_books
from domain.sales import cart as carts
from domain.sales import orders
from storefront.models import Category, Change, Product, ProductVariant, Stock, StockAdjustment, StockMovement
from tests.factories import NOW, CategoryFactory, ProductFactory, ShippingMethodFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db(transaction=True)


def together(*calls):
    """Makes the calls in as many threads, released at one moment; what each returned, or was refused with."""
    start = Barrier(len(calls), timeout=30)

    def outcome(call):
        try:
            return call()
        except DomainError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(start.parties, initializer=start.wait) as threads:
        return list(threads.map(outcome, calls))


def kinds(outcomes):
    return Counter(type(each) for each in outcomes)


def update(product, version=None, **parts):
    return partial(
        products.update,
        product_id=product.pk,
        version=version,
        draft=ProductDraft(**parts),
        actor=None,
        now=NOW,
    )


def adjusting(variant, delta, request_id):
    lines = [stock.Adjustment(variant.pk, delta)]
    return partial(stock.adjust, request_id=request_id, lines=lines, actor=None, now=NOW)


# ── the same product ─────────────────────────────────────────────────────────────────────────────────


def test_of_many_who_save_what_they_have_seen_one_wins_and_the_others_get_the_row_as_it_is():
    product = VariantFactory().product
    outcomes = together(*[update(product, 1, title=f"Title {number}") for number in range(10)])
    assert kinds(outcomes) == {Product: 1, StaleVersion: 9}
    (won,) = (outcome for outcome in outcomes if isinstance(outcome, Product))
    lost = [outcome.current for outcome in outcomes if isinstance(outcome, StaleVersion)]
    assert {(row.title, row.version) for row in lost} == {(won.title, 2)}
    assert Product.objects.get().title == won.title
    assert Change.objects.count() == 1


def test_those_who_do_not_mind_lose_nothing_of_what_the_others_change():
    product = VariantFactory().product
    outcomes = together(
        *[
            update(product, variants=(VariantDraft(f"V-{n}", Decimal(n), options=(str(n),), on_hand=n),))
            for n in range(8)
        ],
        update(product, title="Another"),
        update(product, vendor="Northfold"),
    )
    assert kinds(outcomes) == {Product: 10}
    product.refresh_from_db()
    assert (product.title, product.vendor, product.version) == ("Another", "Northfold", 11)
    assert (product.variants.count(), product.min_price, product.max_price) == (9, Decimal(0), Decimal("19.90"))


def test_of_many_who_make_the_same_product_one_makes_it():
    draft = ProductDraft(title="Mug", variants=(VariantDraft("MUG", Decimal(9), on_hand=5),))
    outcomes = together(*[partial(products.create, draft=draft, actor=None, now=NOW)] * 10)
    assert kinds(outcomes) == {Product: 1, InvalidInput: 9}
    assert (Product.objects.count(), Stock.objects.get().on_hand) == (1, 5)


def test_of_two_products_that_take_the_same_sku_one_gets_it_and_the_other_is_not_half_written():
    for number in range(10):
        one, other = ProductFactory(), ProductFactory()
        draft = (VariantDraft(f"SKU OF {number}", Decimal(9)),)
        outcomes = together(*[update(each, title="New", variants=draft) for each in (one, other)])
        assert kinds(outcomes) == {Product: 1, InvalidInput: 1}
        assert ProductVariant.objects.filter(sku=f"SKU OF {number}").count() == 1
        assert Product.objects.filter(pk__in=[one.pk, other.pk], title="New").count() == 1


def test_a_product_deleted_while_it_is_put_into_a_cart_is_gone_or_in_it():
    delete = partial(products.delete, actor=None, now=NOW)
    for _ in range(10):
        variant = VariantFactory()
        add = partial(carts.add_lines, key=carts.CartKey(), lines=[carts.NewLine(variant.pk, 1)], now=NOW)
        deleted, added = together(partial(delete, product_id=variant.product_id), add)
        is_there = Product.objects.filter(pk=variant.product_id).exists()
        assert is_there == isinstance(deleted, crud.InUse) == (not isinstance(added, DomainError))


def test_rows_of_the_terms_that_many_change_are_changed_by_one():
    method = ShippingMethodFactory()
    save = partial(crud.save, rows=type(method).objects.all(), key=method.pk, version=1, actor=None, now=NOW)
    outcomes = together(*[partial(save, values={"name": f"Post {number}"}) for number in range(8)])
    assert kinds(outcomes) == {type(method): 1, StaleVersion: 7}


# ── the tree ─────────────────────────────────────────────────────────────────────────────────────────


def test_two_categories_that_are_put_below_each_other_at_once_make_no_loop():
    for _ in range(10):
        one, other = CategoryFactory(), CategoryFactory()
        move = partial(categories.save, actor=None, now=NOW)
        outcomes = together(
            partial(move, key=one.pk, values={"parent_id": other.pk}),
            partial(move, key=other.pk, values={"parent_id": one.pk}),
        )
        assert kinds(outcomes) == {Category: 1, InvalidInput: 1}


def test_a_category_deleted_while_a_product_is_hung_on_it_is_gone_or_in_use():
    for _ in range(10):
        category, product = CategoryFactory(), VariantFactory().product
        deleted, hung = together(
            partial(categories.delete, key=category.pk, actor=None, now=NOW), update(product, categories=(category.pk,))
        )
        is_there = Category.objects.filter(pk=category.pk).exists()
        assert is_there == isinstance(deleted, crud.InUse) == isinstance(hung, Product)
        assert isinstance(hung, Product | NotFound | InvalidInput)


# ── stock ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_50_clerks_adjust_at_once_sums_exactly_and_the_ledger_replays_to_it():
    variant = VariantFactory(stock__on_hand=0)
    deltas = [number % 7 + 1 for number in range(50)]
    outcomes = together(*[adjusting(variant, delta, f"clerk {n}") for n, delta in enumerate(deltas)])
    assert kinds(outcomes) == {stock.Adjusted: 50}
    assert Stock.objects.get().on_hand == sum(deltas)
    moves = StockMovement.objects.values_list("on_hand_change", flat=True)
    assert Counter(moves) == Counter(deltas)
    assert check_books.breaches() == []


def test_last_units_that_many_clerks_take_are_taken_once():
    variant = VariantFactory(stock__on_hand=0)
    adjusting(variant, 20, "delivery")()
    outcomes = together(*[adjusting(variant, -1, f"clerk {number}") for number in range(50)])
    assert kinds(outcomes) == {stock.Adjusted: 20, InsufficientStock: 30}
    assert Stock.objects.get().on_hand == 0
    assert check_books.breaches() == []


def test_one_adjustment_sent_many_times_at_once_is_done_once():
    variant = VariantFactory(stock__on_hand=0)
    outcomes = together(*[adjusting(variant, 5, "the same")] * 20)
    assert Counter(outcome.replayed for outcome in outcomes) == {False: 1, True: 19}
    assert (Stock.objects.get().on_hand, StockAdjustment.objects.count()) == (5, 1)
    assert check_books.breaches() == []


def test_lists_in_opposite_order_do_not_wait_for_each_other():
    variants = VariantFactory.create_batch(5, stock__on_hand=0)

    def listing(them, request_id):
        lines = [stock.Adjustment(variant.pk, 1) for variant in them]
        return partial(stock.adjust, request_id=request_id, lines=lines, actor=None, now=NOW)

    outcomes = together(*[listing(variants[:: 1 - 2 * (n % 2)], str(n)) for n in range(20)])
    assert kinds(outcomes) == {stock.Adjusted: 20}
    assert {each.on_hand for each in Stock.objects.all()} == {20}


def test_units_that_are_adjusted_away_while_they_are_ordered_go_one_way_or_the_other(ready_cart):
    shipping = ShippingMethodFactory()
    for number in range(10):
        variant = VariantFactory(stock__on_hand=0)
        adjusting(variant, 1, f"delivery {number}")()
        cart = ready_cart({variant: 1}, shipping=shipping)
        total = totals(cart).total
        place = partial(orders.place, key=carts.CartKey(code=cart.code), expected_total=total, now=NOW)
        outcomes = together(place, adjusting(variant, -1, f"loss {number}"))
        assert sum(isinstance(outcome, InsufficientStock) for outcome in outcomes) == 1
    assert check_books.breaches() == []
