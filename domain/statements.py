"""Statements whose SQL is worked out once: for Django that takes longer than to have them answered.

    _LINES = Statement(lambda cart: CartLine.objects.filter(cart=cart), cart=UUIDField())
    lines = _LINES.all(cart=key)

Worth it where buyers wait, for statements that differ in nothing but values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connections
from django.db import models as db
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row", bound=db.Model)


class _Given(db.Expression):
    """A value that is known when the statement is run."""

    def __init__(self, name: str, place: int | None, output_field: db.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name, self.place = name, place

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> Any:  # noqa: ARG002 (Django's)
        return "%s", [self]

    def of(self, values: Mapping[str, Any], connection: Any) -> Any:
        value = values[self.name] if self.place is None else values[self.name][self.place]
        return self.output_field.get_db_prep_value(value, connection)


@dataclass(frozen=True)
class _WorkedOut:
    rows: db.QuerySet[Any]
    compiler: SQLCompiler
    sql: str
    params: Sequence[Any]


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
        return list(_asked(known, values))

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
        compiler = rows.query.get_compiler(rows.db)
        sql, params = compiler.as_sql()
        compiler.connection = None  # That of this thread, which may end before the process.
        return _WorkedOut(rows, compiler, sql, params)


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


def attach(row: db.Model, name: str, related: Iterable[db.Model]) -> None:
    """Has the row know what is related to it by that name, as if it had been prefetched."""
    rows = getattr(row, name).all()
    rows._result_cache, rows._prefetch_done = list(related), True
    vars(row).setdefault("_prefetched_objects_cache", {})[name] = rows


def _padded(values: list[Any]) -> list[Any]:
    """With the last one again and again, so that there are few different numbers of them."""
    return values + values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values)) if values else values


def _asked(known: _WorkedOut, values: Mapping[str, Any]) -> Iterable[Any]:
    rows = known.rows.all()
    connection = connections[rows.db]
    params = tuple(each.of(values, connection) if isinstance(each, _Given) else each for each in known.params)
    compiler = copy(known.compiler)
    compiler.connection = connection
    vars(compiler)["as_sql"] = lambda **_: (known.sql, params)
    vars(rows.query)["get_compiler"] = lambda **_: compiler
    return rows
