"""Plain rows: only the columns and relations that a selection needs, without creating model instances.

A plan lists the columns and relations to read. Foreign keys are joined. Each relation to many takes one statement for
all rows; the ORM compiles its SQL once, and it is kept. A plain row has the properties of its model, so resolvers read
it like an instance. What the plan does not list raises AttributeError: it never costs another statement.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Any, cast

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import FileField, Model, QuerySet
from django.db.models.constants import LOOKUP_SEP

Read = Callable[[tuple[Any, ...]], "PlainRow"]


class PlainRow:
    """The values that were read from one row of a table."""

    _model: type[Model]

    @property
    def pk(self) -> Any:
        return vars(self)[self._model._meta.pk.attname]


class RelatedRows(list[PlainRow]):
    """The rows of a relation, with the `all()` of a manager."""

    def all(self) -> "RelatedRows":
        return self


@cache
def _row_of(model: type[Model]) -> type[PlainRow]:
    properties = {name: it for name, it in vars(model).items() if isinstance(it, property)}
    files = {field.name: _file(field) for field in model._meta.fields if isinstance(field, FileField)}
    return type(f"{model.__name__}Row", (PlainRow,), {"_model": model, **properties, **files})


def _file(field: FileField) -> property:
    return property(lambda row: field.attr_class(row, field, vars(row)[field.name]))


class Plan:
    """What to read of the rows of a model. `column`, `one` and `many` build it; `over` and `attach` read rows by it."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self._columns: dict[str, None] = {model._meta.pk.attname: None}
        self._ones: dict[str, Plan] = {}
        self._manys: dict[str, _Many] = {}

    def column(self, path: str) -> None:
        """Adds a column, or with "__" a column of a foreign key's row. The primary key is always read."""
        name, _, further = path.partition(LOOKUP_SEP)
        if further:
            self.one(name).column(further)
        elif name != "pk":
            self._columns[self.model._meta.get_field(name).attname] = None  # type: ignore[union-attr]

    def whole(self) -> "Plan":
        """Adds every column."""
        self._columns |= dict.fromkeys(field.attname for field in self.model._meta.concrete_fields)
        return self

    def one(self, name: str) -> "Plan":
        """Adds the row that a foreign key or one-to-one relation refers to."""
        return self._ones.setdefault(name, Plan(self.model._meta.get_field(name).related_model))  # type: ignore[arg-type]

    def many(self, name: str, rows: QuerySet[Any] | None = None, *, to: str | None = None) -> "Plan":
        """Adds the rows of a relation, or only those in `rows`, as the attribute `to`."""
        many = self._manys.setdefault(to or name, _Many(self.model, name))
        if rows is not None:
            many.rows = rows
        return many.plan

    def over(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The same queryset, which yields plain rows."""
        rows = rows.all()
        rows._iterable_class = partial(_iterate, self)  # type: ignore[assignment]
        return rows

    def attach(self, rows: Sequence[PlainRow]) -> None:
        """Reads the relations of rows that are loaded already."""
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
        """The paths to select: the model's own columns, primary key first, then the columns of joined rows."""
        joined = [f"{name}{LOOKUP_SEP}{path}" for name, plan in self._ones.items() for path in plan.paths]
        return [*self._columns, *joined]

    def reader(self, start: int = 0) -> Read:
        """A function that makes a row of the values that `paths` selected, beginning at index `start`."""
        row_type, names, position = _row_of(self.model), list(self._columns), start + len(self._columns)
        end, joined = position, []
        for name, plan in self._ones.items():
            joined.append((name, position, plan.reader(position)))
            position += len(plan.paths)

        def read(values: tuple[Any, ...]) -> PlainRow:
            row = row_type.__new__(row_type)
            own = row.__dict__
            own.update(zip(names, values[start:end], strict=True))
            for name, key, read_joined in joined:
                own[name] = None if values[key] is None else read_joined(values)
            return row

        return read


def _iterate(plan: Plan, rows: QuerySet[Any], **_: Any) -> Iterator[PlainRow]:
    """What Django calls to fetch the rows of a queryset."""
    # Cursors are made of the ordering, which may contain annotations that are not columns.
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
    """A relation to many, read in one statement for all rows of the model."""

    def __init__(self, model: type[Model], name: str) -> None:
        self._relation: Any = model._meta.get_field(name)
        self.plan = Plan(cast("type[Model]", self._relation.related_model))
        self.rows: Any = self.plan.model._default_manager.all()
        # By number of keys: the SQL, the parameters before and after the keys, and the converter to Python values.
        self._statements: dict[int, tuple[str, tuple[Any, ...], tuple[Any, ...], Any] | None] = {}

    def attach(self, name: str, rows: Sequence[PlainRow]) -> None:
        """Sets the related rows on each row."""
        several: dict[Any, RelatedRows] = {row.pk: RelatedRows() for row in rows}
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
        # Padded to a power of two, so that few different SQL texts are needed.
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
        """Selects the key of the owner, then the columns of each related row."""
        if not self._relation.many_to_many:
            owner = self._relation.field.attname
            return self.rows.filter(**{f"{owner}__in": keys}).values_list(owner, *self.plan.paths)
        # Through the join table, which has the keys of the owners. The order is the one of the related model.
        owner, target = self._relation.m2m_field_name(), self._relation.m2m_reverse_field_name()
        between = self._relation.remote_field.through._default_manager.filter(**{f"{owner}__in": keys})
        ordering: Any = self.plan.model._meta.ordering
        order = [f"{'-' * each.startswith('-')}{target}{LOOKUP_SEP}{_name(each)}" for each in ordering]
        return between.order_by(*order).values_list(f"{owner}_id", *(f"{target}__{path}" for path in self.plan.paths))


def _as_they_are(rows: Iterable[Any]) -> Iterable[Any]:
    return rows
