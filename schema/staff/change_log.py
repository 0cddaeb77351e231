"""The change log: who changed what."""

import json
from datetime import datetime
from typing import Annotated, Any

import strawberry
import strawberry_django

from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import bad_user_input, invalid_input_as_graphql_error
from schema.base.loading import load_nodes
from storefront import models

expose(models.ChangeAction, "What was done.")
_NEWEST = Keyset("-id")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The change of one field.")
class ChangedField:
    name: str = strawberry.field(
        description='The name of the field: "title". For a field of a variant, with its SKU: "HLS-M price".'
    )
    before: str | None = strawberry.field(description="The old value; null if there was none. Lists are JSON.")
    after: str | None = strawberry.field(description="The new value; null if there is none. Lists are JSON.")


@strawberry_django.type(models.Change, description="A change: who changed which fields of an object.")
class Change(ids.Node):
    at: datetime = strawberry_django.field(description="When it was changed.")
    action: models.ChangeAction = strawberry_django.field(description="What was done.")
    kind: str = strawberry_django.field(description='The type of the object: "Product", "ProductVariant", "Discount".')
    label: str = strawberry_django.field(description="The name of the object at that time.")

    @strawberry_django.field(
        select_related=["actor"],
        description="The member of staff who made the change; null if it was nobody of the staff.",
    )
    def actor(self: Any) -> str | None:
        return str(self.actor) if self.actor else None

    @strawberry_django.field(description="The id of the object. The object may be deleted.")
    def target_id(self: Any) -> strawberry.ID:
        return ids.encode(self.kind, self.key)

    @strawberry_django.field(graphql_type=list[ChangedField], description="The changed fields, sorted by name.")
    def fields(self: Any) -> list[ChangedField]:
        return [
            ChangedField(name=name, before=_text(before), after=_text(after))
            for name, (before, after) in sorted(self.fields.items())
        ]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


@strawberry.type(description="A page of changes.")
class ChangeConnection(Connection[Change]):
    pass


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ChangeQuery:
    @strawberry.field(description="For staff who may view changes: what staff and imports changed, newest first.")
    def changes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        kind: Annotated[
            str | None, strawberry.argument(description="Only changes of objects of this type; see `Change.kind`.")
        ] = None,
        target_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only changes of the object with this id. It requires `kind`."),
        ] = None,
    ) -> ChangeConnection:
        info.context.allow("view_change")
        page = Page(
            models.Change.objects.filter(**_conditions(kind, target_id)),
            _NEWEST,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return ChangeConnection(page=page)


def _conditions(kind: str | None, target_id: str | None) -> dict[str, str]:
    conditions = {} if kind is None else {"kind": kind}
    if target_id is None:
        return conditions
    if kind is None:
        raise bad_user_input("`targetId` requires `kind`.")
    with invalid_input_as_graphql_error():
        return conditions | {"key": ids.text(target_id, kind)}
