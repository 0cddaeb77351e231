"""Saving and deleting, shared by the mutations of staff. Each requires Django's permission for its model."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import strawberry
from django.db.models import Model, QuerySet

from domain.base import crud
from schema.base import ids
from schema.base.context import Info
from schema.base.errors import Refusals, UserError
from schema.base.loading import load
from storefront.models import Versioned

Thing = TypeVar("Thing")

VERSION = (
    "The `version` that you read. If the object has changed since, the mutation fails with STALE_VERSION. Null: skip "
    "this check."
)


@strawberry.type(description="The result of saving: the saved object, or errors.")
class SavePayload(Generic[Thing]):
    rows: strawberry.Private[QuerySet[Any] | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(description="The object as saved; null if the mutation failed.")
    def saved(self, info: Info) -> Thing | None:
        return None if self.rows is None else load(self.rows, info).first()


@strawberry.input(description="Which object to change, if it exists already.")
class SaveInput:
    id: strawberry.ID | None = strawberry.field(
        default=None, description="The `id` of the object to change; null to create a new one."
    )
    version: int | None = strawberry.field(default=None, description=VERSION)


@strawberry.input(description="Which object to delete.")
class DeleteInput:
    id: strawberry.ID = strawberry.field(description="The `id` of the object.")
    version: int | None = strawberry.field(default=None, description=VERSION)


@strawberry.type(description="The result of deleting: the id of the deleted object, for a client's cache, or errors.")
class DeletePayload:
    deleted_id: strawberry.ID | None = strawberry.field(
        default=None, description="The `id` of the deleted object; null if the mutation failed."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )


def save(
    info: Info,
    model: type[Versioned],
    given: Any,
    *,
    links: Mapping[str, str] | None = None,
    parts: tuple[str, ...] = (),
) -> SavePayload[Any]:
    """Creates a row, or changes the one with the `id` of the input. Omitted fields stay unchanged.

    `links` maps input fields with lists of ids to many-to-many fields. `parts` names input fields with lists of rows
    that belong to the saved row.
    """
    info.context.allow(f"{'add' if given.id is None else 'change'}_{model._meta.model_name}")
    with Refusals(info) as errors:
        key, values = decode_input(given, model)
        linked = {
            name: (relation, _keys(values.pop(name), model, relation, name))
            for name, relation in (links or {}).items()
            if name in values
        }
        hanging = {name: [vars(part) for part in values.pop(name) or ()] for name in parts if name in values}
        rows = model._default_manager.all()
        row = crud.save(
            rows=rows,
            key=key,
            version=given.version,
            values=values,
            links=linked,
            parts=hanging,
            actor=info.context.user,
            now=info.context.now,
        )
        return SavePayload(rows=rows.filter(pk=row.pk))
    return SavePayload(user_errors=errors)


def delete(info: Info, model: type[Versioned], given: DeleteInput) -> DeletePayload:
    info.context.allow(f"delete_{model._meta.model_name}")
    with Refusals(info) as errors:
        crud.delete(
            rows=model._default_manager.all(),
            key=_key(given.id, model, "id"),
            version=given.version,
            actor=info.context.user,
            now=info.context.now,
        )
        return DeletePayload(deleted_id=given.id)
    return DeletePayload(user_errors=errors)


def decode_input(given: Any, model: type[Model]) -> tuple[Any, dict[str, Any]]:
    """The primary key in an input (None for a new row), and the values to set, without omitted fields."""
    values = {name: value for name, value in vars(given).items() if value is not strawberry.UNSET}
    key = _key(values.pop("id"), model, "id")
    del values["version"]
    return key, values | {name: _related(value, model, name) for name, value in values.items() if name.endswith("_id")}


def _key(id: str | None, model: type[Model], *field: str) -> int | str | None:
    """The primary key in a global id of the model."""
    decode: Callable[..., int | str] = ids.text if model._meta.pk.get_internal_type() == "CharField" else ids.number
    return None if id is None else decode(id, model.__name__, field=field)


def _keys(given: list[str] | None, model: type[Model], relation: str, name: str) -> list[int | str | None]:
    related: Any = model._meta.get_field(relation).related_model
    return [_key(each, related, name, str(index)) for index, each in enumerate(given or ())]


def _related(id: str | None, model: type[Model], name: str) -> int | str | None:
    related: Any = model._meta.get_field(name.removesuffix("_id")).related_model
    return _key(id, related, name)
