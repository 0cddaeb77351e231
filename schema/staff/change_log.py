"""Who changed what, for whoever answers for the shop."""

import json
from datetime import datetime
from typing import Annotated, Any

import strawberry
import strawberry_django

from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import bad_user_input, telling_bad_input
from schema.base.loading import load_nodes
from storefront import models

expose(models.ChangeAction, "What was done.")
_NEWEST = Keyset("-id")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="What became of one part.")
class ChangedField:
    name: str = strawberry.field(description='"title"; of a variant, with its SKU: "HLS-M price".')
    before: str | None = strawberry.field(description="Null: nothing. A list is JSON.")
    after: str | None = strawberry.field(description="Null: nothing. A list is JSON.")


@strawberry_django.type(models.Change, description="Who changed what, and how it was before.")
class Change(ids.Node):
    at: datetime = strawberry_django.field(description="When.")
    action: models.ChangeAction = strawberry_django.field(description="What was done.")
    kind: str = strawberry_django.field(description='Of what: "Product", "ProductVariant", "Discount".')
    label: str = strawberry_django.field(description="What it was called then.")

    @strawberry_django.field(select_related=["actor"], description="Who did; null: nobody of the staff.")
    def actor(self: Any) -> str | None:
        return str(self.actor) if self.actor else None

    @strawberry_django.field(description="The id of what was changed, which may be gone.")
    def target_id(self: Any) -> strawberry.ID:
        return ids.encode(self.kind, self.key)

    @strawberry_django.field(graphql_type=list[ChangedField], description="Part by part, by name.")
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
    @strawberry.field(description="For staff who may view changes: what staff and imports changed, the last first.")
    def changes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        kind: Annotated[str | None, strawberry.argument(description="`Change.kind`.")] = None,
        target_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="The id of one of that kind, which has to be given.")
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
        raise bad_user_input("Give `kind` with `targetId`.")
    with telling_bad_input():
        return conditions | {"key": ids.text(target_id, kind)}
