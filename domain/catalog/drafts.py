"""What staff, or an import, want of products: said in parts, each of which can be left as it is."""

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


# A part of a draft that stays as it is; of something new, what the models say it begins with.
KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """A variant as it should be: the one with the `key`, else the product's one of that SKU, else a new one.

    `options` go with the product's option names; prices are in the shop's currency; `on_hand` is what was counted.
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
    """A product as it should be. Variants that it does not name stay, but for those that it deletes, by their keys.

    `categories` are keys, or paths of names from a root down, of which what is missing is created. What is published
    keeps its day; what is archived is withdrawn.
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
class Revision:
    """What becomes of many products at once; of tags and categories (keys), what is added and what is taken off."""

    vendor: str | Keep = KEEP
    product_type: str | Keep = KEEP
    is_published: bool | Keep = KEEP
    is_archived: bool | Keep = KEEP
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    add_categories: tuple[int, ...] = ()
    remove_categories: tuple[int, ...] = ()


def given(*, draft: Any, names: Sequence[str]) -> dict[str, Any]:
    """Those of its parts that are not kept, texts without spaces around."""
    values = {name: getattr(draft, name) for name in names if getattr(draft, name) is not KEEP}
    return {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}


def assign(*, row: Any, values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Sets what differs, and tells how it was and is."""
    changed = {name: (getattr(row, name), value) for name, value in values.items() if getattr(row, name) != value}
    for name, (_, value) in changed.items():
        setattr(row, name, value)
    return changed


def numbered(*, prefix: str, suffix: str, values: tuple[str, ...]) -> dict[str, str]:
    """The columns of option names (or values), those beyond the last empty."""
    padded = (*values, *[""] * (MAX_OPTIONS - len(values)))
    return {f"{prefix}{number}{suffix}": value for number, value in enumerate(padded, start=1)}
