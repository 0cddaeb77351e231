"""Exports all products in the format of `domain.importing.shopify_csv`. Importing an export changes nothing."""

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet

from domain.base.money import quantize
from domain.catalog.browse import CategoryTree
from domain.catalog.drafts import MAX_OPTIONS
from domain.importing import sheets
from domain.importing.shopify_csv import image_key, read_tags, read_type
from storefront.models import Category, Image, Product, ProductVariant, StockPolicy

# Variants in memory at once, or those of one product if it has more.
_BATCH_SIZE = 500
_OPTIONS = range(1, MAX_OPTIONS + 1)
_PRODUCT = ["slug", "title", "description_html", "vendor", "product_type", "published_at"]
_PRODUCT += [f"option{number}_name" for number in _OPTIONS]
_VARIANT = ["sku", "price", "compare_at_price", "weight_grams", "barcode", "stock__policy", "stock__on_hand"]
_VARIANT += ["image__source", "image__file", *(f"option{number}" for number in _OPTIONS)]

COLUMNS = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Vendor",
    "Type",
    "Categories",
    "Tags",
    "Published",
    *(f"Option{number} {part}" for number in _OPTIONS for part in ("Name", "Value")),
    "Variant SKU",
    "Variant Grams",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Inventory Policy",
    "Variant Price",
    "Variant Compare At Price",
    "Variant Barcode",
    "Image Src",
    "Image Alt Text",
    "Variant Image",
]


def export_products() -> Iterator[str]:
    """The file with all products, including drafts, oldest first.

    Nothing is locked: each product is exported as it is when it is read. Only some products are in memory at once.
    """
    return sheets.write_csv(columns=COLUMNS, rows=_rows())


def _rows() -> Iterator[dict[str, object]]:
    for keys in _batches():
        parts = [
            _by_product(ProductVariant.objects.filter(product__in=keys).order_by("position", "id"), *_VARIANT),
            _by_product(Image.objects.filter(product__in=keys).order_by("position", "id"), "source", "file", "alt"),
            _by_product(Product.categories.through.objects.filter(product__in=keys), "category_id"),
            _by_product(Product.tags.through.objects.filter(product__in=keys).order_by("tag__name"), "tag__name"),
        ]
        paths = dict(_paths(CategoryTree(), None, ()))  # Read after the products' categories, which may be new.
        # Tuples instead of model instances, whose reference cycles only the garbage collector frees.
        for product in Product.objects.filter(pk__in=keys).order_by("pk").values_list("pk", *_PRODUCT, named=True):
            variants, images, categories, tags = (part[product.pk] for part in parts)
            hangs = sorted(paths[row.category_id] for row in categories if row.category_id in paths)
            yield from _product_rows(product, hangs, [row.tag__name for row in tags], variants, images)


def _paths(tree: CategoryTree, above: Category | None, path: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """For each category, its key and its path of names from the root down."""
    for category in tree.children(above):
        below = (*path, category.name)
        yield category.pk, below
        yield from _paths(tree, category, below)


def _by_product(rows: "QuerySet[Any]", *columns: str) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows.values_list("product_id", *columns, named=True):
        found[row.product_id].append(row)
    return found


def _batches() -> Iterator[list[int]]:
    """The products' keys in batches of at most _BATCH_SIZE variants, or of one product if it has more."""
    batch: list[int] = []
    variants = last = 0
    while page := list(
        Product.objects.filter(pk__gt=last)
        .order_by("pk")
        .annotate(number=Count("variants"))
        .values_list("pk", "number")[:_BATCH_SIZE]
    ):
        for last, number in page:
            if batch and (variants + number > _BATCH_SIZE or len(batch) == _BATCH_SIZE):
                yield batch
                batch, variants = [], 0
            batch.append(last)
            variants += number
    if batch:
        yield batch


def _product_rows(
    product: Any, paths: list[tuple[str, ...]], tags: list[str], variants: list[Any], images: list[Any]
) -> Iterator[dict[str, object]]:
    cells = _product_cells(product, paths, tags)
    for variant, image in zip_longest(variants, images) if variants or images else [(None, None)]:
        if variant:
            cells |= _variant_cells(variant, has_options=any(_options(product, "_name")))
        if image:
            cells |= {
                "Image Src": _picture(image.source, image.file),
                "Image Alt Text": sheets.escape_text(value=image.alt),
            }
        yield cells
        cells = {"Handle": sheets.escape_text(value=product.slug)}


def _options(row: Any, suffix: str = "") -> list[str]:
    return [getattr(row, f"option{number}{suffix}") for number in _OPTIONS]


def _product_cells(product: Any, paths: list[tuple[str, ...]], tags: list[str]) -> dict[str, object]:
    type_, categories = " > ".join(paths[0]) if paths else "", ""
    if read_type(row=sheets.Row(0, {"Type": type_})) != (product.product_type, tuple(paths)):
        type_, categories = product.product_type, json.dumps(paths, ensure_ascii=False)
    names = _options(product, "_name")
    if not any(names):
        names[0] = "Title"
    return {
        "Handle": sheets.escape_text(value=product.slug),
        "Title": sheets.escape_text(value=product.title),
        "Body (HTML)": sheets.escape_text(value=product.description_html),
        "Vendor": sheets.escape_text(value=product.vendor),
        "Type": sheets.escape_text(value=type_),
        "Categories": categories,
        "Tags": sheets.escape_text(value=", ".join(_quoted(tag) for tag in tags)),
        "Published": "false" if product.published_at is None else "true",
        **{f"Option{number} Name": sheets.escape_text(value=name) for number, name in enumerate(names, start=1)},
    }


def _variant_cells(variant: Any, *, has_options: bool) -> dict[str, object]:
    values = _options(variant)
    if not has_options and not any(values):
        values[0] = "Default Title"
    is_tracked = variant.stock__policy != StockPolicy.UNTRACKED
    return {
        **{f"Option{number} Value": sheets.escape_text(value=value) for number, value in enumerate(values, start=1)},
        "Variant SKU": sheets.escape_code(value=variant.sku),
        "Variant Grams": "" if variant.weight_grams is None else variant.weight_grams,
        "Variant Inventory Tracker": "shopify" if is_tracked else "",
        "Variant Inventory Qty": variant.stock__on_hand,
        "Variant Inventory Policy": "continue" if variant.stock__policy == StockPolicy.BACKORDER else "deny",
        "Variant Price": _amount(variant.price),
        "Variant Compare At Price": "" if variant.compare_at_price is None else _amount(variant.compare_at_price),
        "Variant Barcode": sheets.escape_code(value=variant.barcode),
        "Variant Image": _picture(variant.image__source, variant.image__file),
    }


def _picture(source: str | None, file: str | None) -> str:
    return sheets.escape_text(value=image_key(source=source, file=file))


def _amount(amount: Decimal) -> Decimal:
    """The amount with the currency's decimals. Not rounded if it has more, so that an import refuses it."""
    rounded = quantize(amount=amount, currency=settings.SHOP_CURRENCY)
    return rounded if rounded == amount else amount


def _quoted(tag: str) -> str:
    return tag if list(read_tags(cell=tag)) == [tag] else '"{}"'.format(tag.replace('"', '""'))
