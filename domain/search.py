"""Finding products by words: SQLite's FTS5 or PostgreSQL's full text, behind `understand`.

Both find word beginnings and other forms of a word, and neither minds accents or case. Where nothing matches
as it was typed, likely misspellings are tried: by trigrams on PostgreSQL, by the nearest known words on SQLite.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import nh3
from django.db import connection
from django.db.models import BigIntegerField, QuerySet
from django.db.models.expressions import RawSQL

from storefront.models import Product, SearchDocument

MAX_LENGTH = 200
_MAX_WORDS = 8
_TRIGRAM_THRESHOLD = "0.3"
_AT_ONCE = 200


def _words(text: str) -> list[str]:
    """Lower case, without accents and punctuation: as documents are stored and questions are asked."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(char for char in decomposed if not unicodedata.combining(char)))


def index(products: QuerySet[Product]) -> None:
    """Writes down the words that these products are to be found by. Call it, inside the transaction, after a change
    of them, or of the names of what they hang on."""
    whole = products.order_by("pk").prefetch_related("variants", "tags", "categories")
    for start in range(0, len(keys := list(products.order_by("pk").values_list("pk", flat=True))), _AT_ONCE):
        SearchDocument.objects.bulk_create(
            [_document(product) for product in whole.filter(pk__in=keys[start : start + _AT_ONCE])],
            update_conflicts=True,
            unique_fields=["product"],
            update_fields=["title", "keywords", "body"],
        )


def _document(product: Product) -> SearchDocument:
    names = [str(each) for part in (product.tags, product.variants, product.categories) for each in part.all()]
    keywords = [product.vendor, product.product_type, *names]
    return SearchDocument(
        product=product,
        title=" ".join(_words(product.title)),
        keywords=" ".join(_words(" ".join(keywords))),
        body=" ".join(_words(nh3.clean(product.description_html.replace("<", " <"), tags=set()))),
    )


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as SQL: the keys of the products that match, and one product's score (a whole number)."""

    matches: RawSQL
    score: RawSQL

    def among(self, products: QuerySet[Product]) -> QuerySet[Product]:
        """Those of the products that match, each with its `score`, best highest."""
        return products.filter(pk__in=self.matches).annotate(score=self.score)


def understand(text: str) -> Question:
    """The question for products that match every word of the text."""
    words = _words(text[:MAX_LENGTH])[:_MAX_WORDS]
    if not words:
        return Question(matches=RawSQL("SELECT 0 WHERE 1 = 0", []), score=_score("SELECT 0"))
    return _for_postgresql(words) if connection.vendor == "postgresql" else _for_sqlite(words)


def _score(sql: str, *params: str) -> RawSQL:
    return RawSQL(sql, params, output_field=BigIntegerField())


def _for_postgresql(words: Sequence[str]) -> Question:
    # English knows other forms of a word, and drops "the" and "her"; simple keeps each beginning as it was typed.
    asked = "(to_tsquery('english', %s) || to_tsquery('simple', %s))"
    documents = "FROM storefront_searchdocument d WHERE"
    own = f"{documents} d.product_id = storefront_product.id"
    query = " & ".join(f"{word}:*" for word in words)
    if _rows(f"SELECT 1 {documents} d.vector @@ {asked} LIMIT 1", query, query):
        return Question(
            matches=RawSQL(f"SELECT d.product_id {documents} d.vector @@ {asked}", [query, query]),
            score=_score(f"SELECT (1000000 * ts_rank(d.vector, {asked}))::bigint {own}", query, query),
        )
    _rows("SELECT set_config('pg_trgm.word_similarity_threshold', %s, false)", _TRIGRAM_THRESHOLD)
    names = "(d.title || ' ' || d.keywords)"
    similar = " AND ".join([f"%s <%% {names}"] * len(words))
    closeness = " + ".join([f"word_similarity(%s, {names})"] * len(words))
    return Question(
        matches=RawSQL(f"SELECT d.product_id {documents} {similar}", words),
        score=_score(f"SELECT (1000000 * ({closeness}))::bigint {own}", *words),
    )


def _for_sqlite(words: Sequence[str]) -> Question:
    query = " ".join(f'"{word}"*' for word in words)
    found = "FROM product_search WHERE product_search MATCH %s"
    if not _rows(f"SELECT 1 {found} LIMIT 1", query):
        query = " AND ".join(_like(word) for word in words)
    own = f"{found} AND product_search.rowid = storefront_product.id"
    return Question(
        matches=RawSQL(f"SELECT rowid {found}", [query]),
        score=_score(f"SELECT CAST(-1e12 * bm25(product_search, 10, 5, 1) AS INTEGER) {own}", query),
    )


def _like(word: str) -> str:
    """An FTS5 expression for the word, or for the known ones that it may have been meant to be."""
    known = [term for (term,) in _rows("SELECT term FROM product_words")]
    meant = [word] if any(term.startswith(word) for term in known) else difflib.get_close_matches(word, known)
    return "(" + " OR ".join(f'"{term}"*' for term in meant or [word]) + ")"


def _rows(sql: str, *params: str) -> list[tuple[str]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
