"""Full-text search for products, with SQLite's FTS5 or PostgreSQL's text search, behind `parse_query`.

Both match prefixes and other forms of a word, and ignore accents and case. If nothing matches the text as typed, the
known words that are most similar to the misspelt ones are tried.

On PostgreSQL, one statement searches and counts; later queries use the keys that it found. A search that matches more
than MAX_RANKED products is not ranked: it ignores descriptions if enough names match (title, vendor, type, tags, SKUs,
categories), and lists the newest products first. All matches can be paged and filtered; only counts stop at
MAX_RANKED, and facets use a sample of SAMPLE_SIZE.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import nh3
from django.db.models import BigIntegerField, QuerySet
from django.db.models.expressions import RawSQL

from domain.base import replicas
from storefront.models import Product, SearchDocument

MAX_LENGTH = 200
MAX_RANKED = 1_000
SAMPLE_SIZE = 200
_MAX_WORDS = 8
_TRIGRAM_THRESHOLD = "0.3"
_BATCH_SIZE = 200
_MAX_CANDIDATES = 50


def _words(text: str) -> list[str]:
    """The words in lower case, without accents and punctuation: the form of stored documents and of queries."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(char for char in decomposed if not unicodedata.combining(char)))


def index(*, products: QuerySet[Product]) -> None:
    """Updates the products' search documents. Call it after a change of a product or of a name of its categories, in
    the same transaction."""
    whole = products.order_by("pk").prefetch_related("variants", "tags", "categories")
    for start in range(0, len(keys := list(products.order_by("pk").values_list("pk", flat=True))), _BATCH_SIZE):
        SearchDocument.objects.bulk_create(
            [_document(product) for product in whole.filter(pk__in=keys[start : start + _BATCH_SIZE])],
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
class SearchQuery:
    """A search as SQL: `matches` are the matching products' keys, `score` is one product's score (a whole number).

    If too many match to be ranked, all scores are equal, and `sample_keys` are the keys of SAMPLE_SIZE of them.
    `count` is the number of matches, at most MAX_RANKED + 1; None if it is not known yet.
    """

    matches: RawSQL
    score: RawSQL
    count: int | None = None
    sample_keys: RawSQL | None = None

    @property
    def is_ranked(self) -> bool:
        return self.sample_keys is None

    @property
    def sample(self) -> "SearchQuery":
        """The same query for the sample only, if too many products match."""
        return replace(self, matches=self.sample_keys) if self.sample_keys else self

    def filter(self, products: QuerySet[Product]) -> QuerySet[Product]:
        """The products that match, each with its `score` (higher is better)."""
        return products.filter(pk__in=self.matches).annotate(score=self.score)


def parse_query(*, text: str, now: datetime | None = None) -> SearchQuery:
    """The query for products that match every word of the text. With `now`, it ranks and counts only products that are
    published then."""
    words = _words(text[:MAX_LENGTH])[:_MAX_WORDS]
    if not words:
        return SearchQuery(matches=RawSQL("SELECT 0 WHERE 1 = 0", []), score=_score("SELECT 0"))
    return _for_postgresql(words, now) if replicas.connection().vendor == "postgresql" else _for_sqlite(words)


def _score(sql: str, *params: Any) -> RawSQL:
    return RawSQL(sql, params, output_field=BigIntegerField())


def _for_postgresql(words: Sequence[str], now: datetime | None) -> SearchQuery:
    for choices in _interpretations(words):
        found = _find(_to_tsquery(choices), now)
        if found.count:
            break
    keys = RawSQL("SELECT unnest(%s::bigint[])", [found.keys])
    if found.count <= MAX_RANKED:
        score = _score("(%s::jsonb ->> storefront_product.id::text)::bigint", found.scores)
        return SearchQuery(matches=keys, score=score, count=found.count)
    part = _NAMES if found.is_names_only else _WHOLE
    sql = f"SELECT d.product_id FROM storefront_searchdocument d WHERE {part} @@ %s::tsquery"
    return SearchQuery(matches=RawSQL(sql, [found.tsquery]), score=_score("0"), count=found.count, sample_keys=keys)


def _interpretations(words: Sequence[str]) -> Iterator[list[list[str]]]:
    """What the text may mean, likeliest first, as alternatives for each word. Prefixes are slow, so the first try uses
    one for the last word only."""
    *typed, last = words
    if typed:
        yield [*([word] for word in typed), [f"{last}:*"]]
    yield [[f"{word}:*"] for word in words]
    yield [[f"{word}:*" for word in meant] for meant in _with_corrections(words)]


def _to_tsquery(choices: Sequence[Sequence[str]]) -> str:
    """A text for to_tsquery that matches one word of each choice."""
    return " & ".join("(" + " | ".join(words) + ")" for words in choices)


# The searched parts of a document: all, or titles and keywords. Each has an index.
_WHOLE, _NAMES = "d.vector", "ts_filter(d.vector, '{a,b}')"
# A subquery, because the planner sometimes starts a join with the wrong table.
_PUBLISHED = "AND (SELECT p.published_at FROM storefront_product p WHERE p.id = d.product_id) <= %(now)s"


def _any_form(query: str) -> str:
    """Matches other forms of a word ('english', which drops "the" and "her") or the word as typed ('simple')."""
    return f"to_tsquery('english', %({query})s) || to_tsquery('simple', %({query})s)"


def _any_form_once(query: str) -> str:
    """The same, without searching twice if both are equal."""
    english, simple = f"to_tsquery('english', %({query})s)", f"to_tsquery('simple', %({query})s)"
    return f"CASE WHEN {english} = {simple} THEN {simple} ELSE {_any_form(query)} END"


@dataclass(frozen=True, slots=True)
class _Found:
    """`keys` and `scores` of all matches, up to MAX_RANKED of them; above that, `keys` of a sample."""

    count: int
    is_names_only: bool
    tsquery: str
    keys: str | None
    scores: str | None


def _find(query: str, now: datetime | None) -> _Found:
    """Searches in steps and stops early. It tries prefixes only if at most MAX_RANKED names contain the words, names
    with prefixes only if more than MAX_RANKED documents match, and computes scores only for what is ranked."""

    def first(part: str, query: str, vector: str = "d.vector") -> str:
        return f"""SELECT d.product_id, {vector} FROM storefront_searchdocument d
            WHERE {part} @@ ({_any_form_once(query)}) {_PUBLISHED if now else ""} LIMIT {MAX_RANKED + 1}"""

    sql = f"""WITH typed AS MATERIALIZED ({first(_NAMES, "words", "NULL::tsvector AS vector")}),
        whole AS MATERIALIZED ({first(_WHOLE, "beginnings")}),
        named AS MATERIALIZED ({first(_NAMES, "beginnings")}),
        words AS MATERIALIZED (SELECT count(*) > {MAX_RANKED} AS are_many FROM typed),
        names AS MATERIALIZED (SELECT are_many, CASE WHEN are_many THEN {MAX_RANKED + 1}
            WHEN (SELECT count(*) FROM whole) > {MAX_RANKED} THEN (SELECT count(*) FROM named) ELSE 0 END AS rows
            FROM words),
        counted AS MATERIALIZED (SELECT are_many, rows > 0 AS is_names,
            CASE WHEN rows > 0 THEN rows ELSE (SELECT count(*) FROM whole) END AS rows FROM names)
        SELECT counted.rows, is_names, ({_any_form_once("beginnings")})::text, found.keys, found.scores
        FROM counted CROSS JOIN LATERAL (
            SELECT array_agg(product_id)::text AS keys,
                (json_object_agg(product_id, (1000000 * ts_rank(vector, {_any_form("beginnings")}))::bigint)
                    FILTER (WHERE counted.rows <= {MAX_RANKED}))::text AS scores
            FROM (SELECT * FROM typed WHERE are_many UNION ALL SELECT * FROM named WHERE is_names AND NOT are_many
                UNION ALL SELECT * FROM whole WHERE NOT is_names
                LIMIT CASE WHEN counted.rows > {MAX_RANKED} THEN {SAMPLE_SIZE} END) AS found) AS found"""
    return _Found(*_rows(sql, {"words": query.replace(":*", ""), "beginnings": query, "now": now})[0])


def _with_corrections(words: Sequence[str]) -> list[list[str]]:
    """Each word, or for an unknown word the known words that are most similar."""
    known = """SELECT asked.word, (SELECT array_agg(it.word) FROM (
            SELECT w.word FROM storefront_searchword w WHERE asked.word <%% w.word
            ORDER BY similarity(asked.word, w.word) DESC, w.word LIMIT %s) AS it)
        FROM unnest(%s::text[]) AS asked(word) WHERE NOT EXISTS (
            SELECT FROM storefront_searchword w WHERE w.word >= asked.word AND w.word < asked.word || chr(1114111))"""
    with replicas.connection().cursor() as cursor:  # One cursor, since the setting holds for its connection.
        cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, false)", [_TRIGRAM_THRESHOLD])
        cursor.execute(known, [_MAX_CANDIDATES, list(words)])
        unknown = dict(cursor.fetchall())
    return [_similar_words(word, unknown[word] or ()) if word in unknown else [word] for word in words]


def _similar_words(word: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(word, known) or [word]


def _for_sqlite(words: Sequence[str]) -> SearchQuery:
    query = " ".join(f'"{word}"*' for word in words)
    found = "FROM product_search WHERE product_search MATCH %s"
    if not _rows(f"SELECT 1 {found} LIMIT 1", [query]):
        query = " AND ".join(_fts5_choices(word) for word in words)
    own = f"{found} AND product_search.rowid = storefront_product.id"
    return SearchQuery(
        matches=RawSQL(f"SELECT rowid {found}", [query]),
        score=_score(f"SELECT CAST(-1e12 * bm25(product_search, 10, 5, 1) AS INTEGER) {own}", query),
    )


def _fts5_choices(word: str) -> str:
    """An FTS5 expression for the word, or for an unknown word the known words that are most similar."""
    known = [term for (term,) in _rows("SELECT term FROM product_words")]
    meant = [word] if any(term.startswith(word) for term in known) else _similar_words(word, known)
    return "(" + " OR ".join(f'"{term}"*' for term in meant) + ")"


def _rows(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    with replicas.connection().cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
