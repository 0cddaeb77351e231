"""The words that products are named by, on PostgreSQL: what a misspelt one may have been meant to be.

SQLite has them in the vocabulary of its full-text index (migration 0002). A word stays when the last product that had it
goes: it finds nothing then.
"""

from django.db import migrations, models

LEARN = """
INSERT INTO storefront_searchword
SELECT DISTINCT word FROM {source} WHERE length(word) BETWEEN 1 AND 50 ORDER BY word
ON CONFLICT DO NOTHING;
"""
# In order, so that two products saved at once take the same new words one after the other.
FORWARDS = f"""
CREATE TABLE storefront_searchword (word text COLLATE "C" PRIMARY KEY);
{LEARN.format(source="storefront_searchdocument d, regexp_split_to_table(d.title || ' ' || d.keywords, ' ') AS word")}
CREATE INDEX searchword_word ON storefront_searchword USING gin (word gin_trgm_ops);
CREATE FUNCTION storefront_learn_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    {LEARN.format(source="regexp_split_to_table(NEW.title || ' ' || NEW.keywords, ' ') AS word")}
    RETURN NULL;
END $$;
CREATE TRIGGER searchdocument_words AFTER INSERT OR UPDATE OF title, keywords ON storefront_searchdocument
    FOR EACH ROW EXECUTE FUNCTION storefront_learn_words();
DROP INDEX searchdocument_names;
"""
BACKWARDS = """
CREATE INDEX searchdocument_names ON storefront_searchdocument USING gin ((title || ' ' || keywords) gin_trgm_ops);
DROP TRIGGER searchdocument_words ON storefront_searchdocument;
DROP FUNCTION storefront_learn_words;
DROP TABLE storefront_searchword;
"""


def run(sql):
    def operation(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql)

    return operation


class Migration(migrations.Migration):
    dependencies = [("storefront", "0018_catalogue_version")]
    operations = [
        migrations.RunPython(run(FORWARDS), run(BACKWARDS)),
        migrations.AddIndex("product", models.Index(fields=["vendor", "-published_at", "id"], name="product_vendor")),
    ]
