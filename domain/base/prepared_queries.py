"""Statements whose SQL is worked out once: for Django that takes longer than to have them answered.

    _LINES = Statement(lambda cart: CartLine.objects.filter(cart=cart), cart=UUIDField())
    lines = _LINES.all(cart=key)
    insert(*lines)
    update(row=line, fields=["quantity"])

Worth it where buyers wait, for statements that differ in nothing but values.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connection
from django.db import models as db
from django.db.models.expressions import DatabaseDefault
from django.db.models.query import get_related_populators
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row", bound=db.Model)


class _Given(db.Expression):
    """A value that is known when the statement is run."""

    def __init__(self, name: str, place: int | None, output_field: db.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name, self.place = name, place

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> Any:  # noqa: ARG002 (Django's)
        return "%s", [self]

    def of(self, values: Mapping[str, Any]) -> Any:
        value = values[self.name] if self.place is None else values[self.name][self.place]
        return self.output_field.get_db_prep_value(value, connection)


@dataclass(frozen=True)
class _WorkedOut:
    """What is sent, and how instances are made of what comes back: the model's own columns, those of each model that
    is selected along with it, annotations."""

    sql: str
    params: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]
    model: type[db.Model]
    names: Sequence[str]
    own: slice
    related: Sequence[Any]
    annotations: Mapping[str, int]

    @classmethod
    def of(cls, rows: db.QuerySet[Any]) -> "_WorkedOut":
        compiler = rows.query.get_compiler(rows.db)
        sql, params = compiler.as_sql()
        selected, told = compiler.select, compiler.klass_info
        columns = [expression for expression, *_ in selected]
        own = slice(told["select_fields"][0], told["select_fields"][-1] + 1)
        return cls(
            sql=sql,
            params=params,
            converters=[(place, *found) for place, found in compiler.get_converters(columns).items()],
            model=told["model"],
            names=[column.target.attname for column in columns[own]],
            own=own,
            related=get_related_populators(told, selected, rows.db),  # type: ignore[call-arg] # (of a later Django)
            annotations=compiler.annotation_col_map or {},
        )

    def asked(self, values: Mapping[str, Any]) -> Iterator[Any]:
        params = [each.of(values) if isinstance(each, _Given) else each for each in self.params]
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


class Statement(Generic[Row]):
    """`rows` is called with a placeholder for each of the fields, or with a list of them for values of which there are
    several, and says what is asked for; it is called again only for another number of values."""

    def __init__(self, rows: Callable[..., db.QuerySet[Row]], **fields: db.Field[Any, Any]) -> None:
        self._rows, self._fields = rows, fields
        self._known: dict[tuple[Any, ...], _WorkedOut] = {}

    def all(self, **values: Any) -> list[Row]:
        """The rows for a value, or a list of them, for each of the fields; nothing is asked where a list is empty."""
        values = {name: _padded(value) if isinstance(value, list) else value for name, value in values.items()}
        key = tuple(len(values[name]) if isinstance(values[name], list) else None for name in self._fields)
        if 0 in key:
            return []
        known = self._known.get(key) or self._known.setdefault(key, self._work_out(values))
        return list(known.asked(values))

    def first(self, **values: Any) -> Row | None:
        """The first of them."""
        return next(iter(self.all(**values)), None)

    def _work_out(self, values: Mapping[str, Any]) -> _WorkedOut:
        rows = self._rows(
            **{
                name: [_Given(name, place, field) for place in range(len(values[name]))]
                if isinstance(values[name], list)
                else _Given(name, None, field)
                for name, field in self._fields.items()
            }
        )
        return _WorkedOut.of(rows)


def insert(*rows: db.Model) -> None:
    """Writes new rows of one model. Keys that the database gives stay unknown, and no signals are sent."""
    sql, fields = _insertion(type(rows[0]), len(rows))
    params = [_value(field, row, add=True) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def update(*, row: db.Model, fields: Sequence[str]) -> None:
    """Writes these fields of a row that is there. No signals are sent. Raises DatabaseError if it is gone."""
    sql, written = _change(type(row), tuple(fields))
    params = [_value(field, row, add=False) for field in written]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        if not cursor.rowcount:
            raise DatabaseError(f"{row!r} is gone.")


@cache
def _insertion(model: type[db.Model], number: int) -> tuple[str, list[Any]]:
    meta, quoted = model._meta, connection.ops.quote_name
    fields = [field for field in meta.local_concrete_fields if field is not meta.auto_field]
    columns = ", ".join(quoted(str(field.column)) for field in fields)
    values = ", ".join(["(" + ", ".join(["%s"] * len(fields)) + ")"] * number)
    return f"INSERT INTO {quoted(meta.db_table)} ({columns}) VALUES {values}", fields  # noqa: S608 (names of ours)


@cache
def _change(model: type[db.Model], names: tuple[str, ...]) -> tuple[str, list[Any]]:
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


class ByKey(db.Expression):
    """Of each row of the model that is read or written the value that stands here by its primary key; `Case` says the
    same, and takes long to work out."""

    def __init__(self, model: type[db.Model], values: Mapping[Any, Any], output_field: db.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self._model, self._values = model, values

    def as_sql(self, _compiler: SQLCompiler, connection: Any) -> Any:
        meta = self._model._meta
        key = ".".join(map(connection.ops.quote_name, (meta.db_table, str(meta.pk and meta.pk.column))))
        cases = " ".join(["WHEN %s THEN %s"] * len(self._values))
        return f"CASE {key} {cases} END", [each for pair in self._values.items() for each in pair]


def attach(*, row: db.Model, name: str, related: Iterable[db.Model]) -> None:
    """Has the row know what is related to it by that name, as if it had been prefetched."""
    rows = getattr(row, name).all()
    rows._result_cache, rows._prefetch_done = list(related), True
    vars(row).setdefault("_prefetched_objects_cache", {})[name] = rows


def _padded(values: list[Any]) -> list[Any]:
    """With the last one again and again, so that there are few different numbers of them."""
    return values + values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values)) if values else values
