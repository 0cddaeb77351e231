"""Which state the public catalogue is in: whoever keeps an answer asks whether it is still of this version.

Each write to the catalogue's tables makes a new version in its own transaction, by the database itself, so that none
is forgotten and none is half done; docs/adr/0023 tells why it is not a number in one row.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection, connections
from django.db.models import BigIntegerField, Expression, F
from django.db.models.sql.compiler import SQLCompiler

from domain.base.replicas import PRIMARY
from storefront.models import CatalogueVersion


class Version(NamedTuple):
    """A later one is greater. `published` is the time of the last publication (a timestamp): a product that was
    scheduled makes a new version by appearing."""

    changes: int
    published: float


def current(*, now: datetime, database: str = PRIMARY) -> Version:
    """The version that is committed there. What is read there after it, or in the primary, is of this version or a
    later. In one statement of plain SQL: with caching this is all that most answers cost the database."""
    there = connections[database]
    with there.cursor() as cursor:
        cursor.execute(_CURRENT, [there.ops.adapt_datetimefield_value(now)])
        changes, last = cursor.fetchone()
    if isinstance(last, str):  # SQLite has no type for it.
        last = datetime.fromisoformat(last).replace(tzinfo=UTC)
    return Version(changes, last.timestamp() if last else 0.0)


class Changes(Expression):
    """A version's `changes`, read along with whatever they annotate. NULL in a transaction that makes a change itself:
    what it reads may yet be undone, and the number be another's."""

    output_field = BigIntegerField()

    def as_sql(self, _compiler: SQLCompiler, connection: Any) -> Any:
        return _CHANGES[connection.vendor], []


_SUM = "(SELECT CAST(COALESCE(SUM(changes), 0) AS bigint) FROM storefront_catalogueversion)"
# What `Product.objects.published` finds, the last of it: read from the index product_newest.
_CURRENT = f"SELECT {_SUM}, (SELECT MAX(published_at) FROM storefront_product WHERE published_at <= %s)"  # noqa: S608 (of constants)
_IS_OURS = "current_setting('commercia.catalogue_changed', true) = txid_current_if_assigned()::text"
# SQLite has one writer, and of what it undoes nobody knows: it cannot tell.
_CHANGES = {"sqlite": _SUM, "postgresql": f"CASE WHEN {_IS_OURS} THEN NULL ELSE {_SUM} END"}


def changes() -> int | None:
    """The same by itself, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_CHANGES[connection.vendor]}")
        found: int | None = cursor.fetchone()[0]
    return found


def change() -> None:
    """Makes a new version, with the transaction at hand. It waits for nobody. For what no trigger knows."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT storefront_catalogue_changed()")
    elif not CatalogueVersion.objects.update(changes=F("changes") + 1):
        CatalogueVersion.objects.create()
