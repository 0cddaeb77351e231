"""Writes a product's variants, as a part of `domain.catalog.products`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings

from domain.base import change_log, crud
from domain.base.errors import DomainError, InvalidInput, NotFound, raise_all
from domain.base.money import quantize
from domain.catalog import stock
from domain.catalog.drafts import (
    KEEP,
    MAX_OPTIONS,
    Keep,
    ProductDraft,
    VariantDraft,
    assign,
    numbered_columns,
    provided_values,
)
from storefront.models import Product, ProductVariant, User

MAX_VARIANTS = 500
_MAX_PRICE = 10**9
_OPTIONS = ("option1", "option2", "option3")
_COLUMNS = ["sku", *_OPTIONS, "price", "compare_at_price", "weight_grams", "barcode", "is_withdrawn", "image"]

Value = TypeVar("Value")


def write(*, product: Product, draft: ProductDraft, actor: User | None, now: datetime) -> dict[str, tuple[Any, Any]]:
    """Makes a locked product's variants match the draft. Returns what changed, by SKU and column."""
    if not draft.variants and not draft.delete_variants:
        return {}
    present = list(product.variants.select_related("stock"))
    changed = _delete_variants(present, draft)
    present = [variant for variant in present if variant.pk not in draft.delete_variants]
    targets = _target_variants(product, draft.variants, present)
    images = {image.source: image.pk for image in product.images.all()}
    wanted = [_values(each, images) for each in draft.variants]
    _check_variants(draft, present, targets, wanted)
    _check_one_for_sale(present, targets, wanted)
    _free_taken_values(present, targets, wanted)
    created: list[ProductVariant] = []
    updated: list[ProductVariant] = []
    for index, (variant, values) in enumerate(zip(targets, wanted, strict=True)):
        sku = variant.sku or values["sku"]
        if differences := assign(row=variant, values=values):
            crud.check_columns(row=variant, exclude=["product", "image"], below=["variants", str(index)])
            (updated if variant.pk else created).append(variant)
            changed |= {f"{sku} {name}": pair for name, pair in differences.items()}
    ProductVariant.objects.bulk_create(created)
    ProductVariant.objects.bulk_update(updated, _COLUMNS)
    counted = {
        variant: (_or_none(each.policy), _or_none(each.on_hand))
        for variant, each in zip(targets, draft.variants, strict=True)
    }
    for variant, differences in stock.record_count(variants=counted, actor=actor, now=now).items():
        changed |= {f"{variant.sku} {name}": pair for name, pair in differences.items()}
    return changed


def _or_none(value: Value | Keep) -> Value | None:
    return None if isinstance(value, Keep) else value


def _values(draft: VariantDraft, images: Mapping[str, int]) -> dict[str, Any]:
    """The values of a variant's columns that the draft sets."""
    values = provided_values(
        draft=draft, names=["sku", "price", "compare_at_price", "weight_grams", "barcode", "is_withdrawn"]
    )
    if draft.options is not KEEP:
        values |= numbered_columns(prefix="option", suffix="", values=draft.options)
    if draft.image_source in images:
        values["image_id"] = images[draft.image_source]
    return values


def _delete_variants(present: Collection[ProductVariant], draft: ProductDraft) -> dict[str, tuple[Any, Any]]:
    gone = [variant for variant in present if variant.pk in draft.delete_variants]
    if len(gone) < len(set(draft.delete_variants)):
        raise NotFound("The product has no such variant.", field=["delete_variant_ids"])
    deleted = {
        f"{it.sku} {name}": (value, None) for it in gone for name, value in change_log.column_values(row=it).items()
    }
    if gone:
        with crud.raising_in_use(field="delete_variant_ids"):
            ProductVariant.objects.filter(pk__in=[variant.pk for variant in gone]).delete()
    return deleted


def refuse_counts(*, product: Product, drafts: Sequence[VariantDraft]) -> None:
    """Raises InvalidInput for each draft that counts the units of an existing variant."""
    known = {known for pair in product.variants.values_list("pk", "sku") for known in pair}
    counted = [index for index, each in enumerate(drafts) if each.on_hand is not KEEP and {each.key, each.sku} & known]
    message = "An existing variant's units cannot be set here. Adjust its stock instead."
    raise_all(errors=[InvalidInput(message, field=["variants", str(index), "on_hand"]) for index in counted])


def _target_variants(
    product: Product, drafts: Sequence[VariantDraft], present: Sequence[ProductVariant]
) -> list[ProductVariant]:
    """The variant of each draft, existing or new, in the drafts' order."""
    by_key = {variant.pk: variant for variant in present}
    by_sku = {variant.sku: variant for variant in present}
    position = max((variant.position for variant in present), default=0)
    targets: list[ProductVariant] = []
    for index, each in enumerate(drafts):
        field = ["variants", str(index)]
        if each.key is not None and each.key not in by_key:
            raise NotFound("The product has no such variant.", field=[*field, "id"])
        variant = by_sku.get(str(each.sku)) if each.key is None else by_key[each.key]
        if variant is None:
            if each.sku is KEEP or each.price is KEEP:
                missing = "sku" if each.sku is KEEP else "price"
                raise InvalidInput("A new variant needs a SKU and a price.", field=[*field, missing])
            position += 1
            variant = ProductVariant(product=product, position=position)
        elif variant in targets:
            raise InvalidInput("This variant is listed twice.", field=field)
        targets.append(variant)
    return targets


def _check_variants(
    draft: ProductDraft,
    present: Sequence[ProductVariant],
    targets: Sequence[ProductVariant],
    wanted: Sequence[Mapping[str, Any]],
) -> None:
    """Checks the variants together: their number, and SKUs and options that have to be unique."""
    named = {variant.pk for variant in targets}
    others = [variant for variant in present if variant.pk not in named]
    if len(others) + len(targets) > MAX_VARIANTS:
        raise InvalidInput(f"A product has at most {MAX_VARIANTS} variants.", field=["variants"])
    skus: set[Any] = set()
    choices: set[tuple[Any, ...]] = {(v.option1, v.option2, v.option3) for v in others}
    elsewhere = ProductVariant.objects.exclude(pk__in=[key for key in named if key is not None])
    taken = set(
        elsewhere.filter(sku__in=[each["sku"] for each in wanted if "sku" in each]).values_list("sku", flat=True)
    )
    errors: list[DomainError] = []

    def refuse(text: str, index: int, name: str) -> None:
        errors.append(InvalidInput(text, field=["variants", str(index), name]))

    for index, (variant, values, each) in enumerate(zip(targets, wanted, draft.variants, strict=True)):
        options = _resulting_options(variant, values)
        if each.options is not KEEP and len(each.options) > MAX_OPTIONS:
            refuse(f"A variant has at most {MAX_OPTIONS} options.", index, "options")
        elif options in choices:
            refuse("Two variants have the same options.", index, "options")
        choices.add(options)
        sku = values.get("sku", variant.sku)
        if sku in taken or sku in skus:
            refuse("Another variant has this SKU.", index, "sku")
        skus.add(sku)
        if each.on_hand is not KEEP and not 0 <= each.on_hand <= stock.MAX_ON_HAND:
            refuse(f"A count of units is from 0 to {stock.MAX_ON_HAND}.", index, "on_hand")
        for name in ("price", "compare_at_price"):
            if values.get(name) is not None and not _is_price(values[name]):
                refuse(f"A price is 0 or more, with no more decimals than {settings.SHOP_CURRENCY} has.", index, name)
    raise_all(errors=errors)


def _check_one_for_sale(
    present: Sequence[ProductVariant], targets: Sequence[ProductVariant], wanted: Sequence[Mapping[str, Any]]
) -> None:
    withdrawn = [variant.is_withdrawn for variant in present if variant not in targets]
    withdrawn += [values.get("is_withdrawn", it.is_withdrawn) for it, values in zip(targets, wanted, strict=True)]
    if all(withdrawn):
        raise InvalidInput(
            "At least one variant has to stay on sale. Unpublish the product instead.", field=["variants"]
        )


def _resulting_options(variant: ProductVariant, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The options that a variant will have."""
    return tuple(values.get(name, getattr(variant, name)) for name in _OPTIONS)


def _is_price(amount: Decimal) -> bool:
    return (
        amount.is_finite()
        and 0 <= amount < _MAX_PRICE
        and amount == quantize(amount=amount, currency=settings.SHOP_CURRENCY)
    )


def _free_taken_values(
    present: Sequence[ProductVariant], targets: Sequence[ProductVariant], wanted: Sequence[Mapping[str, Any]]
) -> None:
    """Changes SKUs and options that another variant will take over, because they have to be unique at all times."""
    skus = {variant.sku: variant for variant in present}
    options: dict[tuple[Any, ...], ProductVariant] = {(v.option1, v.option2, v.option3): v for v in present}
    for variant, values in zip(targets, wanted, strict=True):
        holder = skus.get(values.get("sku", variant.sku))
        if holder is not None and holder != variant:
            ProductVariant.objects.filter(pk=holder.pk).update(sku=f"~{holder.pk}")
        holder = options.get(_resulting_options(variant, values))
        if holder is not None and holder != variant:
            ProductVariant.objects.filter(pk=holder.pk).update(option1=f"~{holder.pk}")
