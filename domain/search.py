"""Finding products by words: SQLite's FTS5 or PostgreSQL's full text, behind `understand`.

Both find word beginnings and other forms of a word, and neither minds accents or case. Where nothing matches as it was
typed, the known words most like the misspelt ones are tried.

On PostgreSQL the text is searched once a question: what it finds is asked for by its keys from then on, in lists,
counts and facets. Words that more than MANY products have are too common to be ranked: descriptions no longer count
then where names have them too (title, vendor, type, tags, SKUs, categories), and of what is still more than MANY the
newest come first.
"""

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import nh3
from django.db.models import BigIntegerField, QuerySet
from django.db.models.expressions import RawSQL

from domain import replicas
from storefront.models import Product, SearchDocument

MAX_LENGTH = 200
MANY = 1_000
_MAX_WORDS = 8
_TRIGRAM_THRESHOLD = "0.3"
_AT_ONCE = 200
_MOST_ALIKE = 50


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
    """What was asked, as SQL: the keys of the products that match, and one product's score (a whole number), the same
    for all where too many match to be ranked."""

    matches: RawSQL
    score: RawSQL
    is_ranked: bool = True

    def among(self, products: QuerySet[Product]) -> QuerySet[Product]:
        """Those of the products that match, each with its `score`, best highest."""
        return products.filter(pk__in=self.matches).annotate(score=self.score)


def understand(text: str) -> Question:
    """The question for products that match every word of the text."""
    words = _words(text[:MAX_LENGTH])[:_MAX_WORDS]
    if not words:
        return Question(matches=RawSQL("SELECT 0 WHERE 1 = 0", []), score=_score("SELECT 0"))
    return _for_postgresql(words) if replicas.connection().vendor == "postgresql" else _for_sqlite(words)


def _score(sql: str, *params: str) -> RawSQL:
    return RawSQL(sql, params, output_field=BigIntegerField())


def _for_postgresql(words: Sequence[str]) -> Question:
    for choices in _attempts(words):
        scores = _scores(_query(choices))
        if scores != {}:
            break
    if scores is None:
        scores = _scores(_query(choices, weights="AB"))
        if not scores:
            return _unranked(_query(choices, weights="" if scores == {} else "AB"))
    return Question(
        matches=RawSQL("SELECT unnest(%s::bigint[])", [list(scores)]),
        score=_score("(%s::jsonb ->> storefront_product.id::text)::bigint", json.dumps(scores)),
    )


# English knows other forms of a word, and drops "the" and "her"; simple keeps each beginning as it was typed.
_FOUND = """SELECT d.product_id, d.vector FROM storefront_searchdocument d
WHERE d.vector @@ (to_tsquery('english', %s) || to_tsquery('simple', %s))"""


def _attempts(words: Sequence[str]) -> Iterator[list[list[str]]]:
    """What may be meant, as choices of words for to_tsquery, the likeliest first. Beginnings cost, so those of words
    that more was typed after come second."""
    *typed, last = words
    if typed:
        yield [*([word] for word in typed), [f"{last}:*"]]
    yield [[f"{word}:*"] for word in words]
    yield [[f"{word}:*" for word in meant] for meant in _nearest(words)]


def _query(choices: Sequence[Sequence[str]], weights: str = "") -> str:
    """For to_tsquery: one word of each choice, in the parts of a document that have these weights."""

    def weighed(word: str) -> str:
        return word + weights if not weights or word.endswith("*") else f"{word}:{weights}"

    return " & ".join("(" + " | ".join(map(weighed, words)) + ")" for words in choices)


def _scores(query: str) -> dict[int, int] | None:
    """The score of each that matches; None where there are more than MANY, of which no score is worked out."""
    score = "(1000000 * ts_rank(found.vector, to_tsquery('english', %s) || to_tsquery('simple', %s)))::bigint"
    rows = _rows(
        f"""WITH found AS ({_FOUND} LIMIT {MANY + 1}) SELECT counted.rows, found.product_id, {score}
        FROM (SELECT count(*) AS rows FROM found) AS counted LEFT JOIN found ON counted.rows <= {MANY}""",
        *[query] * 4,
    )
    return None if rows[0][0] > MANY else {key: score for _, key, score in rows if key is not None}


def _unranked(query: str) -> Question:
    matches = RawSQL(f"SELECT found.product_id FROM ({_FOUND}) AS found", [query, query])
    return Question(matches=matches, score=_score("0"), is_ranked=False)


def _nearest(words: Sequence[str]) -> list[list[str]]:
    """Each word, or those known ones that it may have been meant to be."""
    known = """SELECT asked.word, (SELECT array_agg(it.word) FROM (
            SELECT w.word FROM storefront_searchword w WHERE asked.word <%% w.word
            ORDER BY similarity(asked.word, w.word) DESC, w.word LIMIT %s) AS it)
        FROM unnest(%s::text[]) AS asked(word) WHERE NOT EXISTS (
            SELECT FROM storefront_searchword w WHERE w.word >= asked.word AND w.word < asked.word || chr(1114111))"""
    with replicas.connection().cursor() as cursor:  # Both of one database.
        cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, false)", [_TRIGRAM_THRESHOLD])
        cursor.execute(known, [_MOST_ALIKE, list(words)])
        unknown = dict(cursor.fetchall())
    return [_alike(word, unknown[word] or ()) if word in unknown else [word] for word in words]


def _alike(word: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(word, known) or [word]


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
    meant = [word] if any(term.startswith(word) for term in known) else _alike(word, known)
    return "(" + " OR ".join(f'"{term}"*' for term in meant) + ")"


def _rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with replicas.connection().cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
