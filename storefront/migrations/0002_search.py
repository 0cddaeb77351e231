"""The full-text index over SearchDocument, which each database derives by itself from the plain columns.

A later migration that makes SQLite rebuild that table must create these triggers again.
"""

from django.db import migrations

POSTGRESQL = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
ALTER TABLE storefront_searchdocument ADD COLUMN vector tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('english', title) || to_tsvector('simple', title), 'A')
    || setweight(to_tsvector('english', keywords) || to_tsvector('simple', keywords), 'B')
    || setweight(to_tsvector('english', body) || to_tsvector('simple', body), 'D')
) STORED;
CREATE INDEX searchdocument_vector ON storefront_searchdocument USING gin (vector);
CREATE INDEX searchdocument_names ON storefront_searchdocument USING gin ((title || ' ' || keywords) gin_trgm_ops);
"""
POSTGRESQL_BACK = """
DROP INDEX searchdocument_names;
ALTER TABLE storefront_searchdocument DROP COLUMN vector;
"""

SQLITE = [
    """CREATE VIRTUAL TABLE product_search USING fts5(
        title, keywords, body, content='storefront_searchdocument', content_rowid='product_id',
        tokenize='porter unicode61', prefix='2 3')""",
    "CREATE VIRTUAL TABLE product_words USING fts5vocab(product_search, 'row')",
    """CREATE TRIGGER product_search_insert AFTER INSERT ON storefront_searchdocument BEGIN
        INSERT INTO product_search(rowid, title, keywords, body)
        VALUES (new.product_id, new.title, new.keywords, new.body);
    END""",
    """CREATE TRIGGER product_search_delete AFTER DELETE ON storefront_searchdocument BEGIN
        INSERT INTO product_search(product_search, rowid, title, keywords, body)
        VALUES ('delete', old.product_id, old.title, old.keywords, old.body);
    END""",
    """CREATE TRIGGER product_search_update AFTER UPDATE ON storefront_searchdocument BEGIN
        INSERT INTO product_search(product_search, rowid, title, keywords, body)
        VALUES ('delete', old.product_id, old.title, old.keywords, old.body);
        INSERT INTO product_search(rowid, title, keywords, body)
        VALUES (new.product_id, new.title, new.keywords, new.body);
    END""",
]
SQLITE_BACK = [
    "DROP TRIGGER product_search_insert",
    "DROP TRIGGER product_search_delete",
    "DROP TRIGGER product_search_update",
    "DROP TABLE product_words",
    "DROP TABLE product_search",
]


def run(postgresql, sqlite):
    def operation(apps, schema_editor):
        statements = sqlite if schema_editor.connection.vendor == "sqlite" else [postgresql]
        for statement in statements:
            schema_editor.execute(statement)

    return operation


class Migration(migrations.Migration):
    dependencies = [("storefront", "0001_shop")]
    operations = [migrations.RunPython(run(POSTGRESQL, SQLITE), run(POSTGRESQL_BACK, SQLITE_BACK))]
