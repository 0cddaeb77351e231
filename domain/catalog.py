"""The catalogue: what buyers see of it, and the one way that products are written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from io import BytesIO
from itertools import chain, count
from typing import Any

import nh3
from django.core.exceptions import EmptyResultSet, ValidationError
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.db import models as db
from django.utils.text import slugify
from PIL import Image as Picture

from domain import locks, search, stock
from domain.errors import InvalidInput, raise_all
from storefront.models import Category, Image, Product, ProductVariant, Stock, StockPolicy, Tag, User

MAX_OPTIONS = 3
MAX_VARIANTS = 500
MAX_ON_HAND = 10_000_000
_MAX_PIXELS = 50_000_000
_PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """A variant as it should be. `options` go with the product's option names; prices are in the shop's currency."""

    sku: str
    price: Decimal
    options: tuple[str, ...] = ()
    compare_at_price: Decimal | None = None
    weight_grams: int | None = None
    barcode: str = ""
    policy: StockPolicy = StockPolicy.DENY
    on_hand: int = 0
    image_source: str = ""


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """A product as it should be. A `title` of None adds variants to a product and leaves the rest as it is.

    `categories` are paths of names from a root down; what is missing of the tree is created.
    """

    slug: str
    title: str | None
    description_html: str = ""
    vendor: str = ""
    product_type: str = ""
    tags: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    option_names: tuple[str, ...] = ()
    is_published: bool = False
    variants: tuple[VariantDraft, ...] = ()


class Saved(Enum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


def _assign(row: db.Model, values: dict[str, Any]) -> bool:
    """Sets what differs, and says whether anything did."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def _checked(row: db.Model, *, exclude: Iterable[str]) -> None:
    try:
        row.clean_fields(exclude=set(exclude))
    except ValidationError as error:
        raise_all(
            [InvalidInput(f"{name}: {' '.join(texts)}", field=[name]) for name, texts in error.message_dict.items()]
        )


def _padded(values: tuple[str, ...]) -> tuple[str, ...]:
    return values + ("",) * (MAX_OPTIONS - len(values))


def _numbered(prefix: str, suffix: str, values: tuple[str, ...]) -> dict[str, str]:
    return {f"{prefix}{number}{suffix}": value for number, value in enumerate(_padded(values), start=1)}


@transaction.atomic(durable=True)
def save_product(
    *, draft: ProductDraft, actor: User | None, now: datetime, dry_run: bool = False
) -> tuple[Product, Saved]:
    """Makes the product of the draft's slug, and the draft's variants by SKU, be as the draft says.

    Variants that the draft does not name stay as they are. Raises InvalidInput for a field that does not fit.
    A dry run does it all and takes it back.
    """
    if len(draft.option_names) > MAX_OPTIONS:
        raise InvalidInput(f"A product has at most {MAX_OPTIONS} options.", field=["option_names"])
    product = locks.product(Product.objects.filter(slug=draft.slug))
    is_new = product is None
    product = product or Product(slug=draft.slug)
    changed = _write_product(product, draft, now=now)
    changed |= _write_relations(product, draft)
    changed |= _write_variants(product, draft, actor=actor, now=now)
    if changed:
        refresh(product)
    if dry_run:
        transaction.set_rollback(True)
    return product, Saved.CREATED if is_new else Saved.UPDATED if changed else Saved.UNCHANGED


def _write_product(product: Product, draft: ProductDraft, *, now: datetime) -> bool:
    if draft.title is None:
        if product.pk is None:
            raise InvalidInput("A new product needs a title.", field=["title"])
        return False
    published_at = (product.published_at or now) if draft.is_published else None
    values = {
        "title": draft.title,
        "description_html": nh3.clean(draft.description_html),
        "vendor": draft.vendor,
        "product_type": draft.product_type,
        "published_at": published_at,
        **_numbered("option", "_name", draft.option_names),
    }
    if not _assign(product, values):
        return False
    _checked(product, exclude=["min_price", "max_price"])
    product.save()
    return True


def _write_relations(product: Product, draft: ProductDraft) -> bool:
    if draft.title is None:
        return False
    changed = False
    if {tag.name for tag in product.tags.all()} != set(draft.tags):
        for name in draft.tags:
            _checked(Tag(name=name), exclude=["id"])
        Tag.objects.bulk_create([Tag(name=name) for name in draft.tags], ignore_conflicts=True)
        product.tags.set(Tag.objects.filter(name__in=draft.tags))
        changed = True
    categories = {_category_at(path) for path in draft.categories}
    if set(product.categories.all()) != categories:
        product.categories.set(categories)
        changed = True
    return changed


def _write_variants(product: Product, draft: ProductDraft, *, actor: User | None, now: datetime) -> bool:
    present = {variant.sku: variant for variant in product.variants.select_related("stock")}
    images = {image.source: image for image in product.images.all()}
    position = max((variant.position for variant in present.values()), default=0)
    if len(present.keys() | {variant.sku for variant in draft.variants}) > MAX_VARIANTS:
        raise InvalidInput(f"A product has at most {MAX_VARIANTS} variants.", field=["variants"])
    _refuse_misfits(draft, present)
    _part_from_options(draft, present)
    counts: dict[ProductVariant, tuple[StockPolicy, int]] = {}
    changed = False
    for wanted in draft.variants:
        variant = present.get(wanted.sku)
        if variant is None:
            position += 1
            variant = ProductVariant(product=product, sku=wanted.sku, price=Decimal(-1), position=position)
        values: dict[str, Any] = {
            "price": wanted.price,
            "compare_at_price": wanted.compare_at_price,
            "weight_grams": wanted.weight_grams,
            "barcode": wanted.barcode,
            **_numbered("option", "", wanted.options),
        }
        if wanted.image_source in images:
            values["image_id"] = images[wanted.image_source].pk
        if _assign(variant, values):
            _checked(variant, exclude=["product", "image", "sku"] if variant.pk else ["product", "image"])
            variant.save()
            changed = True
        counts[variant] = (wanted.policy, wanted.on_hand)
    return stock.count(variants=counts, actor=actor, now=now) or changed


def _refuse_misfits(draft: ProductDraft, present: Mapping[str, ProductVariant]) -> None:
    """Checks what only the draft as a whole, or the whole shop, can tell of its variants."""
    named = {variant.sku for variant in draft.variants}
    choices = [_padded(variant.options) for variant in draft.variants]
    choices += [(v.option1, v.option2, v.option3) for v in present.values() if v.sku not in named]
    if any(len(choice) > MAX_OPTIONS for choice in choices):
        raise InvalidInput(f"A variant has at most {MAX_OPTIONS} options.", field=["variants"])
    if len(set(choices)) < len(choices):
        raise InvalidInput("Two variants have the same options.", field=["variants"])
    if not all(0 <= variant.on_hand <= MAX_ON_HAND for variant in draft.variants):
        raise InvalidInput(f"A count is from 0 to {MAX_ON_HAND}.", field=["variants"])
    new = named - present.keys()
    if new and ProductVariant.objects.filter(sku__in=new).exists():
        raise InvalidInput("A SKU is another product's.", field=["variants"])


def _part_from_options(draft: ProductDraft, present: Mapping[str, ProductVariant]) -> None:
    """Frees the options that one variant is to take over from another, since two never have the same."""
    holders: dict[tuple[str, ...], ProductVariant] = {(v.option1, v.option2, v.option3): v for v in present.values()}
    for wanted in draft.variants:
        holder = holders.get(_padded(wanted.options))
        if holder is not None and holder.sku != wanted.sku:
            ProductVariant.objects.filter(pk=holder.pk).update(option1=f"~{holder.pk}")


def refresh(product: Product) -> None:
    """Makes a product's row fit what was written: its HTML safe, its price range and words those of its variants.
    Call it, inside the transaction, after changing either."""
    variants = list(product.variants.all())
    prices = [variant.price for variant in variants] or [Decimal(0)]
    product.min_price, product.max_price = min(prices), max(prices)
    product.description_html = nh3.clean(product.description_html)
    product.save(update_fields=["description_html", "min_price", "max_price", "updated_at"])
    search.document(
        product,
        skus=[variant.sku for variant in variants],
        tags=[tag.name for tag in product.tags.all()],
        categories=[category.name for category in product.categories.all()],
    ).save()


def _category_at(path: Sequence[str]) -> Category:
    """The category at a path of names from a root down; what is missing of it is created."""
    known = {(category.parent_id, category.name): category for category in Category.objects.filter(name__in=path)}
    category: Category | None = None
    for depth, name in enumerate(path, start=1):
        child = known.get((category.pk if category else None, name))
        if child is None:
            child = Category(parent=category, name=name, slug=_free_slug(path[:depth]))
            _checked(child, exclude=["parent"])
            child.save()
        category = child
    if category is None:
        raise InvalidInput("A category needs a name.", field=["categories"])
    return category


def _free_slug(path: Sequence[str]) -> str:
    """The category's name if that is free, else its whole path, else that with a number."""
    short, long = (slugify(text, allow_unicode=True)[:90] or "category" for text in (path[-1], " ".join(path)))
    taken = set(Category.objects.values_list("slug", flat=True))
    candidates = chain([short, long], (f"{long}-{number}" for number in count(2)))
    return next(slug for slug in candidates if slug not in taken)


def attach_image(*, product: Product, source: str, alt: str, content: bytes, position: int) -> Image:
    """Stores a picture and hangs it on the product. Raises InvalidInput for what is not a picture.

    The file is written first: a crash in between leaves a file that nothing shows, never a broken picture.
    """
    try:
        with Picture.open(BytesIO(content), formats=_PICTURE_FORMATS) as picture:
            width, height = picture.size
            kind = (picture.format or "").lower()
            if width * height > _MAX_PIXELS:
                raise InvalidInput(f"More than {_MAX_PIXELS} pixels.", field=["image"])
            picture.load()
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError):
        raise InvalidInput("Not a picture that can be read (PNG, JPEG, WebP, GIF).", field=["image"]) from None
    image = Image(product=product, source=source, alt=alt[:500], width=width, height=height, position=position)
    _checked(image, exclude=["product", "file"])
    image.file.save(f"{product.slug[:80]}-{position}.{kind}", ContentFile(content), save=False)
    image.save()
    return image


# ── what buyers see ──────────────────────────────────────────────────────────────────────────────────


class Sort(Enum):
    RELEVANCE = "RELEVANCE"
    NEWEST = "NEWEST"
    PRICE_ASC = "PRICE_ASC"
    PRICE_DESC = "PRICE_DESC"
    TITLE = "TITLE"


@dataclass(frozen=True, slots=True)
class OptionFilter:
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """What a buyer narrows a list by. Values within one part are alternatives; parts all hold.

    `options` and `available` hold for one and the same variant: size M in red, and there to be sold. Prices
    are in the shop's currency and compared with a product's lowest.
    """

    category_ids: tuple[int, ...] | None = None
    vendors: tuple[str, ...] = ()
    product_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    price_gte: Decimal | None = None
    price_lte: Decimal | None = None
    available: bool | None = None
    options: tuple[OptionFilter, ...] = ()
    ids: tuple[int, ...] | None = None


def browse(*, filter: ProductFilter, question: search.Question | None, now: datetime) -> db.QuerySet[Product]:
    """The published products that the filter lets through; with a question, those that match, with a `score`."""
    products = Product.objects.published(now=now).filter(*_conditions(filter))
    return question.among(products) if question else products


class CategoryTree:
    """Every category of the shop, read in one statement: docs/adr/0008."""

    def __init__(self) -> None:
        self._by_key: dict[int, Category] = {}
        self._children: dict[int | None, list[Category]] = {}
        for category in Category.objects.all():
            self._by_key[category.pk] = category
            self._children.setdefault(category.parent_id, []).append(category)

    def children(self, category: Category | None) -> list[Category]:
        """In the shop's order; the roots, for None."""
        return self._children.get(category.pk if category else None, [])

    def parent(self, category: Category) -> Category | None:
        return None if category.parent_id is None else self._by_key.get(category.parent_id)

    def ancestors(self, category: Category) -> list[Category]:
        """From the root down to the parent."""
        path: list[Category] = []
        above = self.parent(category)
        while above is not None and above not in path:
            path.insert(0, above)
            above = self.parent(above)
        return path

    def with_all_below(self, category: Category) -> list[Category]:
        found = [category]
        for each in found:  # It grows while it is walked.
            found += [child for child in self.children(each) if child not in found]
        return found


def keys_with_all_below(categories: db.QuerySet[Category]) -> tuple[int, ...]:
    """The keys of these and of all that hang below them, in one statement and without the rest of the tree."""
    try:
        top, params = categories.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH RECURSIVE below (id) AS (SELECT * FROM ({top}) AS top UNION
            SELECT c.id FROM storefront_category c JOIN below ON c.parent_id = below.id) SELECT id FROM below""",  # noqa: S608
            params,
        )
        return tuple(key for (key,) in cursor.fetchall())


def _conditions(wanted: ProductFilter) -> Iterable[db.Q]:
    if wanted.category_ids is not None:
        in_them = Product.categories.through.objects.filter(category_id__in=wanted.category_ids)
        yield db.Q(pk__in=in_them.values("product_id"))
    if wanted.vendors:
        yield db.Q(vendor__in=wanted.vendors)
    if wanted.product_types:
        yield db.Q(product_type__in=wanted.product_types)
    if wanted.tags:
        tagged = Product.tags.through.objects.filter(tag__name__in=wanted.tags)
        yield db.Q(pk__in=tagged.values("product_id"))
    if wanted.price_gte is not None:
        yield db.Q(min_price__gte=wanted.price_gte)
    if wanted.price_lte is not None:
        yield db.Q(min_price__lte=wanted.price_lte)
    if wanted.ids is not None:
        yield db.Q(pk__in=wanted.ids)
    if wanted.options or wanted.available is not None:
        yield _has_variant(wanted)


def variants_wanted(wanted: ProductFilter) -> db.QuerySet[ProductVariant]:
    """The variants that have every option that is wanted, and can be had if that is."""
    variants = ProductVariant.objects.all()
    for option in wanted.options:
        variants = variants.filter(
            db.Q(product__option1_name=option.name, option1__in=option.values)
            | db.Q(product__option2_name=option.name, option2__in=option.values)
            | db.Q(product__option3_name=option.name, option3__in=option.values)
        )
    if wanted.available:
        variants = variants.filter(db.Exists(Stock.objects.filter(stock.SELLABLE, variant=db.OuterRef("pk"))))
    return variants


def _has_variant(wanted: ProductFilter) -> db.Q:
    def among(variants: db.QuerySet[ProductVariant]) -> db.Q:
        return db.Q(db.Exists(variants.filter(product=db.OuterRef("pk"))))

    found = among(variants_wanted(wanted))
    # Not available: it has the options, and none of those variants can be had.
    return found & ~among(variants_wanted(replace(wanted, available=True))) if wanted.available is False else found
