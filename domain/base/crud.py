"""Create, update and delete for models without business rules of their own, such as tax rates and shipping zones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet

from domain.base import change_log, locks
from domain.base.errors import DomainError, InvalidInput, NotFound, raise_all
from storefront.models import ChangeAction, User, Versioned

Row = TypeVar("Row", bound=Versioned)

MAX_PARTS = 100


class InUse(DomainError):
    """The row cannot be deleted, because other rows refer to it."""

    code: ClassVar[str] = "IN_USE"


@transaction.atomic(durable=True)
def save(
    *,
    rows: QuerySet[Row],
    key: Any = None,
    version: int | None = None,
    values: Mapping[str, Any],
    links: Mapping[str, tuple[str, Iterable[Any]]] | None = None,
    parts: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    actor: User | None,
    now: datetime,
) -> Row:
    """Creates a row, or updates the row of `rows` with this key. Columns that `values` does not name keep their values.

    `links` maps an input field to a many-to-many field and the keys that replace its present ones. `parts` maps a
    relation to the child rows that replace its present ones. `version` is the version that the caller saw, if any.
    Raises InvalidInput for each value that the model rejects, NotFound for `key` and `links`, StaleVersion.
    """
    return write(
        rows=rows, key=key, version=version, values=values, links=links or {}, parts=parts or {}, actor=actor, now=now
    )


def write(
    *,
    rows: QuerySet[Row],
    key: Any,
    version: int | None,
    values: Mapping[str, Any],
    links: Mapping[str, tuple[str, Iterable[Any]]],
    parts: Mapping[str, Sequence[Mapping[str, Any]]],
    actor: User | None,
    now: datetime,
) -> Row:
    """Like `save`, inside the caller's transaction."""
    row = rows.model() if key is None else _lock_row(rows, key, version)
    relations = [name for name, _ in links.values()]
    before = {} if key is None else _column_values(row, relations, parts)
    values, name = dict(values), row._meta.pk.name
    if key is not None and values.pop(name, key) != key:
        raise InvalidInput("This cannot be changed. Create a new one instead.", field=[name])
    seen = row.version
    _save_row(row, values, update_only=key is not None)
    for given_as, (name, keys) in links.items():
        _set_relation(row, name, set(keys), field=[given_as])
    for name, given in parts.items():
        if len(given) > MAX_PARTS:
            raise InvalidInput(f"There can be at most {MAX_PARTS}.", field=[name])
        relation: Any = row._meta.get_field(name)
        getattr(row, name).all().delete()
        for index, part in enumerate(given):
            _save_row(relation.related_model(**{relation.field.name: row}), part, below=(name, str(index)))
    if changed := change_log.differences(before=before, after=_column_values(row, relations, parts)):
        if key is not None and row.version == seen:
            row.save(update_fields=[])
        action = ChangeAction.CREATED if key is None else ChangeAction.UPDATED
        change_log.entry(row=row, action=action, fields=changed, actor=actor, now=now).save()
    return row


def _lock_row(rows: QuerySet[Row], key: Any, version: int | None) -> Row:
    row = locks.row(candidates=rows.filter(pk=key))
    if row is None:
        raise NotFound("This does not exist.", field=["id"])
    change_log.check_version(row=row, seen=version)
    return row


def _column_values(row: models.Model, relations: Iterable[str], parts: Iterable[str]) -> dict[str, Any]:
    """The row's values for the change log, with those of its many-to-many fields and its child rows."""
    values = change_log.column_values(row=row)
    values |= {name: sorted(map(str, getattr(row, name).all())) for name in relations}
    return values | {name: [change_log.column_values(row=part) for part in getattr(row, name).all()] for name in parts}


def _save_row(
    row: models.Model, values: Mapping[str, Any], *, update_only: bool = False, below: tuple[str, ...] = ()
) -> None:
    before = change_log.column_values(row=row)
    for name, value in values.items():
        setattr(row, name, _cleaned(row, name, value))
    try:
        row.full_clean()
        if update_only and not change_log.differences(before=before, after=change_log.column_values(row=row)):
            return
        with transaction.atomic():
            # Without force_insert, Django would update a row that another request has just created with this key.
            row.save(force_insert=not update_only, update_fields=list(values) if update_only else None)
            check_foreign_keys()
    except ValidationError as error:
        raise_all(errors=_input_errors(error, values, below))
    except IntegrityError:  # Another request just took the same code or name, or deleted a row that this refers to.
        raise InvalidInput("Someone else has just changed this. Reload and try again.", field=below) from None


def _cleaned(row: models.Model, name: str, value: Any) -> Any:
    """Trims texts, and turns None into "" for text columns, as Django's forms do."""
    field: Any = row._meta.get_field(name)
    if value is None and field.blank and not field.null and field.empty_strings_allowed:
        return ""
    return value.strip() if isinstance(value, str) else value


def check_foreign_keys() -> None:
    """Has PostgreSQL check foreign keys now instead of at commit. SQLite has one writer and needs no check."""
    connection = transaction.get_connection()
    if connection.vendor == "postgresql":
        connection.check_constraints()


def _input_errors(error: ValidationError, values: Mapping[str, Any], below: tuple[str, ...]) -> list[DomainError]:
    """One error for each field, named as in `values`: `zone_id` for the column `zone`; no field for the whole row."""
    found: list[DomainError] = []
    for name, texts in error.message_dict.items():
        given = f"{name}_id" if f"{name}_id" in values else name
        field = () if name == "__all__" else (given,)
        found.append(InvalidInput(" ".join(texts), field=[*below, *field]))
    return found


def _set_relation(row: models.Model, name: str, keys: set[Any], *, field: Sequence[str]) -> None:
    related: Any = row._meta.get_field(name).related_model
    if related._default_manager.filter(pk__in=keys).count() != len(keys):
        raise NotFound("One of these does not exist.", field=field)
    getattr(row, name).set(keys)


def check_columns(*, row: models.Model, exclude: Iterable[str] = (), below: Sequence[str] = ()) -> None:
    """Raises InvalidInput for each invalid column."""
    try:
        row.clean_fields(exclude=set(exclude))
    except ValidationError as error:
        found = error.message_dict.items()
        raise_all(errors=[InvalidInput(f"{name}: {' '.join(texts)}", field=[*below, name]) for name, texts in found])


@transaction.atomic(durable=True)
def delete(*, rows: QuerySet[Any], key: Any, version: int | None = None, actor: User | None, now: datetime) -> None:
    """Deletes the row with this key. Raises NotFound, StaleVersion, InUse."""
    delete_locked_row(row=_lock_row(rows, key, version), actor=actor, now=now)


def delete_locked_row(*, row: models.Model, actor: User | None, now: datetime) -> None:
    """Deletes a locked row and logs it, inside the caller's transaction. Raises InUse."""
    gone = change_log.differences(before=change_log.column_values(row=row), after={})
    entry = change_log.entry(row=row, action=ChangeAction.DELETED, fields=gone, actor=actor, now=now)
    with raising_in_use():
        row.delete()
    entry.save()


@contextmanager
def raising_in_use(*, field: str = "id") -> Iterator[None]:
    """Raises InUse if the block deletes a row that others refer to."""
    try:
        with transaction.atomic():
            yield
            check_foreign_keys()
    except IntegrityError as error:
        kinds = {each._meta.verbose_name for each in getattr(error, "protected_objects", ())}
        raise in_use_error(kinds=map(str, kinds), field=field) from None


def in_use_error(*, kinds: Iterable[str], field: str = "id") -> InUse:
    names = ", ".join(sorted(kinds))
    return InUse(f"This is still in use by: {names}." if names else "This is still in use.", field=[field])
