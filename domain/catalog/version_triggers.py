"""The tables whose writes make a new version of the catalogue, and the triggers by which the database counts them.

To add a table: name it here, and add a migration whose last operation is CREATE_TRIGGERS (docs/caching.md).
"""

from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper

# What public fields read. tests/schema/base/test_public_reads.py derives the same list from the schema.
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
# What a process keeps in memory for every cart: domain/sales/rates_cache.py.
RATE_TABLES = (
    "storefront_taxrate",
    "storefront_shippingzone",
    "storefront_shippingmethod",
    "storefront_weightband",
)
# What public fields read too, and needs no trigger, with the reason.
WITHOUT_TRIGGER = {
    "storefront_stock": "domain.catalog.stock makes a new version when a sale changes what the public sees.",
}
# What the database itself fills from one of these tables: full-text indexes and their words.
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


def tables_with_triggers(connection: BaseDatabaseWrapper) -> set[str]:
    """The tables of which every write makes a new version."""
    return {table for table, missing in _statements(connection, _tables_of(connection)).items() if not missing}


def _tables_of(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)


def _statements(connection: BaseDatabaseWrapper, tables: list[str]) -> dict[str, list[str]]:
    """By table, the statements that create the triggers it does not have yet."""
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
    """Those of tables that a later migration creates are left to that migration."""
    connection = schema_editor.connection
    existing = set(_tables_of(connection))
    tables = [table for table in (*PUBLIC_TABLES, *RATE_TABLES) if table in existing]
    for statements in _statements(connection, tables).values():
        for statement in statements:
            schema_editor.execute(statement)


# Creates the triggers that are missing. SQLite drops those of a table that it rebuilds: then, too, this creates them.
CREATE_TRIGGERS = migrations.RunPython(_create, migrations.RunPython.noop)
