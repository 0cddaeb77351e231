"""Drafts: the desired state of products, from staff or an import. Each field can be left unchanged with KEEP."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from domain.catalog.categories import Path
from storefront.models import StockPolicy

MAX_OPTIONS = 3


class Keep(Enum):
    KEEP = "keep"


# The value of a field that stays as it is. New rows get the model's default.
KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """The desired state of a variant: the one with `key`, else the product's variant with this SKU, else a new one.

    `options` are in the order of the product's option names. Prices are in the shop's currency. `on_hand` is a count
    of units. `image_source` is the `source` of one of the product's images.
    """

    sku: str | Keep = KEEP
    price: Decimal | Keep = KEEP
    options: tuple[str, ...] | Keep = KEEP
    compare_at_price: Decimal | Keep | None = KEEP
    weight_grams: int | Keep | None = KEEP
    barcode: str | Keep = KEEP
    is_withdrawn: bool | Keep = KEEP
    policy: StockPolicy | Keep = KEEP
    on_hand: int | Keep = KEEP
    image_source: str = ""
    key: int | None = None


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """The desired state of a product. Variants that it does not name stay; `delete_variants` are keys of variants.

    `categories` are keys, or paths of names from a root down, whose missing categories are created. A product that is
    published already keeps its publication date. An archived product is not published.
    """

    slug: str | Keep = KEEP
    title: str | Keep = KEEP
    description_html: str | Keep = KEEP
    vendor: str | Keep = KEEP
    product_type: str | Keep = KEEP
    tax_class_id: int | Keep | None = KEEP
    tags: tuple[str, ...] | Keep = KEEP
    categories: tuple[int | Path, ...] | Keep = KEEP
    option_names: tuple[str, ...] | Keep = KEEP
    is_published: bool | Keep = KEEP
    is_archived: bool | Keep = KEEP
    variants: tuple[VariantDraft, ...] = ()
    delete_variants: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BulkUpdate:
    """Changes to apply to many products at once. Categories are keys."""

    vendor: str | Keep = KEEP
    product_type: str | Keep = KEEP
    is_published: bool | Keep = KEEP
    is_archived: bool | Keep = KEEP
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    add_categories: tuple[int, ...] = ()
    remove_categories: tuple[int, ...] = ()


def provided_values(*, draft: Any, names: Sequence[str]) -> dict[str, Any]:
    """The draft's fields that are not KEEP, with texts trimmed."""
    values = {name: getattr(draft, name) for name in names if getattr(draft, name) is not KEEP}
    return {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}


def assign(*, row: Any, values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Sets the row's values that differ. Returns them by name as (before, after)."""
    changed = {name: (getattr(row, name), value) for name, value in values.items() if getattr(row, name) != value}
    for name, (_, value) in changed.items():
        setattr(row, name, value)
    return changed


def numbered_columns(*, prefix: str, suffix: str, values: tuple[str, ...]) -> dict[str, str]:
    """The values of the numbered option columns ("option1_name" …); unused ones are empty."""
    padded = (*values, *[""] * (MAX_OPTIONS - len(values)))
    return {f"{prefix}{number}{suffix}": value for number, value in enumerate(padded, start=1)}
