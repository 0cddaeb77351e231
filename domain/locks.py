"""Every row lock of the domain. Order everywhere: cart, order or product, then stock rows sorted by key.

On SQLite a transaction is IMMEDIATE and holds the one write lock from its beginning: the same effect.
"""

from collections.abc import Iterable
from typing import TypeVar

from django.db import models as db
from django.db import transaction

from storefront.models import Cart, Order, Product, Stock

Row = TypeVar("Row", bound=db.Model)


def _locked(rows: db.QuerySet[Row]) -> db.QuerySet[Row]:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("A lock is held by a transaction: open one first.")
    return rows.select_for_update(of=("self",)).order_by("pk")


def cart(candidates: db.QuerySet[Cart]) -> Cart | None:
    """Locks the cart that the query finds; None when there is none (any more)."""
    return _locked(candidates).first()


def order(candidates: db.QuerySet[Order]) -> Order | None:
    """Locks the order that the query finds."""
    return _locked(candidates).first()


def product(candidates: db.QuerySet[Product]) -> Product | None:
    """Locks the product that the query finds, and with it the right to write its variants."""
    return _locked(candidates).first()


def stock(variant_ids: Iterable[int]) -> list[Stock]:
    """Locks these variants' stock rows, by primary key, so that no two buyers wait for each other."""
    return list(_locked(Stock.objects.filter(pk__in=list(variant_ids))))
