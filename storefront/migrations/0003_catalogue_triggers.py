"""The catalogue's version, which each database raises by itself whenever one of the catalogue's tables is written.

On a database that was made by the migrations which 0001 replaces, everything here is there already and stays.
"""

from django.db import migrations

from domain.catalog.version_triggers import CREATE_TRIGGERS

# Once a transaction: it notes that it has counted in a setting of its own, which a rollback to a savepoint takes back.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION storefront_catalogue_changed() RETURNS void LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION storefront_catalogue_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM storefront_catalogue_changed();
    RETURN NULL;
END $$;
"""


def create_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTIONS)


def drop_functions(apps, schema_editor):
    """With the triggers that call them; SQLite drops its triggers with their tables."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION storefront_catalogue_written() CASCADE")
        schema_editor.execute("DROP FUNCTION storefront_catalogue_changed()")


class Migration(migrations.Migration):
    # The last of the migrations that 0001 replaces: a database on which only some of them were applied is refused by it.
    dependencies = [("storefront", "0002_full_text_search"), ("storefront", "0021_terms_version")]
    operations = [migrations.RunPython(create_functions, drop_functions), CREATE_TRIGGERS]
