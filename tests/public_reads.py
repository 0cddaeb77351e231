"""What public fields read: worked out from a schema, and seen in the SQL when each of them is executed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model, Prefetch
from django.test.utils import CaptureQueriesContext
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from graphql.type import GraphQLList, GraphQLNonNull

from schema.base import public

# Literals for arguments, by "Type.field.argument" or "InputType.field". There has to be one for each.
Samples = Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """A field on the way from the root, with its required arguments."""

    name: str
    arguments: str

    def __str__(self) -> str:
        return self.name + self.arguments


@dataclass(frozen=True)
class Read:
    """What it took to answer a document, and whether the field that it is about had a value."""

    tables: frozenset[str]
    statements: int
    has_value: bool


# ── documents ────────────────────────────────────────────────────────────────────────────────────────


def documents(schema: GraphQLSchema, samples: Samples) -> dict[str, list[str]]:
    """By "Type.field", queries of each field that an answer to a public root field can hold: outside lists and in one,
    and with each of its arguments."""
    found: dict[str, list[str]] = {}
    for type_, path in _ways(schema, samples):
        for name, field in type_.fields.items():
            if path or name in public.fields(schema):
                about = f"{type_.name}.{name}"
                queries = [_document(path, name, field, each) for each in _arguments(about, field, samples)]
                found.setdefault(about, []).extend(queries)
    return found


def _ways(schema: GraphQLSchema, samples: Samples) -> Iterator[tuple[GraphQLObjectType, tuple[Step, ...]]]:
    """Each type that can be reached, by the shortest way outside lists and by the shortest one through a list."""
    assert schema.query_type
    waiting: list[tuple[GraphQLObjectType, tuple[Step, ...], bool]] = [(schema.query_type, (), False)]
    seen = {(schema.query_type.name, False)}
    for type_, path, in_list in waiting:  # It grows.
        yield type_, path
        for name, field in type_.fields.items():
            of_type = get_named_type(field.type)
            key = (of_type.name, in_list or _is_list(field.type))
            if is_leaf_type(of_type) or key in seen or not (path or name in public.fields(schema)):
                continue
            seen.add(key)
            waiting.append(
                (of_type, (*path, Step(name, _arguments(f"{type_.name}.{name}", field, samples)[0])), key[1])
            )


def _is_list(type_: Any) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _arguments(about: str, field: GraphQLField, samples: Samples) -> list[str]:
    """What a field needs, then that with each of the other arguments. "Type.field()" is a sample of what it needs where
    no argument is required."""
    given = {key: _literals(f"{about}.{key}", argument.type, samples) for key, argument in field.args.items()}
    required = [key for key, argument in field.args.items() if is_required_argument(argument)]
    sets = _sets(given, required)
    if f"{about}()" in samples:
        sets[0] = samples[f"{about}()"]
    return [f"({each})" if each else "" for each in sets]


def _sets(given: Mapping[str, list[str]], required: list[str]) -> list[str]:
    """The required ones alone, then those with each of the others."""
    least = [f"{key}: {given[key][0]}" for key in required]
    others = [f"{key}: {literal}" for key, literals in given.items() if key not in required for literal in literals]
    return [", ".join(each) for each in (least, *([*least, other] for other in others))]


def _literals(key: str, type_: Any, samples: Samples) -> list[str]:
    named = get_named_type(type_)
    if isinstance(named, GraphQLEnumType):
        return list(named.values)
    if isinstance(named, GraphQLInputObjectType):
        parts = {name: _literals(f"{named.name}.{name}", field.type, samples) for name, field in named.fields.items()}
        required = [name for name, field in named.fields.items() if is_required_input_field(field)]
        return [f"{{{each}}}" for each in _sets(parts, required)]
    assert key in samples, f"Give a sample of `{key}`."
    return [samples[key]]


def _document(path: tuple[Step, ...], name: str, field: GraphQLField, arguments: str) -> str:
    selection = f"it: {name}{arguments}"
    if not is_leaf_type(get_named_type(field.type)):
        selection += " { __typename }"
    for step in reversed(path):
        selection = f"{step} {{ {selection} }}"
    return f"{{ {selection} }}"


# ── what is seen ─────────────────────────────────────────────────────────────────────────────────────


def reads(schema: GraphQLSchema, samples: Samples, run: Callable[[str], Any]) -> dict[str, Read]:
    """By document, what `run` of it reads; preceded by the field that it is about."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES[connection.vendor])
        known = {name for (name,) in cursor.fetchall()}
    found = {}
    for about, queries in documents(schema, samples).items():
        for query in queries:
            with CaptureQueriesContext(connection) as captured:
                data = run(query)
            words = {word for each in captured.captured_queries for word in re.findall(r"\w+", each["sql"])}
            found[f"{about}: {query}"] = Read(frozenset(words & known), len(captured), _has_value(data))
    return found


_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
    "postgresql": "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p') AND pg_table_is_visible(oid)",
}


def _has_value(data: Any) -> bool:
    if isinstance(data, list):
        return any(map(_has_value, data))
    if "it" in data:
        return data["it"] is not None and data["it"] != []
    return any(_has_value(value) for value in data.values() if isinstance(value, dict | list))


def never_seen(found: Mapping[str, Read]) -> set[str]:
    """Fields that had no value in any document: nothing is known of what they read."""
    valued = {about.partition(":")[0] for about, read in found.items() if read.has_value}
    return {about.partition(":")[0] for about in found} - valued


def growing(few: Mapping[str, Read], many: Mapping[str, Read]) -> dict[str, tuple[int, int]]:
    """Documents that take more statements where there are more rows."""
    counts = {about: (few[about].statements, many[about].statements) for about in few}
    return {about: pair for about, pair in counts.items() if pair[0] != pair[1]}


def tables_by_field(found: Mapping[str, Read]) -> dict[str, set[str]]:
    """By table, the fields whose documents read it."""
    tables: dict[str, set[str]] = {}
    for about, read in found.items():
        for table in read.tables:
            tables.setdefault(table, set()).add(about.partition(":")[0])
    return tables


# ── what the schema says ─────────────────────────────────────────────────────────────────────────────


def declared_tables(schema: GraphQLSchema, samples: Samples, infos: Iterable[Any]) -> set[str]:
    """The tables of models that public types show, of their relations, and of the hints beside their fields, which may
    depend on the request: `infos` are some."""
    tables: set[str] = set()
    for type_, _ in _ways(schema, samples):
        definition: Any = type_.extensions.get("strawberry-definition")
        shown = getattr(getattr(definition, "origin", None), "__strawberry_django_definition__", None)
        if shown is None:
            continue
        tables.add(shown.model._meta.db_table)
        for field in type_.fields.values():
            declared = field.extensions["strawberry-definition"]
            paths: list[Any] = [getattr(declared, "django_name", None) or declared.python_name]
            if declared.base_resolver is not None:
                paths = []
            hints = getattr(declared, "store", None)
            if hints is not None:
                paths += hints.select_related
                paths += [above for above, _, _ in (path.rpartition("__") for path in hints.only) if above]
                for hint in hints.prefetch_related:
                    paths += [hint(info) for info in infos] if callable(hint) else [hint]
            for path in paths:
                tables |= set(_of_path(shown.model, path))
    return tables


def _of_path(model: type[Model], path: str | Prefetch[Any]) -> Iterator[str]:
    if isinstance(path, Prefetch):
        yield from _of_path(model, path.prefetch_through)
        rows: Any = path.queryset
        for further in (*(rows.query.select_related or ()), *rows._prefetch_related_lookups):
            yield from _of_path(rows.model, further)
        return
    names = {field.name: field for field in model._meta.get_fields()}
    name, _, further = path.partition("__")
    field: Any = names.get(name)
    if field is None or not field.is_relation:
        return
    if field.many_to_many:
        through = (field if field.auto_created else field.remote_field).through
        yield through._meta.db_table
    yield field.related_model._meta.db_table
    if further:
        yield from _of_path(field.related_model, further)
