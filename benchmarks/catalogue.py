"""Fills an empty database with products to measure on: the same ones each time, 1,000 of them or 100,000.

    DATABASE_URL=postgres://… .venv/bin/python benchmarks/catalogue.py [products]

A tenth of them are shirts. Each hangs on two categories of a tree of three floors, has 1 to 6 variants with stock, 1
to 3 pictures (rows; no files) and 2 or 3 tags. Products already there are left alone, and numbering goes on after them.
"""

import itertools
import os
import random
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commercia.settings")
os.environ.setdefault("DEBUG", "true")
sys.path.insert(0, str(Path(__file__).parent.parent))

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from domain.catalog import search  # noqa: E402
from storefront.models import Category, Image, Product, ProductVariant, Stock, Tag  # noqa: E402

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
KINDS = ["shirt", "trousers", "jacket", "dress", "mug", "lamp", "rug", "bowl", "bag", "chair"]
MATERIALS = ["linen", "cotton", "wool", "oak", "steel", "leather", "ceramic", "canvas", "cork", "glass"]
MANNERS = ["washed", "striped", "plain", "woven", "brushed", "light", "heavy", "folded", "classic", "northern"]
PLACES = ["Harbour", "Meadow", "Summit", "River", "Island", "Forest", "Valley", "Coast", "Canyon", "Prairie"]
SIZES = ["XS", "S", "M", "L", "XL", "XXL"]
COLOURS = ["Sand", "Indigo", "Moss", "Rust", "Chalk", "Slate"]
VENDORS = [f"{first} {last}" for first in PLACES for last in ("Works", "Mills", "Studio", "Goods")]
TAGS = [f"{manner} {material}" for manner in MANNERS for material in MATERIALS[:5]]
BATCH = 2_000


def main(wanted: int) -> None:
    call_command("migrate", verbosity=0)
    settings.DEBUG = False  # Django would remember every statement.
    fill(wanted)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def fill(wanted: int) -> None:
    """Adds so many products."""
    dice = random.Random(1)  # noqa: S311 (nothing is kept secret by it)
    leaves = list(_categories())
    tags = [Tag.objects.get_or_create(name=name)[0] for name in TAGS]
    first = (Product.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
    for numbers in _batches(range(first, first + wanted)):
        with transaction.atomic():
            _fill(numbers, dice, leaves, tags)
            search.index(products=Product.objects.filter(pk__in=numbers))
        print(f"\r{numbers[-1] - first + 1:,} products", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _categories() -> Iterator[Category]:
    """The leaves of the tree: a root for each kind, a floor of materials, a floor of manners."""

    def saved(parent: Category | None, name: str) -> Category:
        slug = "-".join(filter(None, [parent and parent.slug, name]))
        return Category.objects.get_or_create(slug=slug, defaults={"parent": parent, "name": name.title()})[0]

    for kind in KINDS:
        root = saved(None, kind)
        for material in MATERIALS[:4]:
            branch = saved(root, material)
            yield from (saved(branch, manner) for manner in MANNERS[:3])


def _batches(numbers: Iterable[int]) -> Iterator[list[int]]:
    numbers = iter(numbers)
    while batch := list(itertools.islice(numbers, BATCH)):
        yield batch


def _fill(numbers: list[int], dice: random.Random, leaves: list[Category], tags: list[Tag]) -> None:
    made: dict[type, list[Any]] = {}

    def make(model: Any, **values: Any) -> Any:
        row = model(**values)
        made.setdefault(model, []).append(row)
        return row

    variants = (Product.objects.count() and ProductVariant.objects.order_by("-pk").values_list("pk", flat=True)[0]) or 0
    for number in numbers:
        product = make(Product, **_product(number, dice))
        hung = [
            dice.choice([leaf for leaf in leaves if leaf.slug.startswith(product.product_type)]),
            dice.choice(leaves),
        ]
        for leaf in {leaf.pk: leaf for leaf in hung}.values():
            make(Product.categories.through, product_id=number, category_id=leaf.pk)
        for tag in dice.sample(tags, dice.randint(2, 3)):
            make(Product.tags.through, product_id=number, tag_id=tag.pk)
        for position in range(dice.randint(1, 3)):
            make(Image, product_id=number, file=f"products/{number}-{position}.jpeg", alt=product.title, width=1200,
                 height=900, position=position)  # fmt: skip
        colour = dice.choice(COLOURS)
        for position in range(dice.randint(1, len(SIZES))):
            variants += 1
            size, price = SIZES[position], product.min_price + position
            product.max_price = price
            sku = f"{product.product_type[:3].upper()}-{number}-{size}"
            before = price + 10 if dice.random() < 0.2 else None
            make(ProductVariant, pk=variants, product_id=number, sku=sku, option1=size, option2=colour,
                 position=position, price=price, compare_at_price=before)  # fmt: skip
            make(Stock, variant_id=variants, on_hand=dice.choice([0, 2, 50, 500, 5_000]))
    for model, rows in made.items():
        model.objects.bulk_create(rows, batch_size=BATCH)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in (Product, ProductVariant):
                table = model._meta.db_table
                cursor.execute(f"SELECT setval(pg_get_serial_sequence(%s, 'id'), max(id)) FROM {table}", [table])  # noqa: S608


def _product(number: int, dice: random.Random) -> dict[str, Any]:
    kind, material, manner, place = map(dice.choice, (KINDS, MATERIALS, MANNERS, PLACES))
    about = " ".join(dice.choice(MATERIALS + MANNERS + KINDS[4:]) for _ in range(60))
    return {
        "pk": number,
        "slug": f"{place}-{manner}-{material}-{kind}-{number}".lower(),
        "title": f"{place} {manner} {material} {kind} {number}".capitalize(),
        "description_html": f"<p>{about.capitalize()}.</p>",
        "vendor": dice.choice(VENDORS),
        "product_type": kind,
        "option1_name": "Size",
        "option2_name": "Colour",
        "published_at": BEGAN + timedelta(minutes=dice.randrange(500_000)),
        "min_price": (price := Decimal(dice.randrange(500, 50_000)) / 100),
        "max_price": price,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
