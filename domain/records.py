"""Rows that staff enter as they are: saved by the rules of their models, deleted where nothing hangs on them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import QuerySet

from domain import locks
from domain.errors import DomainError, InvalidInput, NotFound, raise_all

Row = TypeVar("Row", bound=models.Model)

MAX_PARTS = 100


class InUse(DomainError):
    """Something hangs on the row, so that it cannot be deleted."""

    code: ClassVar[str] = "IN_USE"


@transaction.atomic(durable=True)
def save(
    *,
    rows: QuerySet[Row],
    key: Any = None,
    values: Mapping[str, Any],
    links: Mapping[str, tuple[str, Iterable[Any]]] | None = None,
    parts: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Row:
    """Creates a row, or changes the one of `rows` with that key; columns that `values` does not name stay.

    `links` are, by the input's name, many-to-many fields and the keys that they shall hold; `parts` the rows that
    shall hang on it; each as a whole. Raises InvalidInput for each value that the model's rules refuse; NotFound
    for the key and for links.
    """
    row = rows.model() if key is None else locks.row(rows.filter(pk=key))
    if row is None:
        raise NotFound("There is no such thing.", field=["id"])
    values, name = dict(values), row._meta.pk.name
    if key is not None and values.pop(name, key) != key:
        raise InvalidInput("This stays as it is: make another.", field=[name])
    _write(row, values, update_only=key is not None)
    for given_as, (name, keys) in (links or {}).items():
        _link(row, name, set(keys), field=[given_as])
    for name, given in (parts or {}).items():
        if len(given) > MAX_PARTS:
            raise InvalidInput(f"At most {MAX_PARTS}.", field=[name])
        relation: Any = row._meta.get_field(name)
        getattr(row, name).all().delete()
        for index, part in enumerate(given):
            _write(relation.related_model(**{relation.field.name: row}), part, below=(name, str(index)))
    return row


def _write(
    row: models.Model, values: Mapping[str, Any], *, update_only: bool = False, below: tuple[str, ...] = ()
) -> None:
    for name, value in values.items():
        setattr(row, name, _cleaned(row, name, value))
    try:
        row.full_clean()
        with transaction.atomic():
            # Never an update of a row that another has just made with the same key.
            row.save(force_insert=not update_only, update_fields=list(values) if update_only else None)
            _check_references()
    except ValidationError as error:
        raise_all(_told(error, values, below))
    except IntegrityError:  # Another was faster: with the same code or name, or to delete what this refers to.
        raise InvalidInput("Somebody else has just changed this: look again.", field=below) from None


def _cleaned(row: models.Model, name: str, value: Any) -> Any:
    """As a form has it: without spaces around, and empty where a text is left out."""
    field: Any = row._meta.get_field(name)
    if value is None and field.blank and not field.null and field.empty_strings_allowed:
        return ""
    return value.strip() if isinstance(value, str) else value


def _check_references() -> None:
    """Has PostgreSQL look at foreign keys now rather than at the end of the transaction. SQLite has one writer."""
    connection = transaction.get_connection()
    if connection.vendor == "postgresql":
        connection.check_constraints()


def _told(error: ValidationError, values: Mapping[str, Any], below: tuple[str, ...]) -> list[DomainError]:
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


@transaction.atomic(durable=True)
def delete(*, rows: QuerySet[Any], key: Any) -> None:
    """Deletes the row with that key. Raises NotFound, and InUse if something hangs on it."""
    row = locks.row(rows.filter(pk=key))
    if row is None:
        raise NotFound("There is no such thing.", field=["id"])
    try:
        with transaction.atomic():
            row.delete()
            _check_references()
    except IntegrityError as error:
        kinds = {each._meta.verbose_name for each in getattr(error, "protected_objects", ())}
        what = f": {', '.join(sorted(map(str, kinds)))}" if kinds else ""
        raise InUse(f"Still in use{what}.", field=["id"]) from None
