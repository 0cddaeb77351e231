"""Writes products, for imports and for staff, one or many at once. Nothing else writes them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import nh3
from django.db import IntegrityError, transaction

from domain.base import change_log, crud, locks
from domain.base.errors import InvalidInput, NotFound, raise_all
from domain.catalog import categories, drafts, images, search, variants
from domain.catalog.drafts import KEEP, MAX_OPTIONS, BulkUpdate, ProductDraft
from storefront.models import ChangeAction, Product, Tag, TaxClass, User

MAX_TAGS = 100
MAX_AT_ONCE = 100


class SaveResult(Enum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


# ── what interfaces call ─────────────────────────────────────────────────────────────────────────────


@transaction.atomic(durable=True)
def save(
    *, draft: ProductDraft, actor: User | None, now: datetime, dry_run: bool = False
) -> tuple[Product, SaveResult]:
    """Creates or updates the product with the draft's slug, and its variants by SKU, to match the draft.

    A dry run does the same and rolls it back. Raises InvalidInput, NotFound, InUse.
    """
    product = locks.product(candidates=Product.objects.filter(slug=draft.slug))
    is_new = product is None
    product, changed = _write(product or Product(), draft, actor=actor, now=now)
    if dry_run:
        transaction.set_rollback(True)
    return product, SaveResult.CREATED if is_new else SaveResult.UPDATED if changed else SaveResult.UNCHANGED


@transaction.atomic(durable=True)
def create(*, draft: ProductDraft, actor: User | None, now: datetime) -> Product:
    """Creates a product with at least one variant. Without a slug, it gets one made from its title.

    Raises InvalidInput (also for a slug that is taken, as when the same call is sent twice), NotFound.
    """
    if not draft.variants:
        raise InvalidInput("A product needs at least one variant.", field=["variants"])
    return _write(Product(), draft, actor=actor, now=now)[0]


@transaction.atomic(durable=True)
def update(
    *, product_id: int, version: int | None = None, draft: ProductDraft, actor: User | None, now: datetime
) -> Product:
    """Updates a product to match the draft. Only new variants may have a count of units: use `stock.adjust` for others.

    Raises NotFound, StaleVersion, InvalidInput, InUse.
    """
    product = _lock_product(product_id, version)
    variants.refuse_counts(product=product, drafts=draft.variants)
    return _write(product, draft, actor=actor, now=now)[0]


@transaction.atomic(durable=True)
def update_many(*, product_ids: Sequence[int], changes: BulkUpdate, actor: User | None, now: datetime) -> list[Product]:
    """Applies the same changes to many products, or to none. Raises InvalidInput, and NotFound for each unknown key."""
    if not 1 <= len(product_ids) <= MAX_AT_ONCE:
        raise InvalidInput(f"Change 1 to {MAX_AT_ONCE} products at a time.", field=["ids"])
    products = {
        product.pk: product for product in locks.products(candidates=Product.objects.filter(pk__in=product_ids))
    }
    missing = [index for index, key in enumerate(product_ids) if key not in products]
    raise_all(errors=[NotFound("This product does not exist.", field=["ids", str(index)]) for index in missing])
    categories.lock(keys=set(changes.add_categories), field="add_category_ids")
    for product in products.values():
        _write(product, _draft_of(product, changes), actor=actor, now=now)
    return list(products.values())


@transaction.atomic(durable=True)
def delete(*, product_id: int, version: int | None = None, actor: User | None, now: datetime) -> None:
    """Deletes a product that no cart, order, stock movement or discount refers to. Otherwise archive it.

    Discounts count because one that lost its last product would apply to all goods. Raises NotFound, StaleVersion,
    InUse.
    """
    product = _lock_product(product_id, version)
    if product.discounts.exists():
        raise crud.in_use_error(kinds=["discount"])
    images.discard(images=product.images.all(), now=now)
    crud.delete_locked_row(row=product, actor=actor, now=now)


# ── how a product is written ─────────────────────────────────────────────────────────────────────────


def _lock_product(product_id: int, version: int | None) -> Product:
    product = locks.product(candidates=Product.objects.filter(pk=product_id))
    if product is None:
        raise NotFound("This product does not exist.", field=["id"])
    change_log.check_version(row=product, seen=version)
    return product


def _draft_of(product: Product, revision: BulkUpdate) -> ProductDraft:
    tags = {tag.name for tag in product.tags.all()}
    keys = {category.pk for category in product.categories.all()}
    return ProductDraft(
        vendor=revision.vendor,
        product_type=revision.product_type,
        is_published=revision.is_published,
        is_archived=revision.is_archived,
        tags=tuple((tags | {*revision.add_tags}) - {*revision.remove_tags}),
        categories=tuple((keys | {*revision.add_categories}) - {*revision.remove_categories}),
    )


def _write(
    product: Product, draft: ProductDraft, *, actor: User | None, now: datetime
) -> tuple[Product, change_log.ChangedFields]:
    """Makes a new or locked product match the draft and logs the changes. Returns them too."""
    is_new = product.pk is None
    try:
        with transaction.atomic():
            changed = _write_columns(product, draft, now=now)
            changed |= _write_relations(product, draft)
            changed |= variants.write(product=product, draft=draft, actor=actor, now=now)
            if changed:
                if not is_new:
                    product.save()
                refresh_derived(product=product)
                crud.check_foreign_keys()
    except IntegrityError:  # A concurrent request took the slug or a SKU, or deleted a row that this refers to.
        raise InvalidInput("Someone else has just changed this or taken a SKU. Reload and try again.") from None
    if changed:
        action = ChangeAction.CREATED if is_new else ChangeAction.UPDATED
        change_log.entry(row=product, action=action, fields=changed, actor=actor, now=now).save()
    return product, changed


def _write_columns(product: Product, draft: ProductDraft, *, now: datetime) -> dict[str, tuple[Any, Any]]:
    is_new = product.pk is None
    if is_new and draft.title is KEEP:
        raise InvalidInput("A new product needs a title.", field=["title"])
    values = drafts.provided_values(draft=draft, names=["slug", "title", "vendor", "product_type", "tax_class_id"])
    if is_new and draft.title is not KEEP:
        values = {"slug": categories.slug_of(name=draft.title), **values}
    if draft.description_html is not KEEP:  # Not trimmed, so that an exported product imports without a change.
        values["description_html"] = nh3.clean(draft.description_html)
    if draft.option_names is not KEEP:
        if len(draft.option_names) > MAX_OPTIONS:
            raise InvalidInput(f"A product has at most {MAX_OPTIONS} options.", field=["option_names"])
        values |= drafts.numbered_columns(prefix="option", suffix="_name", values=draft.option_names)
    changed = drafts.assign(row=product, values=values | _publication(product, draft, now=now))
    if not changed:
        return changed
    crud.check_columns(row=product, exclude=["min_price", "max_price", "tax_class"])
    if "slug" in changed and Product.objects.filter(slug=product.slug).exists():
        raise InvalidInput("Another product has this slug.", field=["slug"])
    if draft.tax_class_id not in (KEEP, None) and not TaxClass.objects.filter(pk=draft.tax_class_id).exists():
        raise NotFound("This tax class does not exist.", field=["tax_class_id"])
    if is_new:
        product.save()
    return changed


def _publication(product: Product, draft: ProductDraft, *, now: datetime) -> dict[str, datetime | None]:
    """The new publication and archive dates. Publishing a product ends its archiving, and the other way round."""
    if draft.is_published is True and draft.is_archived is True:
        raise InvalidInput("An archived product cannot be published.", field=["is_archived"])
    if draft.is_archived is True:
        return {"published_at": None, "archived_at": product.archived_at or now}
    if draft.is_published is True:
        return {"published_at": product.published_at or now, "archived_at": None}
    values: dict[str, datetime | None] = {} if draft.is_published is KEEP else {"published_at": None}
    return values if draft.is_archived is KEEP else {**values, "archived_at": None}


def _write_relations(product: Product, draft: ProductDraft) -> dict[str, tuple[Any, Any]]:
    changed: dict[str, tuple[Any, Any]] = {}
    if draft.tags is not KEEP:
        if len(draft.tags) > MAX_TAGS:
            raise InvalidInput(f"A product has at most {MAX_TAGS} tags.", field=["tags"])
        before = {tag.name for tag in product.tags.all()}
        if before != set(draft.tags):
            for index, name in enumerate(draft.tags):
                crud.check_columns(row=Tag(name=name), exclude=["id"], below=["tags", str(index)])
            # Sorted, so that concurrent requests insert tags in the same order and cannot deadlock.
            Tag.objects.bulk_create([Tag(name=name) for name in sorted(set(draft.tags))], ignore_conflicts=True)
            product.tags.set(Tag.objects.filter(name__in=draft.tags))
            changed["tags"] = sorted(before), sorted(set(draft.tags))
    if draft.categories is not KEEP:
        hanging, wanted = set(product.categories.all()), categories.find_or_create(paths=draft.categories)
        if hanging != wanted:
            categories.lock(keys={category.pk for category in wanted - hanging}, field="category_ids")
            product.categories.set(wanted)
            changed["categories"] = sorted(map(str, hanging)), sorted(map(str, wanted))
    return changed


def refresh_derived(*, product: Product) -> None:
    """Updates what is derived from a product: safe HTML, price range, search index. Call it after each change, in the
    same transaction."""
    variants = list(product.variants.all())
    prices = [variant.price for variant in variants if not variant.is_withdrawn] or [Decimal(0)]
    product.min_price, product.max_price = min(prices), max(prices)
    product.description_html = nh3.clean(product.description_html)
    same = Product.objects.filter(pk=product.pk)
    same.update(description_html=product.description_html, min_price=product.min_price, max_price=product.max_price)
    search.index(products=same)
