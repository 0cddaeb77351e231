"""The tables whose writes make a new catalogue version, and the database triggers that count these writes.

To add a table, list it here and add a migration whose last operation is CREATE_TRIGGERS (docs/caching.md).
"""

from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper

# The tables that public fields read. tests/schema/base/test_public_reads.py derives this list from the schema.
PUBLIC_TABLES = (
    "storefront_category",
    "storefront_tag",
    "storefront_product",
    "storefront_product_categories",
    "storefront_product_tags",
    "storefront_image",
    "storefront_productvariant",
    "storefront_searchdocument",
    "storefront_currency",
    "storefront_variantprice",
)
# The tables that domain/sales/rates_cache.py caches.
RATE_TABLES = (
    "storefront_taxrate",
    "storefront_shippingzone",
    "storefront_shippingmethod",
    "storefront_weightband",
)
# Tables that public fields read, but that need no trigger, with the reason.
WITHOUT_TRIGGER = {
    "storefront_stock": "domain.catalog.stock makes a new version when a sale changes what the public sees.",
}
# Tables that the database derives from another table: full-text indexes and their words.
DERIVED_FROM = {
    "storefront_searchword": "storefront_searchdocument",
    "product_search": "storefront_searchdocument",
    "product_words": "storefront_searchdocument",
}

_WRITES = ("insert", "update", "delete")
_SQLITE_BODY = """
BEGIN
    INSERT INTO storefront_catalogueversion (changes)
        SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM storefront_catalogueversion);
    UPDATE storefront_catalogueversion SET changes = changes + 1;
END"""


def tables_with_triggers(*, connection: BaseDatabaseWrapper) -> set[str]:
    """The tables that have all of their triggers."""
    return {table for table, missing in _statements(connection, _tables_of(connection)).items() if not missing}


def _tables_of(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)


def _statements(connection: BaseDatabaseWrapper, tables: list[str]) -> dict[str, list[str]]:
    """For each table, the SQL statements that create its missing triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
                "WHERE tgname = 'catalogue_version' AND pg_table_is_visible(tgrelid)"
            )
            found = {name for (name,) in cursor.fetchall()}
            create = (
                "CREATE TRIGGER catalogue_version AFTER INSERT OR UPDATE OR DELETE ON {} "
                "FOR EACH STATEMENT EXECUTE FUNCTION storefront_catalogue_written()"
            )
            return {table: [] if table in found else [create.format(table)] for table in tables}
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        found = {name for (name,) in cursor.fetchall()}
    return {
        table: [
            f"CREATE TRIGGER {_name(table, write)} AFTER {write} ON {table} {_SQLITE_BODY}"
            for write in _WRITES
            if _name(table, write) not in found
        ]
        for table in tables
    }


def _name(table: str, write: str) -> str:
    return f"catalogue_version_{table.removeprefix('storefront_')}_{write}"


def _create(_apps: Any, schema_editor: Any) -> None:
    """Creates missing triggers. Skips tables that do not exist yet: a later migration creates those."""
    connection = schema_editor.connection
    existing = set(_tables_of(connection))
    tables = [table for table in (*PUBLIC_TABLES, *RATE_TABLES) if table in existing]
    for statements in _statements(connection, tables).values():
        for statement in statements:
            schema_editor.execute(statement)


# Also needed after a migration that makes SQLite rebuild a table, which drops the table's triggers.
CREATE_TRIGGERS = migrations.RunPython(_create, migrations.RunPython.noop)
