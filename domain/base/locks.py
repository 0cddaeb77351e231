"""Every lock of the domain. Order everywhere: e-mail, user, session, carts sorted by key, order or products sorted by
key, categories sorted by key, an upload of a picture, discounts sorted by key, then stock rows sorted by key. Counters
of attempts are locked alone.

On SQLite a transaction is IMMEDIATE and holds the one write lock from its beginning: the same effect.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

from django.db import models as db
from django.db import transaction

from domain.base.prepared_queries import Statement
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


_NO_TRANSACTION = "A lock is held by a transaction: open one first."


def _locking(rows: db.QuerySet[Row]) -> db.QuerySet[Row]:
    # `no_key`: a row that only refers to a locked one, as an order to its customer, does not wait for it.
    return rows.select_for_update(of=("self",), no_key=True).order_by("pk")


def _locked(rows: db.QuerySet[Row]) -> db.QuerySet[Row]:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(_NO_TRANSACTION)
    return _locking(rows)


class Lock(Statement[Row]):
    """A statement that locks what it finds, by primary key."""

    def __init__(self, rows: Callable[..., db.QuerySet[Row]], **fields: db.Field[Any, Any]) -> None:
        super().__init__(lambda **given: _locking(rows(**given)), **fields)

    def all(self, **values: Any) -> list[Row]:
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError(_NO_TRANSACTION)
        return super().all(**values)


_STOCK = Lock(lambda variants: Stock.objects.filter(variant__id__in=variants), variants=db.BigIntegerField())
_ORDER = Lock(lambda order: Order.objects.filter(pk=order), order=db.UUIDField())


def email(*, address: str) -> None:
    """Locks an e-mail address, whether an account has it or not, until the transaction ends."""
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise RuntimeError(_NO_TRANSACTION)
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(address.encode()).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])


def attempts(*, keys: Iterable[str]) -> list[Attempts]:
    """Locks counters, by key."""
    return list(_locked(Attempts.objects.filter(pk__in=list(keys))))


def user(*, candidates: db.QuerySet[User]) -> User | None:
    """Locks the account that the query finds, and with it the right to begin and end its sessions."""
    return _locked(candidates).first()


def sessions(*, candidates: db.QuerySet[Session]) -> list[Session]:
    """Locks the sessions that the query finds, by primary key, and with them their refresh tokens."""
    return list(_locked(candidates))


def carts(*, candidates: db.QuerySet[Cart]) -> list[Cart]:
    """Locks the carts that the query finds, by primary key."""
    return list(_locked(candidates))


def cart(*, candidates: db.QuerySet[Cart]) -> Cart | None:
    """Locks the cart that the query finds; None when there is none (any more)."""
    return _locked(candidates).first()


def order(*, candidates: db.QuerySet[Order]) -> Order | None:
    """Locks the order that the query finds."""
    return _locked(candidates).first()


def order_of(*, key: UUID) -> Order | None:
    """Locks the order that has this primary key."""
    return _ORDER.first(order=key)


def product(*, candidates: db.QuerySet[Product]) -> Product | None:
    """Locks the product that the query finds, and with it the right to write its variants."""
    return _locked(candidates).first()


def products(*, candidates: db.QuerySet[Product]) -> list[Product]:
    """Locks the products that the query finds, by primary key, and with them the right to write their variants."""
    return list(_locked(candidates))


def categories(*, candidates: db.QuerySet[Category]) -> list[Category]:
    """Locks the categories that the query finds, by primary key, and with them the right to hang something on them."""
    return list(_locked(candidates))


def image_upload(*, candidates: db.QuerySet[ImageUpload]) -> ImageUpload | None:
    """Locks the upload that the query finds, and with it the right to attach or to discard it."""
    return _locked(candidates).first()


def discounts(*, candidates: db.QuerySet[Discount]) -> list[Discount]:
    """Locks the discounts that the query finds, by primary key, and with them the right to count their uses."""
    return list(_locked(candidates))


def stock(*, variant_ids: Iterable[int]) -> list[Stock]:
    """Locks these variants' stock rows, by primary key, so that no two buyers wait for each other."""
    return _STOCK.all(variants=list(variant_ids))


def row(*, candidates: db.QuerySet[Row]) -> Row | None:
    """Locks a row of the shop's terms that staff change: alone, in no order with others."""
    return _locked(candidates).first()


def due_message(*, candidates: db.QuerySet[OutboxMessage]) -> OutboxMessage | None:
    """Locks the message that comes first, has been due longest and that nobody else is taking: alone."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(_NO_TRANSACTION)
    skip = transaction.get_connection().features.has_select_for_update_skip_locked
    return candidates.order_by("priority", "due_at", "id").select_for_update(skip_locked=skip).first()
