"""Plain rows: of a model's table just what a selection needs, without the weight of the model's instances.

A plan says which columns and relations are read. Foreign keys are joined; each relation to many is one statement for
all rows, whose SQL is put together by the ORM once and kept. A row has its model's properties, so a resolver reads it
as it would an instance; what the plan left out is an AttributeError, never a statement more.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Any, cast

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import FileField, Model, QuerySet
from django.db.models.constants import LOOKUP_SEP

Read = Callable[[tuple[Any, ...]], "Row"]


class Row:
    """What was read of one row of a table."""

    _model: type[Model]

    @property
    def pk(self) -> Any:
        return vars(self)[self._model._meta.pk.attname]


class Several(list[Row]):
    """The rows of a relation, as a manager hands them out."""

    def all(self) -> "Several":
        return self


@cache
def _row_of(model: type[Model]) -> type[Row]:
    properties = {name: it for name, it in vars(model).items() if isinstance(it, property)}
    files = {field.name: _file(field) for field in model._meta.fields if isinstance(field, FileField)}
    return type(f"{model.__name__}Row", (Row,), {"_model": model, **properties, **files})


def _file(field: FileField) -> property:
    return property(lambda row: field.attr_class(row, field, vars(row)[field.name]))


class Plan:
    """What is read of the rows of a model: told by `column`, `one` and `many`, then read by `over` or `attach`."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self._columns: dict[str, None] = {model._meta.pk.attname: None}
        self._ones: dict[str, Plan] = {}
        self._manys: dict[str, _Many] = {}

    def column(self, path: str) -> None:
        """Reads a column, or with "__" one of a foreign key's row. The key is always read."""
        name, _, further = path.partition(LOOKUP_SEP)
        if further:
            self.one(name).column(further)
        elif name != "pk":
            self._columns[self.model._meta.get_field(name).attname] = None  # type: ignore[union-attr]

    def whole(self) -> "Plan":
        """Reads every column."""
        self._columns |= dict.fromkeys(field.attname for field in self.model._meta.concrete_fields)
        return self

    def one(self, name: str) -> "Plan":
        """Reads the row that a foreign key or a one-to-one leads to."""
        return self._ones.setdefault(name, Plan(self.model._meta.get_field(name).related_model))  # type: ignore[arg-type]

    def many(self, name: str, rows: QuerySet[Any] | None = None, *, to: str | None = None) -> "Plan":
        """Reads a relation's rows, or of them those in `rows`, into the attribute `to`."""
        many = self._manys.setdefault(to or name, _Many(self.model, name))
        if rows is not None:
            many.rows = rows
        return many.plan

    def over(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The same rows, plain, once they are fetched."""
        rows = rows.all()
        rows._iterable_class = partial(_iterate, self)  # type: ignore[assignment]
        return rows

    def attach(self, rows: Sequence[Row]) -> None:
        """Reads the relations of rows that have been read."""
        for name, many in self._manys.items():
            many.attach(name, rows)
        for name, plan in self._ones.items():
            if plan.is_deep:
                plan.attach([row for row in (vars(each)[name] for each in rows) if row is not None])

    @cached_property
    def is_deep(self) -> bool:
        return bool(self._manys) or any(plan.is_deep for plan in self._ones.values())

    @cached_property
    def paths(self) -> list[str]:
        """What to select, from this model on: its own columns, the key first, then those of what is joined."""
        joined = [f"{name}{LOOKUP_SEP}{path}" for name, plan in self._ones.items() for path in plan.paths]
        return [*self._columns, *joined]

    def reader(self, start: int = 0) -> Read:
        """Makes rows of what `paths` selected, from that place on."""
        row_type, names, position = _row_of(self.model), list(self._columns), start + len(self._columns)
        end, joined = position, []
        for name, plan in self._ones.items():
            joined.append((name, position, plan.reader(position)))
            position += len(plan.paths)

        def read(values: tuple[Any, ...]) -> Row:
            row = row_type.__new__(row_type)
            own = row.__dict__
            own.update(zip(names, values[start:end], strict=True))
            for name, key, read_joined in joined:
                own[name] = None if values[key] is None else read_joined(values)
            return row

        return read


def _iterate(plan: Plan, rows: QuerySet[Any], **_: Any) -> Iterator[Row]:
    """What Django calls to fetch a queryset's rows."""
    # A cursor is made of what the rows are ordered by, which may be no column.
    ordering: Any = rows.query.order_by
    further = [name for name in map(_name, ordering) if name != "pk" and name not in plan.paths]
    read, end = plan.reader(), len(plan.paths)
    found = []
    for values in rows.values_list(*plan.paths, *further):
        row = read(values)
        row.__dict__.update(zip(further, values[end:], strict=True))
        found.append(row)
    plan.attach(found)
    return iter(found)


def _name(ordering: str) -> str:
    return ordering.lstrip("-")


class _Many:
    """A relation to many of a model's rows: read in one statement for all of them."""

    def __init__(self, model: type[Model], name: str) -> None:
        self._relation: Any = model._meta.get_field(name)
        self.plan = Plan(cast("type[Model]", self._relation.related_model))
        self.rows: Any = self.plan.model._default_manager.all()
        # The SQL for so many keys, the parameters before and after them, and what makes Python's values of SQL's.
        self._statements: dict[int, tuple[str, tuple[Any, ...], tuple[Any, ...], Any] | None] = {}

    def attach(self, name: str, rows: Sequence[Row]) -> None:
        """Hangs onto each row those that are its own."""
        several: dict[Any, Several] = {row.pk: Several() for row in rows}
        found = []
        for owner, values in self._fetch(list(several)):
            row = self._read(values)
            several[owner].append(row)
            found.append(row)
        for row in rows:
            row.__dict__[name] = several[row.pk]
        if found and self.plan.is_deep:
            self.plan.attach(found)

    @cached_property
    def _read(self) -> Read:
        return self.plan.reader(start=1)

    def _fetch(self, keys: list[Any]) -> Iterable[tuple[Any, tuple[Any, ...]]]:
        # Padded, so that few different texts are ever needed.
        size = 1 << (len(keys) - 1).bit_length() if keys else 0
        if size not in self._statements:
            self._statements[size] = self._statement(size) if size else None
        statement = self._statements[size]
        if statement is None:
            return ()
        sql, before, after, convert = statement
        with connections[self.rows.db].cursor() as cursor:
            cursor.execute(sql, (*before, *keys, *keys[-1:] * (size - len(keys)), *after))
            fetched = cursor.fetchall()
        return ((values[0], values) for values in convert(fetched))

    def _statement(self, size: int) -> Any:
        stand_ins = range(-size, 0)
        query = self._of(list(stand_ins)).query
        compiler = query.get_compiler(self.rows.db)
        try:
            sql, params = compiler.as_sql()
        except EmptyResultSet:
            return None
        at = params.index(stand_ins[0])
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        convert = partial(compiler.apply_converters, converters=converters) if converters else _as_they_are
        return sql, tuple(params[:at]), tuple(params[at + size :]), convert

    def _of(self, keys: Sequence[Any]) -> Any:
        """The key of its owner, then what is read of each row."""
        if not self._relation.many_to_many:
            owner = self._relation.field.attname
            return self.rows.filter(**{f"{owner}__in": keys}).values_list(owner, *self.plan.paths)
        # By the table between, which knows the owners; its rows come in the order of what they lead to.
        owner, target = self._relation.m2m_field_name(), self._relation.m2m_reverse_field_name()
        between = self._relation.remote_field.through._default_manager.filter(**{f"{owner}__in": keys})
        ordering: Any = self.plan.model._meta.ordering
        order = [f"{'-' * each.startswith('-')}{target}{LOOKUP_SEP}{_name(each)}" for each in ordering]
        return between.order_by(*order).values_list(f"{owner}_id", *(f"{target}__{path}" for path in self.plan.paths))


def _as_they_are(rows: Iterable[Any]) -> Iterable[Any]:
    return rows
