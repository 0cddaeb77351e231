"""Stock for staff: what there is too little of, what moved, and correcting it."""

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
from schema.base.errors import Refusals, UserError, telling_bad_input
from schema.base.loading import load, load_nodes
from schema.staff.products import StaffProductVariant
from storefront import models

expose(models.MovementReason, "Why stock moved.")
_NEWEST, _LEAST = Keyset("-id"), Keyset("available", "id")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.StockMovement, description="One move of a variant's stock; their sums are the stock.")
class StockMovement(ids.Node):
    at: datetime = strawberry_django.field(description="When.")
    variant: StaffProductVariant = strawberry_django.field(description="Of what.")
    on_hand_change: int = strawberry_django.field(description="Units more in the warehouse, or fewer.")
    reserved_change: int = strawberry_django.field(description="Units more that orders wait for, or fewer.")
    reason: models.MovementReason = strawberry_django.field(description="Why.")
    note: str = strawberry_django.field(description="Why, in the words of whoever adjusted it; may be empty.")

    @strawberry_django.field(select_related=["order"], description="`Order.number`; null when no order moved it.")
    def order_number(self: Any) -> str | None:
        return self.order.number if self.order else None

    @strawberry_django.field(select_related=["actor"], description="Who adjusted or counted it; null: by itself.")
    def actor(self: Any) -> str | None:
        return str(self.actor) if self.actor else None


@strawberry.type(description="A page of moves.")
class StockMovementConnection(Connection[StockMovement]):
    pass


@strawberry.type(description="A page of variants.")
class StaffProductVariantConnection(Connection[StaffProductVariant]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="What becomes of a variant's stock: units more or fewer, another policy, or both.")
class StockAdjustmentInput:
    variant_id: strawberry.ID = strawberry.field(description="`ProductVariant.id`.")
    delta: int = strawberry.field(default=0, description="Units more in the warehouse; fewer, below 0.")
    policy: models.StockPolicy | None = strawberry.field(default=None, description="Null: as before.")
    reason: str | None = strawberry.field(default=None, description='"Broken in transit"; 200 characters.')


@strawberry.input(description="What to adjust, all or nothing.")
class AdjustStockInput:
    request_id: str = strawberry.field(
        description="Of your making, the same when you try again, another for another adjustment; 100 characters."
    )
    lines: list[StockAdjustmentInput] = strawberry.field(description="1 to 200.")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="What was adjusted, or why nothing was.")
class StockPayload:
    rows: strawberry.Private["QuerySet[models.StockMovement] | None"] = None
    replayed: bool = strawberry.field(
        default=False, description="It was done before, by a request with the same `requestId`; `movements` are its."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(
        graphql_type=list[StockMovement], description="One for each line, in their order; empty when nothing was done."
    )
    def movements(self, info: Info) -> "QuerySet[models.StockMovement] | list[models.StockMovement]":
        return [] if self.rows is None else load(self.rows, info)


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class StockQuery:
    @strawberry.field(description="For staff who may view the ledger: what moved, the last first.")
    def stock_movements(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        variant_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="`ProductVariant.id`; without it, of all.")
        ] = None,
    ) -> StockMovementConnection:
        info.context.allow("view_stockmovement")
        rows = models.StockMovement.objects.all()
        if variant_id is not None:
            with telling_bad_input():
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

    @strawberry.field(description="For staff who may view stock: variants of which little is left, the least first.")
    def low_stock(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        at_most: Annotated[
            int | None, strawberry.argument(description="Units that can be promised; without it, SHOP_LOW_STOCK.")
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
        description="For staff: adds to what is in the warehouse, or takes from it, and sets how it is sold; never "
        "below what orders wait for. The same `requestId` does so once. Errors: INSUFFICIENT_STOCK, NOT_FOUND, "
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
