"""The catalogue's version, which each database raises by itself whenever one of the catalogue's tables is written.

A later migration that makes SQLite rebuild one of these tables must create its triggers again (call `watch`), as must
one that adds a table to what the public is shown: tests/domain/catalog/test_catalog_version.py tries each.
"""

from django.db import migrations, models

TABLES = [
    "category",
    "tag",
    "product",
    "product_categories",
    "product_tags",
    "image",
    "productvariant",
    "searchdocument",
    "currency",
    "variantprice",
]

# Once a transaction: it notes that it has counted in a setting of its own, which a rollback to a savepoint takes back.
POSTGRESQL = """
CREATE FUNCTION storefront_catalogue_changed() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('commercia.catalogue_changed', true) = txid_current()::text THEN
        RETURN;
    END IF;
    UPDATE storefront_catalogueversion SET changes = changes + 1 WHERE id = (
        SELECT id FROM storefront_catalogueversion ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    );
    IF NOT FOUND THEN
        INSERT INTO storefront_catalogueversion (changes) VALUES (1);
    END IF;
    PERFORM set_config('commercia.catalogue_changed', txid_current()::text, true);
END $$;
CREATE FUNCTION storefront_catalogue_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM storefront_catalogue_changed();
    RETURN NULL;
END $$;
"""
SQLITE = """
BEGIN
    INSERT INTO storefront_catalogueversion (changes)
        SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM storefront_catalogueversion);
    UPDATE storefront_catalogueversion SET changes = changes + 1;
END"""
POSTGRESQL_BACK = """
DROP FUNCTION storefront_catalogue_written();
DROP FUNCTION storefront_catalogue_changed();
"""


def watch(schema_editor, table):
    """Has every write to the table raise the catalogue's version."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"""
            CREATE TRIGGER catalogue_version AFTER INSERT OR UPDATE OR DELETE ON storefront_{table}
            FOR EACH STATEMENT EXECUTE FUNCTION storefront_catalogue_written()""")
        return
    for write in ("insert", "update", "delete"):
        name = f"catalogue_version_{table}_{write}"
        schema_editor.execute(f"CREATE TRIGGER {name} AFTER {write} ON storefront_{table} {SQLITE}")


def unwatch(schema_editor, table):
    """Takes that back."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER catalogue_version ON storefront_{table}")
        return
    for write in ("insert", "update", "delete"):
        schema_editor.execute(f"DROP TRIGGER catalogue_version_{table}_{write}")


def forwards(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL)
    for table in TABLES:
        watch(schema_editor, table)


def backwards(apps, schema_editor):
    for table in TABLES:
        unwatch(schema_editor, table)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL_BACK)


class Migration(migrations.Migration):
    dependencies = [("storefront", "0017_imports")]
    operations = [
        migrations.CreateModel(
            name="CatalogueVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("changes", models.PositiveBigIntegerField(default=1)),
            ],
        ),
        migrations.RunPython(forwards, backwards),
    ]
