"""Adds enums of the domain and the models to the schema."""

from enum import Enum

import strawberry
from django.db.models import TextChoices


def expose(kind: type[Enum], description: str, *, name: str | None = None, **values: str) -> None:
    """Adds an enum to the schema. Values without a description here are described by their labels."""
    strawberry.enum(kind, name=name, description=description)
    for value in kind.__strawberry_definition__.values:  # type: ignore[attr-defined]
        member = kind[value.name]
        label = str(member.label) if isinstance(member, TextChoices) else ""
        value.description = values.get(value.name) or f"{label[:1].upper()}{label[1:]}."
