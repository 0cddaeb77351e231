"""Stock, for staff: low stock, the movements, and adjustments."""

from datetime import datetime
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.conf import settings
from django.db.models import QuerySet

from domain.catalog import stock
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError, invalid_input_as_graphql_error
from schema.base.loading import load, load_nodes
from schema.staff.products import StaffProductVariant
from storefront import models

expose(models.MovementReason, "Why stock moved.")
_NEWEST, _LEAST = Keyset("-id"), Keyset("available", "id")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(
    models.StockMovement, description="One movement of a variant's stock. The sum of all movements is the stock."
)
class StockMovement(ids.Node):
    at: datetime = strawberry_django.field(description="When the stock moved.")
    variant: StaffProductVariant = strawberry_django.field(description="The variant.")
    on_hand_change: int = strawberry_django.field(description="Change of the units in the warehouse.")
    reserved_change: int = strawberry_django.field(description="Change of the units reserved for orders.")
    reason: models.MovementReason = strawberry_django.field(description="The reason for the movement.")
    note: str = strawberry_django.field(
        description="A note from the member of staff who made the adjustment; may be empty."
    )

    @strawberry_django.field(
        select_related=["order"], description="`Order.number`; null if the movement belongs to no order."
    )
    def order_number(self: Any) -> str | None:
        return self.order.number if self.order else None

    @strawberry_django.field(
        select_related=["actor"],
        description="The member of staff who adjusted or counted the stock; null if the shop moved it by itself.",
    )
    def actor(self: Any) -> str | None:
        return str(self.actor) if self.actor else None


@strawberry.type(description="A page of stock movements.")
class StockMovementConnection(Connection[StockMovement]):
    pass


@strawberry.type(description="A page of variants.")
class StaffProductVariantConnection(Connection[StaffProductVariant]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A change to the stock of one variant: its units, its policy, or both.")
class StockAdjustmentInput:
    variant_id: strawberry.ID = strawberry.field(description="`ProductVariant.id`.")
    delta: int = strawberry.field(default=0, description="Units to add to the warehouse; negative to remove them.")
    policy: models.StockPolicy | None = strawberry.field(
        default=None, description="What happens when the variant is sold out; null to keep the policy."
    )
    reason: str | None = strawberry.field(
        default=None, description='The reason, such as "Broken in transit", at most 200 characters.'
    )


@strawberry.input(description="The adjustments to make. If one fails, none is made.")
class AdjustStockInput:
    request_id: str = strawberry.field(
        description="A unique text of your choice, at most 100 characters. Send the same one when you repeat the "
        "call, and another one for another adjustment."
    )
    lines: list[StockAdjustmentInput] = strawberry.field(description="1 to 200 adjustments.")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The result of adjusting stock: the movements, or errors.")
class StockPayload:
    rows: strawberry.Private["QuerySet[models.StockMovement] | None"] = None
    replayed: bool = strawberry.field(
        default=False,
        description="Whether the adjustment was made before, with the same `requestId`. Then `movements` are those of "
        "that time.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(
        graphql_type=list[StockMovement],
        description="One movement per adjustment, in the same order; empty if the mutation failed.",
    )
    def movements(self, info: Info) -> "QuerySet[models.StockMovement] | list[models.StockMovement]":
        return [] if self.rows is None else load(self.rows, info)


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class StockQuery:
    @strawberry.field(description="For staff who may view stock movements: the movements, newest first.")
    def stock_movements(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        variant_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="`ProductVariant.id`. Default: the movements of all variants."),
        ] = None,
    ) -> StockMovementConnection:
        info.context.allow("view_stockmovement")
        rows = models.StockMovement.objects.all()
        if variant_id is not None:
            with invalid_input_as_graphql_error():
                rows = rows.filter(variant=ids.number(variant_id, "ProductVariant"))
        page = Page(
            rows,
            _NEWEST,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return StockMovementConnection(page=page)

    @strawberry.field(description="For staff who may view stock: variants with few available units, fewest first.")
    def low_stock(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        at_most: Annotated[
            int | None,
            strawberry.argument(description="Maximum number of available units. Default: the setting SHOP_LOW_STOCK."),
        ] = None,
    ) -> StaffProductVariantConnection:
        info.context.allow("view_stock")
        page = Page(
            stock.low_variants(at_most=settings.SHOP_LOW_STOCK if at_most is None else at_most),
            _LEAST,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return StaffProductVariantConnection(page=page)


@strawberry.type
class StockMutation:
    @strawberry.mutation(
        description="For staff: adds units to the warehouse or removes them, and sets the stock policy. Reserved "
        "units cannot be removed. The same `requestId` has an effect once. Errors: INSUFFICIENT_STOCK, NOT_FOUND, "
        "INVALID, REQUEST_ID_REUSED."
    )
    def adjust_stock(self, info: Info, input: AdjustStockInput) -> StockPayload:
        info.context.allow("change_stock")
        with Refusals(info) as errors:
            lines = [_line(line, index) for index, line in enumerate(input.lines)]
            by = info.context.user
            done = stock.adjust(request_id=input.request_id, lines=lines, actor=by, now=info.context.now)
            return StockPayload(rows=done.adjustment.movements.order_by("id"), replayed=done.replayed)
        return StockPayload(user_errors=errors)


def _line(given: StockAdjustmentInput, index: int) -> stock.Adjustment:
    key = ids.number(given.variant_id, "ProductVariant", field=["lines", str(index), "variant_id"])
    return stock.Adjustment(key, given.delta, given.policy, given.reason or "")
