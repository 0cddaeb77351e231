"""Every row lock of the domain. A fixed order of locks prevents deadlocks.

The order: e-mail, user, session, carts, order or products, categories, image upload, discounts, stock rows. Rows of
one kind are locked by primary key. Attempt counters, outbox messages and `row` are locked alone.

On SQLite, transactions are IMMEDIATE and hold the database's one write lock from the start, with the same effect.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

from django.db import models as db
from django.db import transaction

from domain.base.prepared_queries import PreparedQuery
from storefront.models import (
    Attempts,
    Cart,
    Category,
    Discount,
    ImageUpload,
    Order,
    OutboxMessage,
    Product,
    Session,
    Stock,
    User,
)

Row = TypeVar("Row", bound=db.Model)


_NO_TRANSACTION = "Locks need a transaction: open one first."


def _for_update(rows: db.QuerySet[Row]) -> db.QuerySet[Row]:
    # With `no_key`, inserting a row that refers to a locked row (an order to its customer) does not wait.
    return rows.select_for_update(of=("self",), no_key=True).order_by("pk")


def _lock(rows: db.QuerySet[Row]) -> db.QuerySet[Row]:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(_NO_TRANSACTION)
    return _for_update(rows)


class Lock(PreparedQuery[Row]):
    """A prepared query that locks the rows it finds, in order of their primary keys."""

    def __init__(self, rows: Callable[..., db.QuerySet[Row]], **fields: db.Field[Any, Any]) -> None:
        super().__init__(lambda **given: _for_update(rows(**given)), **fields)

    def all(self, **values: Any) -> list[Row]:
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError(_NO_TRANSACTION)
        return super().all(**values)


_STOCK = Lock(lambda variants: Stock.objects.filter(variant__id__in=variants), variants=db.BigIntegerField())
_ORDER = Lock(lambda order: Order.objects.filter(pk=order), order=db.UUIDField())


def email(*, address: str) -> None:
    """Locks an e-mail address until the transaction ends, even if no account has it."""
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise RuntimeError(_NO_TRANSACTION)
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(address.encode()).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])


def attempts(*, keys: Iterable[str]) -> list[Attempts]:
    """Locks attempt counters."""
    return list(_lock(Attempts.objects.filter(pk__in=list(keys))))


def user(*, candidates: db.QuerySet[User]) -> User | None:
    """Locks an account. Held to begin or end its sessions."""
    return _lock(candidates).first()


def sessions(*, candidates: db.QuerySet[Session]) -> list[Session]:
    """Locks sessions. Held to change their refresh tokens."""
    return list(_lock(candidates))


def carts(*, candidates: db.QuerySet[Cart]) -> list[Cart]:
    """Locks carts."""
    return list(_lock(candidates))


def cart(*, candidates: db.QuerySet[Cart]) -> Cart | None:
    """Locks a cart. None if the query finds none, or none after waiting."""
    return _lock(candidates).first()


def order(*, candidates: db.QuerySet[Order]) -> Order | None:
    """Locks an order."""
    return _lock(candidates).first()


def order_by_id(*, order_id: UUID) -> Order | None:
    """Locks the order with this primary key."""
    return _ORDER.first(order=order_id)


def product(*, candidates: db.QuerySet[Product]) -> Product | None:
    """Locks a product. Held to write its variants and images."""
    return _lock(candidates).first()


def products(*, candidates: db.QuerySet[Product]) -> list[Product]:
    """Locks products. Held to write their variants."""
    return list(_lock(candidates))


def categories(*, candidates: db.QuerySet[Category]) -> list[Category]:
    """Locks categories. Held to move them or to add products, discounts or subcategories to them."""
    return list(_lock(candidates))


def image_upload(*, candidates: db.QuerySet[ImageUpload]) -> ImageUpload | None:
    """Locks an image upload. Held to attach or discard it."""
    return _lock(candidates).first()


def discounts(*, candidates: db.QuerySet[Discount]) -> list[Discount]:
    """Locks discounts. Held to count their uses."""
    return list(_lock(candidates))


def stock(*, variant_ids: Iterable[int]) -> list[Stock]:
    """Locks the variants' stock rows."""
    return _STOCK.all(variants=list(variant_ids))


def row(*, candidates: db.QuerySet[Row]) -> Row | None:
    """Locks one row of `domain.base.crud` or one import. It is never combined with other locks."""
    return _lock(candidates).first()


def due_message(*, candidates: db.QuerySet[OutboxMessage]) -> OutboxMessage | None:
    """Locks the most urgent due message, skipping those that another worker has locked."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(_NO_TRANSACTION)
    skip = transaction.get_connection().features.has_select_for_update_skip_locked
    return candidates.order_by("priority", "due_at", "id").select_for_update(skip_locked=skip).first()
