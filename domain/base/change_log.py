"""The change log (who changed what) and optimistic locking by version."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db import models

from domain.base.errors import DomainError
from storefront.models import Change, ChangeAction, User, Versioned

# Columns that are computed, or set automatically.
_DERIVED_COLUMNS = {"version", "created_at", "updated_at", "min_price", "max_price"}
_MAX_TEXT_LENGTH = 2000

ChangedFields = Mapping[str, tuple[Any, Any]]


class StaleVersion(DomainError):
    """The row was changed since the version that the caller saw. `current` is the row as it is now."""

    code: ClassVar[str] = "STALE_VERSION"

    def __init__(self, current: Versioned) -> None:
        super().__init__("Someone else has changed this in the meantime. Reload and try again.", field=["version"])
        self.current = current


def check_version(*, row: Versioned, seen: int | None) -> None:
    """Raises StaleVersion if the locked row has another version than `seen`. None skips the check."""
    if seen is not None and seen != row.version:
        raise StaleVersion(row)


def column_values(*, row: models.Model) -> dict[str, Any]:
    """The row's columns by name, without the primary key and derived columns."""
    fields = (field for field in row._meta.concrete_fields if field.name not in _DERIVED_COLUMNS)
    return {field.name: field.value_from_object(row) for field in fields if not field.primary_key}


def differences(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The values that differ, by name, as (before, after). A name that is missing on one side counts as None."""
    pairs = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def entry(
    *, row: models.Model, action: ChangeAction, fields: ChangedFields, actor: User | None, now: datetime
) -> Change:
    """A new, unsaved entry of the log. Fields that are empty before and after are left out; long texts are cut."""
    kept = {name: [*map(_shortened, pair)] for name, pair in fields.items() if any(map(_is_set, pair))}
    kind, label = type(row).__name__, str(row)[:300]
    return Change(at=now, actor=actor, action=action, kind=kind, key=str(row.pk), label=label, fields=kept)


def _is_set(value: Any) -> bool:
    return value not in (None, "", [])


def _shortened(value: Any) -> Any:
    return f"{value[:_MAX_TEXT_LENGTH]}…" if isinstance(value, str) and len(value) > _MAX_TEXT_LENGTH else value
