"""Rows that staff enter as they are: saved by the rules of their models, deleted where nothing hangs on them."""

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
    """Something hangs on the row, so that it cannot be deleted."""

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
    """Creates a row, or changes the one of `rows` with that key; columns that `values` does not name stay.

    `links` are, by the input's name, many-to-many fields and the keys that they shall hold; `parts` the rows that
    shall hang on it; each as a whole. `version` is the one that was seen, if any. Raises InvalidInput for each value
    that the model's rules refuse; NotFound for the key and for links; StaleVersion.
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
    """As `save`, within a transaction of the caller's."""
    row = rows.model() if key is None else _open(rows, key, version)
    relations = [name for name, _ in links.values()]
    before = {} if key is None else _told(row, relations, parts)
    values, name = dict(values), row._meta.pk.name
    if key is not None and values.pop(name, key) != key:
        raise InvalidInput("This stays as it is: make another.", field=[name])
    seen = row.version
    _write(row, values, update_only=key is not None)
    for given_as, (name, keys) in links.items():
        _link(row, name, set(keys), field=[given_as])
    for name, given in parts.items():
        if len(given) > MAX_PARTS:
            raise InvalidInput(f"At most {MAX_PARTS}.", field=[name])
        relation: Any = row._meta.get_field(name)
        getattr(row, name).all().delete()
        for index, part in enumerate(given):
            _write(relation.related_model(**{relation.field.name: row}), part, below=(name, str(index)))
    if changed := change_log.between(before=before, after=_told(row, relations, parts)):
        if key is not None and row.version == seen:
            row.save(update_fields=[])
        action = ChangeAction.CREATED if key is None else ChangeAction.UPDATED
        change_log.change(row=row, action=action, fields=changed, actor=actor, now=now).save()
    return row


def _open(rows: QuerySet[Row], key: Any, version: int | None) -> Row:
    row = locks.row(candidates=rows.filter(pk=key))
    if row is None:
        raise NotFound("There is no such thing.", field=["id"])
    change_log.check_version(row=row, seen=version)
    return row


def _told(row: models.Model, relations: Iterable[str], parts: Iterable[str]) -> dict[str, Any]:
    """What the audit tells of the row, and of what it holds and has hanging on it."""
    told = change_log.columns(row=row)
    told |= {name: sorted(map(str, getattr(row, name).all())) for name in relations}
    return told | {name: [change_log.columns(row=part) for part in getattr(row, name).all()] for name in parts}


def _write(
    row: models.Model, values: Mapping[str, Any], *, update_only: bool = False, below: tuple[str, ...] = ()
) -> None:
    before = change_log.columns(row=row)
    for name, value in values.items():
        setattr(row, name, _cleaned(row, name, value))
    try:
        row.full_clean()
        if update_only and not change_log.between(before=before, after=change_log.columns(row=row)):
            return
        with transaction.atomic():
            # Never an update of a row that another has just made with the same key.
            row.save(force_insert=not update_only, update_fields=list(values) if update_only else None)
            check_references()
    except ValidationError as error:
        raise_all(errors=_refusals(error, values, below))
    except IntegrityError:  # Another was faster: with the same code or name, or to delete what this refers to.
        raise InvalidInput("Somebody else has just changed this: look again.", field=below) from None


def _cleaned(row: models.Model, name: str, value: Any) -> Any:
    """As a form has it: without spaces around, and empty where a text is left out."""
    field: Any = row._meta.get_field(name)
    if value is None and field.blank and not field.null and field.empty_strings_allowed:
        return ""
    return value.strip() if isinstance(value, str) else value


def check_references() -> None:
    """Has PostgreSQL look at foreign keys now rather than at the end of the transaction. SQLite has one writer."""
    connection = transaction.get_connection()
    if connection.vendor == "postgresql":
        connection.check_constraints()


def _refusals(error: ValidationError, values: Mapping[str, Any], below: tuple[str, ...]) -> list[DomainError]:
    """By the names that the values have: a rule of `zone` is told of `zone_id`, one of the whole row of no field."""
    found: list[DomainError] = []
    for name, texts in error.message_dict.items():
        given = f"{name}_id" if f"{name}_id" in values else name
        field = () if name == "__all__" else (given,)
        found.append(InvalidInput(" ".join(texts), field=[*below, *field]))
    return found


def _link(row: models.Model, name: str, keys: set[Any], *, field: Sequence[str]) -> None:
    related: Any = row._meta.get_field(name).related_model
    if related._default_manager.filter(pk__in=keys).count() != len(keys):
        raise NotFound("One of these does not exist.", field=field)
    getattr(row, name).set(keys)


def check(*, row: models.Model, exclude: Iterable[str] = (), below: Sequence[str] = ()) -> None:
    """Raises InvalidInput for each column that does not fit."""
    try:
        row.clean_fields(exclude=set(exclude))
    except ValidationError as error:
        told = error.message_dict.items()
        raise_all(errors=[InvalidInput(f"{name}: {' '.join(texts)}", field=[*below, name]) for name, texts in told])


@transaction.atomic(durable=True)
def delete(*, rows: QuerySet[Any], key: Any, version: int | None = None, actor: User | None, now: datetime) -> None:
    """Deletes the row with that key. Raises NotFound, StaleVersion, and InUse if something hangs on it."""
    remove(row=_open(rows, key, version), actor=actor, now=now)


def remove(*, row: models.Model, actor: User | None, now: datetime) -> None:
    """Deletes a locked row, within a transaction of the caller's. Raises InUse."""
    gone = change_log.between(before=change_log.columns(row=row), after={})
    told = change_log.change(row=row, action=ChangeAction.DELETED, fields=gone, actor=actor, now=now)
    with refusing_use():
        row.delete()
    told.save()


@contextmanager
def refusing_use(*, field: str = "id") -> Iterator[None]:
    """Raises InUse where something hangs on what is deleted, or comes to hang on it at this moment."""
    try:
        with transaction.atomic():
            yield
            check_references()
    except IntegrityError as error:
        kinds = {each._meta.verbose_name for each in getattr(error, "protected_objects", ())}
        raise in_use(kinds=map(str, kinds), field=field) from None


def in_use(*, kinds: Iterable[str], field: str = "id") -> InUse:
    what = ", ".join(sorted(kinds))
    return InUse(f"Still in use: {what}." if what else "Still in use.", field=[field])
