"""Global ids: opaque to clients. They contain the name of the type and the key of the row; decoding checks both."""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import strawberry
import strawberry_django
from django.db.models import Model
from graphql import GraphQLAbstractType, GraphQLResolveInfo, GraphQLSchema

from domain.base.errors import NotFound

_STAFF_PREFIX = "Staff"


def encode(type_name: str, key: object) -> strawberry.ID:
    return strawberry.ID(b64encode(f"{type_name}:{key}".encode()).decode())


def encode_row(type_name: str, row: Model | None) -> strawberry.ID | None:
    return encode(type_name, row.pk) if row else None


def _unknown(type_name: str, field: Sequence[str]) -> NotFound:
    """The same message as for a well-formed id of no row."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type_name).lower()
    return NotFound(f"This {words} does not exist.", field=field)


def _key(value: str, type_name: str, field: Sequence[str]) -> str:
    try:
        name, _, key = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        name, key = "", ""
    if name != type_name or "\0" in key:
        raise _unknown(type_name, field)
    return key


def number(value: str, type_name: str, *, field: Sequence[str] = ()) -> int:
    """The numeric key of an id of that type. Raises NotFound for anything else."""
    key = _key(value, type_name, field)
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise _unknown(type_name, field)
    return int(key)


def text(value: str, type_name: str, *, field: Sequence[str] = ()) -> str:
    """The key of an id of that type, as text. Raises NotFound for anything else."""
    return _key(value, type_name, field)


def uuid(value: str, type_name: str, *, field: Sequence[str] = ()) -> UUID:
    """The UUID key of an id of that type. Raises NotFound for anything else."""
    key = _key(value, type_name, field)
    try:
        return UUID(key)
    except ValueError:
        raise _unknown(type_name, field) from None


@strawberry.interface(description="An object with an id that is unique in the whole shop, for a client's cache.")
class Node:
    @strawberry_django.field(only=["pk"], description="Opaque id. It never changes while the object exists.")
    def id(self: Any, info: strawberry.Info) -> strawberry.ID:
        return encode(info._raw_info.parent_type.name.removeprefix(_STAFF_PREFIX), self.pk)


@strawberry.interface(
    description="An object that staff edit. Sending `version` with a change makes sure that nobody else's change is "
    "overwritten."
)
class Versioned(Node):
    version: int = strawberry.field(
        description="Increases with each change. Send it with a change: if somebody else changed the object since, "
        "the mutation fails with STALE_VERSION."
    )

    @classmethod
    def resolve_type(cls, row: Any, info: GraphQLResolveInfo, _: GraphQLAbstractType) -> str:
        return type_of(type(row), info.schema)


def type_of(model: type[Model], schema: GraphQLSchema) -> str:
    """The type that shows such rows to staff: `StaffProduct` has more fields than `Product`."""
    name = f"{_STAFF_PREFIX}{model.__name__}"
    return name if name in schema.type_map else model.__name__
