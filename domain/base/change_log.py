"""Who changed what: each writing function tells its change beside it; and nobody overwrites what they have not seen."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db import models

from domain.base.errors import DomainError
from storefront.models import Change, ChangeAction, User, Versioned

# What follows from the rest of a row, or is written without anybody's doing.
_FOLLOWS = {"version", "created_at", "updated_at", "min_price", "max_price"}
_LONGEST = 2000

Fields = Mapping[str, tuple[Any, Any]]


class StaleVersion(DomainError):
    """Somebody has changed the row since the version that was seen; `current` is the row as it is now."""

    code: ClassVar[str] = "STALE_VERSION"

    def __init__(self, current: Versioned) -> None:
        super().__init__("Somebody else has changed this in the meantime: look again.", field=["version"])
        self.current = current


def check_version(*, row: Versioned, seen: int | None) -> None:
    """Raises StaleVersion for another version than was seen; None: whoever asks does not mind. Call with it locked."""
    if seen is not None and seen != row.version:
        raise StaleVersion(row)


def columns(*, row: models.Model) -> dict[str, Any]:
    """What is told of a row: its columns, without those that follow from the others."""
    told = (field for field in row._meta.concrete_fields if field.name not in _FOLLOWS and not field.primary_key)
    return {field.name: field.value_from_object(row) for field in told}


def between(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs, by name: how it was, how it is. What is on one side alone is None on the other."""
    pairs = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def change(*, row: models.Model, action: ChangeAction, fields: Fields, actor: User | None, now: datetime) -> Change:
    """The row of the audit. What was never there, nor is, is left out; long texts are cut."""
    told = {name: [_short(value) for value in pair] for name, pair in fields.items() if any(_says(it) for it in pair)}
    kind, label = type(row).__name__, str(row)[:300]
    return Change(at=now, actor=actor, action=action, kind=kind, key=str(row.pk), label=label, fields=told)


def _says(value: Any) -> bool:
    return value not in (None, "", [])


def _short(value: Any) -> Any:
    return f"{value[:_LONGEST]}…" if isinstance(value, str) and len(value) > _LONGEST else value
