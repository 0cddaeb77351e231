"""The full-text index over SearchDocument, which each database derives from the plain columns.

A later migration that makes SQLite rebuild that table must create its triggers again.
"""

from django.db import migrations

# `searchdocument_names` indexes names alone (title, vendor, type, tags, SKUs, categories): words that many products have
# are looked up there first. `storefront_searchword` holds the words of names, to correct misspelt ones; a word stays
# when the last product that had it goes, and finds nothing then. SQLite has them in the vocabulary of its index.
# Sorted, so that two transactions lock the same new words in the same order.
LEARN_WORDS = """
INSERT INTO storefront_searchword
SELECT DISTINCT word FROM regexp_split_to_table(NEW.title || ' ' || NEW.keywords, ' ') AS word WHERE length(word) BETWEEN 1 AND 50 ORDER BY word
ON CONFLICT DO NOTHING;
"""
POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    """ALTER TABLE storefront_searchdocument ADD COLUMN vector tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title) || to_tsvector('simple', title), 'A')
        || setweight(to_tsvector('english', keywords) || to_tsvector('simple', keywords), 'B')
        || setweight(to_tsvector('english', body) || to_tsvector('simple', body), 'D')
    ) STORED""",
    "CREATE INDEX searchdocument_vector ON storefront_searchdocument USING gin (vector)",
    "CREATE INDEX searchdocument_names ON storefront_searchdocument USING gin (ts_filter(vector, '{a,b}'))",
    """CREATE TABLE storefront_searchword (word text COLLATE "C" PRIMARY KEY)""",
    "CREATE INDEX searchword_word ON storefront_searchword USING gin (word gin_trgm_ops)",
    f"""CREATE FUNCTION storefront_learn_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    {LEARN_WORDS}
    RETURN NULL;
END $$""",
    """CREATE TRIGGER searchdocument_words AFTER INSERT OR UPDATE OF title, keywords ON storefront_searchdocument
    FOR EACH ROW EXECUTE FUNCTION storefront_learn_words()""",
]
POSTGRESQL_BACK = [
    "DROP TRIGGER searchdocument_words ON storefront_searchdocument",
    "DROP FUNCTION storefront_learn_words",
    "DROP TABLE storefront_searchword",
    "ALTER TABLE storefront_searchdocument DROP COLUMN vector",
]
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
        for statement in sqlite if schema_editor.connection.vendor == "sqlite" else postgresql:
            schema_editor.execute(statement)

    return operation


class Migration(migrations.Migration):
    replaces = [("storefront", "0002_search"), ("storefront", "0020_search_names")]
    dependencies = [("storefront", "0001_tables")]
    operations = [migrations.RunPython(run(POSTGRESQL, SQLITE), run(POSTGRESQL_BACK, SQLITE_BACK))]
