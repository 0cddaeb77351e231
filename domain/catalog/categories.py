"""Writes the category tree. `domain.catalog.browse.CategoryTree` reads it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain, count
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from domain.base import change_log, crud, locks
from domain.base.errors import InvalidInput, NotFound
from domain.catalog import search
from storefront.models import Category, Product, User

Path = tuple[str, ...]


@transaction.atomic(durable=True)
def save(
    *, key: int | None, version: int | None = None, values: Mapping[str, Any], actor: User | None, now: datetime
) -> Category:
    """Creates a category, or updates the one with this key. Columns that `values` does not name keep their values.

    A new category without a slug gets one made from its name. A new name is indexed for search. Raises InvalidInput
    (also for a parent below the category itself), NotFound, StaleVersion.
    """
    locks.categories(candidates=Category.objects.all())  # Else two moves at once could make a cycle.
    if key is None and not values.get("slug"):
        values = {**values, "slug": slug_of(name=str(values.get("name") or ""))}
    rows = Category.objects.all()
    before = None if key is None else rows.filter(pk=key).values_list("name", flat=True).first()
    row = crud.write(rows=rows, key=key, version=version, values=values, links={}, parts={}, actor=actor, now=now)
    if key is not None and row.name != before:
        search.index(products=Product.objects.filter(categories=row))
    return row


@transaction.atomic(durable=True)
def delete(*, key: int, version: int | None = None, actor: User | None, now: datetime) -> None:
    """Deletes a category that nothing refers to. Raises NotFound, StaleVersion, InUse.

    Discounts count as references: a discount that lost its last category would apply to all goods.
    """
    row = next(
        (category for category in locks.categories(candidates=Category.objects.all()) if category.pk == key), None
    )
    if row is None:
        raise NotFound("This category does not exist.", field=["id"])
    change_log.check_version(row=row, seen=version)
    hanging = {"product": row.products, "discount": row.discounts, "category": row.children}
    if kinds := [kind for kind, rows in hanging.items() if rows.exists()]:
        raise crud.in_use_error(kinds=kinds)
    crud.delete_locked_row(row=row, actor=actor, now=now)


def find_or_create(*, paths: Sequence[int | Path]) -> set[Category]:
    """The categories with these keys or paths (names from a root down). Creates the missing categories of a path.

    Call inside a transaction. Raises NotFound for keys, InvalidInput for paths.
    """
    keys = {path for path in paths if isinstance(path, int)}
    found = set(Category.objects.filter(pk__in=keys))
    if len(found) < len(keys):
        raise NotFound("This category does not exist.", field=["category_ids"])
    return found | {_find_or_create_path(path) for path in paths if not isinstance(path, int)}


def lock(*, keys: Collection[int], field: str) -> None:
    """Locks categories that are about to be referred to, so that they cannot be deleted. Raises NotFound."""
    if keys and len(locks.categories(candidates=Category.objects.filter(pk__in=keys))) < len(keys):
        raise NotFound("This category does not exist.", field=[field])


def _find_or_create_path(path: Path) -> Category:
    known = {(category.parent_id, category.name): category for category in Category.objects.filter(name__in=path)}
    category: Category | None = None
    for depth, name in enumerate(path, start=1):
        child = known.get((category.pk if category else None, name))
        if child is None:
            child = Category(parent=category, name=name, slug=_free_slug(path[:depth]))
            crud.check_columns(row=child, exclude=["parent"])
            child.save()
        category = child
    if category is None:
        raise InvalidInput("A category needs a name.", field=["categories"])
    return category


def slug_of(*, name: str) -> str:
    return slugify(name, allow_unicode=True)[:90]


def _free_slug(path: Sequence[str]) -> str:
    """A slug from the category's name, else from its whole path, else the latter with a number."""
    short, long = (slug_of(name=text) or "category" for text in (path[-1], " ".join(path)))
    taken = set(Category.objects.values_list("slug", flat=True))
    candidates = chain([short, long], (f"{long}-{number}" for number in count(2)))
    return next(slug for slug in candidates if slug not in taken)
