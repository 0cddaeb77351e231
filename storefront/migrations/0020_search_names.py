"""A full-text index of names alone (title, vendor, type, tags, SKUs, categories), on PostgreSQL: words that many products
have are looked for in it first, and descriptions are only looked at for words that few have in their names.

It is of what the column `vector` holds already, and made while the shop goes on writing.
"""

from django.db import migrations

DROP = "DROP INDEX CONCURRENTLY IF EXISTS searchdocument_names"  # Also what an attempt left that was broken off.
CREATE = """CREATE INDEX CONCURRENTLY searchdocument_names
    ON storefront_searchdocument USING gin (ts_filter(vector, '{a,b}'))"""


def run(*statements):
    def operation(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for sql in statements:
                schema_editor.execute(sql)

    return operation


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("storefront", "0019_catalogue_indexes")]
    operations = [migrations.RunPython(run(DROP, CREATE), run(DROP))]
