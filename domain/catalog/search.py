"""Finding products by words: SQLite's FTS5 or PostgreSQL's full text, behind `understand`.

Both find word beginnings and other forms of a word, and neither minds accents or case. Where nothing matches as it was
typed, the known words most like the misspelt ones are tried.

On PostgreSQL the text is searched in one statement, which counts too: what it finds is asked for by its keys from then
on. Words that more than MANY products have are too common to be ranked: descriptions no longer count then where names
have them too (title, vendor, type, tags, SKUs, categories), and of what is still more than MANY the newest come first.
All of them can be paged through and filtered; only counts end at MANY, and facets look at SOME.
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
MANY = 1_000
SOME = 200
_MAX_WORDS = 8
_TRIGRAM_THRESHOLD = "0.3"
_AT_ONCE = 200
_MOST_ALIKE = 50


def _words(text: str) -> list[str]:
    """Lower case, without accents and punctuation: as documents are stored and questions are asked."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(char for char in decomposed if not unicodedata.combining(char)))


def index(*, products: QuerySet[Product]) -> None:
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
    for all where too many match to be ranked; then `some` are the keys of SOME of them.

    `count` says how many match: MANY + 1 for whatever is more, None where that has to be counted yet.
    """

    matches: RawSQL
    score: RawSQL
    count: int | None = None
    some: RawSQL | None = None

    @property
    def is_ranked(self) -> bool:
        return self.some is None

    @property
    def sample(self) -> "Question":
        """The same for fewer products, if too many match."""
        return replace(self, matches=self.some) if self.some else self

    def among(self, products: QuerySet[Product]) -> QuerySet[Product]:
        """Those of the products that match, each with its `score`, best highest."""
        return products.filter(pk__in=self.matches).annotate(score=self.score)


def understand(*, text: str, now: datetime | None = None) -> Question:
    """The question for products that match every word of the text. With `now`, those that are not published then are
    neither ranked nor counted."""
    words = _words(text[:MAX_LENGTH])[:_MAX_WORDS]
    if not words:
        return Question(matches=RawSQL("SELECT 0 WHERE 1 = 0", []), score=_score("SELECT 0"))
    return _for_postgresql(words, now) if replicas.connection().vendor == "postgresql" else _for_sqlite(words)


def _score(sql: str, *params: Any) -> RawSQL:
    return RawSQL(sql, params, output_field=BigIntegerField())


def _for_postgresql(words: Sequence[str], now: datetime | None) -> Question:
    for choices in _attempts(words):
        found = _find(_query(choices), now)
        if found.count:
            break
    keys = RawSQL("SELECT unnest(%s::bigint[])", [found.keys])
    if found.count <= MANY:
        score = _score("(%s::jsonb ->> storefront_product.id::text)::bigint", found.scores)
        return Question(matches=keys, score=score, count=found.count)
    part = _NAMES if found.is_by_names else _WHOLE
    sql = f"SELECT d.product_id FROM storefront_searchdocument d WHERE {part} @@ %s::tsquery"
    return Question(matches=RawSQL(sql, [found.asked]), score=_score("0"), count=found.count, some=keys)


def _attempts(words: Sequence[str]) -> Iterator[list[list[str]]]:
    """What may be meant, as choices of words for to_tsquery, the likeliest first. Beginnings cost, so those of words
    that more was typed after come second."""
    *typed, last = words
    if typed:
        yield [*([word] for word in typed), [f"{last}:*"]]
    yield [[f"{word}:*"] for word in words]
    yield [[f"{word}:*" for word in meant] for meant in _nearest(words)]


def _query(choices: Sequence[Sequence[str]]) -> str:
    """For to_tsquery: one word of each choice."""
    return " & ".join("(" + " | ".join(words) + ")" for words in choices)


# What of a document is searched, each by an index of its own.
_WHOLE, _NAMES = "d.vector", "ts_filter(d.vector, '{a,b}')"
# Not a join, which the planner would now and then begin at the wrong end.
_PUBLISHED = "AND (SELECT p.published_at FROM storefront_product p WHERE p.id = d.product_id) <= %(now)s"


def _either(query: str) -> str:
    """English knows other forms of a word, and drops "the" and "her"; simple keeps each beginning as it was typed."""
    return f"to_tsquery('english', %({query})s) || to_tsquery('simple', %({query})s)"


def _once(query: str) -> str:
    """The same, but where both say the same it is not looked for twice."""
    english, simple = f"to_tsquery('english', %({query})s)", f"to_tsquery('simple', %({query})s)"
    return f"CASE WHEN {english} = {simple} THEN {simple} ELSE {_either(query)} END"


@dataclass(frozen=True, slots=True)
class _Found:
    """The `scores` are of all `keys`, where no more than MANY match; of more, the keys are of SOME."""

    count: int
    is_by_names: bool
    asked: str
    keys: str | None
    scores: str | None


def _find(query: str, now: datetime | None) -> _Found:
    """Looks no further than it has to: at beginnings only where no more than MANY names have the words themselves, for
    names with beginnings only where more than MANY documents have them, at scores only of what is ranked."""

    def first(part: str, query: str, vector: str = "d.vector") -> str:
        return f"""SELECT d.product_id, {vector} FROM storefront_searchdocument d
            WHERE {part} @@ ({_once(query)}) {_PUBLISHED if now else ""} LIMIT {MANY + 1}"""

    sql = f"""WITH typed AS MATERIALIZED ({first(_NAMES, "words", "NULL::tsvector AS vector")}),
        whole AS MATERIALIZED ({first(_WHOLE, "beginnings")}),
        named AS MATERIALIZED ({first(_NAMES, "beginnings")}),
        words AS MATERIALIZED (SELECT count(*) > {MANY} AS are_many FROM typed),
        names AS MATERIALIZED (SELECT are_many, CASE WHEN are_many THEN {MANY + 1}
            WHEN (SELECT count(*) FROM whole) > {MANY} THEN (SELECT count(*) FROM named) ELSE 0 END AS rows FROM words),
        counted AS MATERIALIZED (SELECT are_many, rows > 0 AS is_names,
            CASE WHEN rows > 0 THEN rows ELSE (SELECT count(*) FROM whole) END AS rows FROM names)
        SELECT counted.rows, is_names, ({_once("beginnings")})::text, found.keys, found.scores
        FROM counted CROSS JOIN LATERAL (
            SELECT array_agg(product_id)::text AS keys,
                (json_object_agg(product_id, (1000000 * ts_rank(vector, {_either("beginnings")}))::bigint)
                    FILTER (WHERE counted.rows <= {MANY}))::text AS scores
            FROM (SELECT * FROM typed WHERE are_many UNION ALL SELECT * FROM named WHERE is_names AND NOT are_many
                UNION ALL SELECT * FROM whole WHERE NOT is_names
                LIMIT CASE WHEN counted.rows > {MANY} THEN {SOME} END) AS found) AS found"""
    return _Found(*_rows(sql, {"words": query.replace(":*", ""), "beginnings": query, "now": now})[0])


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
    if not _rows(f"SELECT 1 {found} LIMIT 1", [query]):
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


def _rows(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    with replicas.connection().cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
