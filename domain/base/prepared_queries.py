"""Queries whose SQL is compiled once: compiling it takes Django longer than the database needs to answer.

    _LINES = PreparedQuery(lambda cart: CartLine.objects.filter(cart=cart), cart=UUIDField())
    lines = _LINES.all(cart=key)
    insert(*lines)
    update(row=line, fields=["quantity"])

Use it where buyers wait, for queries that differ in their values only. With the setting PREPARED_QUERIES off, all of
this runs as ordinary Django queries, with the same results.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import DatabaseError, connection
from django.db import models as db
from django.db.models.expressions import DatabaseDefault
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row", bound=db.Model)


class _Parameter(db.Expression):
    """A value that is known when the query runs."""

    def __init__(self, name: str, place: int | None, output_field: db.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name, self.place = name, place

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> Any:  # noqa: ARG002 (Django's)
        return "%s", [self]

    def value(self, values: Mapping[str, Any]) -> Any:
        value = values[self.name] if self.place is None else values[self.name][self.place]
        return self.output_field.get_db_prep_value(value, connection)


@dataclass(frozen=True)
class _Compiled:
    """The SQL, and how its rows become instances: the model's own columns, those of each model that is selected with
    it, annotations."""

    sql: str
    params: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]
    model: type[db.Model]
    names: Sequence[str]
    own: slice
    related: Sequence[Any]
    annotations: Mapping[str, int]

    @classmethod
    def of(cls, rows: db.QuerySet[Any]) -> "_Compiled":
        compiler = rows.query.get_compiler(rows.db)
        sql, params = compiler.as_sql()
        selected, info = compiler.select, compiler.klass_info
        columns = [expression for expression, *_ in selected]
        own = slice(info["select_fields"][0], info["select_fields"][-1] + 1)
        return cls(
            sql=sql,
            params=params,
            converters=[(place, *found) for place, found in compiler.get_converters(columns).items()],
            model=info["model"],
            names=[column.target.attname for column in columns[own]],
            own=own,
            related=get_related_populators(info, selected, rows.db),  # type: ignore[call-arg] # (of a later Django)
            annotations=compiler.annotation_col_map or {},
        )

    def run(self, values: Mapping[str, Any]) -> Iterator[Any]:
        params = [each.value(values) if isinstance(each, _Parameter) else each for each in self.params]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, params)
            found = cursor.fetchall()
        for row in map(list, found):
            for place, convert, expression in self.converters:
                for each in convert:
                    row[place] = each(row[place], expression, connection)
            instance = self.model.from_db(connection.alias, self.names, row[self.own])
            for populator in self.related:
                populator.populate(row, instance)
            for name, place in self.annotations.items():
                setattr(instance, name, row[place])
            yield instance


class PreparedQuery(Generic[Row]):
    """`rows` builds the queryset. It is called with a placeholder for each of the fields, or with a list of
    placeholders where the value is a list, and again only when the length of a list changes."""

    def __init__(self, rows: Callable[..., db.QuerySet[Row]], **fields: db.Field[Any, Any]) -> None:
        self._rows, self._fields = rows, fields
        self._compiled: dict[tuple[Any, ...], _Compiled] = {}

    def all(self, **values: Any) -> list[Row]:
        """The rows for these values of the fields. An empty list finds nothing, without a query."""
        if any(value == [] for value in values.values()):
            return []
        if not settings.PREPARED_QUERIES:
            return list(self._rows(**values))
        values = {name: _padded(value) if isinstance(value, list) else value for name, value in values.items()}
        key = tuple(len(values[name]) if isinstance(values[name], list) else None for name in self._fields)
        compiled = self._compiled.get(key) or self._compiled.setdefault(key, self._compile(values))
        return list(compiled.run(values))

    def first(self, **values: Any) -> Row | None:
        """The first of them."""
        return next(iter(self.all(**values)), None)

    def _compile(self, values: Mapping[str, Any]) -> _Compiled:
        rows = self._rows(
            **{
                name: [_Parameter(name, place, field) for place in range(len(values[name]))]
                if isinstance(values[name], list)
                else _Parameter(name, None, field)
                for name, field in self._fields.items()
            }
        )
        return _Compiled.of(rows)


def insert(*rows: db.Model) -> None:
    """Writes new rows of one model, without signals. Do not read keys that the database generates: they may be
    missing."""
    if not settings.PREPARED_QUERIES:
        type(rows[0])._base_manager.bulk_create(rows)
        return
    sql, fields = _insert_sql(type(rows[0]), len(rows))
    params = [_value(field, row, add=True) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def update(*, row: db.Model, fields: Sequence[str]) -> None:
    """Writes these fields of a row that exists, without signals. Raises DatabaseError if the row is gone."""
    if settings.PREPARED_QUERIES:
        sql, written = _update_sql(type(row), tuple(fields))
        params = [_value(field, row, add=False) for field in written]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            changed = cursor.rowcount
    else:
        named: list[Any] = [row._meta.get_field(name) for name in fields]
        values = {field.attname: field.pre_save(row, add=False) for field in named}
        changed = type(row)._base_manager.filter(pk=row.pk).update(**values)
    if not changed:
        raise DatabaseError(f"{row!r} is gone.")


@cache
def _insert_sql(model: type[db.Model], number: int) -> tuple[str, list[Any]]:
    meta, quoted = model._meta, connection.ops.quote_name
    fields = [field for field in meta.local_concrete_fields if field is not meta.auto_field]
    columns = ", ".join(quoted(str(field.column)) for field in fields)
    values = ", ".join(["(" + ", ".join(["%s"] * len(fields)) + ")"] * number)
    return f"INSERT INTO {quoted(meta.db_table)} ({columns}) VALUES {values}", fields  # noqa: S608 (names of ours)


@cache
def _update_sql(model: type[db.Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
    meta = model._meta
    fields: list[Any] = [*map(meta.get_field, names), meta.pk]
    *columns, key_column = (connection.ops.quote_name(field.column) for field in fields)
    changes = ", ".join(f"{column} = %s" for column in columns)
    table = connection.ops.quote_name(meta.db_table)
    return f"UPDATE {table} SET {changes} WHERE {key_column} = %s", fields  # noqa: S608 (names of ours)


def _value(field: Any, row: db.Model, *, add: bool) -> Any:
    value = field.pre_save(row, add)
    if isinstance(value, DatabaseDefault):
        value = field.db_default
    return field.get_db_prep_save(value, connection)


def value_by_key(*, model: type[db.Model], values: Mapping[Any, Any], output_field: db.Field[Any, Any]) -> Any:
    """For each row of the model that a query reads or writes, the value given here for its primary key."""
    if settings.PREPARED_QUERIES:
        return _ByKey(model, values, output_field)
    whens = [db.When(pk=key, then=db.Value(value)) for key, value in values.items()]
    return db.Case(*whens, output_field=output_field)


class _ByKey(db.Expression):
    """The same SQL as Django's Case, which takes long to compile."""

    def __init__(self, model: type[db.Model], values: Mapping[Any, Any], output_field: db.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self._model, self._values = model, values

    def as_sql(self, _compiler: SQLCompiler, connection: Any) -> Any:
        meta = self._model._meta
        key = ".".join(map(connection.ops.quote_name, (meta.db_table, str(meta.pk and meta.pk.column))))
        cases = " ".join(["WHEN %s THEN %s"] * len(self._values))
        return f"CASE {key} {cases} END", [each for pair in self._values.items() for each in pair]


def attach(*, row: db.Model, name: str, related: Iterable[db.Model]) -> None:
    """Stores related rows on a row, as if they had been prefetched."""
    rows = getattr(row, name).all()
    rows._result_cache, rows._prefetch_done = list(related), True
    vars(row).setdefault("_prefetched_objects_cache", {})[name] = rows


def _padded(values: list[Any]) -> list[Any]:
    """The values, with the last one repeated up to a power of two, so that few different lengths are compiled."""
    return values + values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values)) if values else values
