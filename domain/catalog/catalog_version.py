"""The version of the public catalogue. A cached response is valid while the version is unchanged.

Database triggers make a new version in the transaction that writes to a table of the catalogue, so that no write is
missed. docs/adr/0023 explains why the version is not a number in one row.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection, connections
from django.db.models import BigIntegerField, Expression, F
from django.db.models.sql.compiler import SQLCompiler

from domain.base.replicas import PRIMARY
from storefront.models import CatalogueVersion


class Version(NamedTuple):
    """Versions compare by age. `published` is the time of the last publication (Unix timestamp), so that a scheduled
    product makes a new version when it appears."""

    changes: int
    published: float


def current(*, now: datetime, database: str = PRIMARY) -> Version:
    """The committed version in a database. Later reads there, or from the primary, see this version or a newer one.

    It is one plain SQL statement, because it is the only one that most cached responses need.
    """
    source = connections[database]
    with source.cursor() as cursor:
        cursor.execute(_CURRENT, [source.ops.adapt_datetimefield_value(now)])
        changes, last = cursor.fetchone()
    if isinstance(last, str):  # SQLite has no type for times.
        last = datetime.fromisoformat(last).replace(tzinfo=UTC)
    return Version(changes, last.timestamp() if last else 0.0)


class Changes(Expression):
    """An annotation with the version's `changes`. NULL in a transaction that changes the catalogue itself, because its
    reads may be rolled back, and another transaction may get the same number."""

    output_field = BigIntegerField()

    def as_sql(self, _compiler: SQLCompiler, connection: Any) -> Any:
        return _CHANGES[connection.vendor], []


_SUM = "(SELECT CAST(COALESCE(SUM(changes), 0) AS bigint) FROM storefront_catalogueversion)"
# The newest of `Product.objects.published`, from the index product_newest.
_CURRENT = f"SELECT {_SUM}, (SELECT MAX(published_at) FROM storefront_product WHERE published_at <= %s)"  # noqa: S608 (of constants)
_IS_OURS = "current_setting('commercia.catalogue_changed', true) = txid_current_if_assigned()::text"
# SQLite cannot tell. It has one writer, and no other connection sees what is rolled back.
_CHANGES = {"sqlite": _SUM, "postgresql": f"CASE WHEN {_IS_OURS} THEN NULL ELSE {_SUM} END"}


def changes() -> int | None:
    """The value of `Changes`, read with one SQL statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_CHANGES[connection.vendor]}")
        found: int | None = cursor.fetchone()[0]
    return found


def change() -> None:
    """Makes a new version in the current transaction, for changes without a trigger. Does not wait for locks."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT storefront_catalogue_changed()")
    elif not CatalogueVersion.objects.update(changes=F("changes") + 1):
        CatalogueVersion.objects.create()
