"""Orders: placing one, following it, cancelling it."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
import strawberry_django
from django.db.models import DecimalField, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from domain.base.errors import NotFound
from domain.sales import cart as carts
from domain.sales import orders
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError, telling_bad_input
from schema.base.loading import complete, load, load_nodes
from schema.base.scalars import Money, moment, plain
from schema.shop.catalog import Image, ProductVariant
from schema.shop.checkout import Address
from schema.shop.pricing import PriceStep
from storefront import models

if TYPE_CHECKING:
    from schema.shop.fulfilment import Shipment
    from schema.shop.payments import Payment

expose(
    models.OrderState,
    "Where an order stands: AWAITING_PAYMENT, PAID, SHIPPED, DELIVERED, or one of the ends.",
    AWAITING_PAYMENT="Placed, and holds its stock.",
    CANCELLED="Called off before it was paid; the stock is given back.",
    EXPIRED="Not paid in time; the stock is given back.",
    REFUNDED="The money was given back.",
)
expose(models.OrderEventKind, "What happened to an order.", REFUND_DUE="Money arrived that has to be refunded.")
NEWEST = Keyset("-placed_at", "id")

_of_this = models.Payment.objects.filter(order=OuterRef("pk")).order_by().values("order")
_GIVEN_BACK = Coalesce(
    Subquery(_of_this.annotate(sum=Sum("refunded")).values("sum")),
    Value(Decimal(0)),
    output_field=DecimalField(max_digits=14, decimal_places=3),
)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.OrderLine, description="Units of one variant, as they were sold.")
class OrderLine(ids.Node):
    sku: str = strawberry_django.field(description="The variant's, when it was sold.")
    title: str = strawberry_django.field(description="The product's, when it was sold.")
    variant_title: str = strawberry_django.field(description='"M / Sand"; empty where there was nothing to choose.')
    quantity: int = strawberry_django.field(description="Units.")

    @strawberry_django.field(select_related=["order"], description="What one unit cost.")
    def unit_price(self: Any) -> Money:
        return Money.of(self.unit_price, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="`unitPrice` times `quantity`.")
    def total(self: Any) -> Money:
        return Money.of(self.total, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="This line's share of what discount codes took off.")
    def discount(self: Any) -> Money:
        return Money.of(self.discount, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="After discounts, without tax.")
    def net(self: Any) -> Money:
        return Money.of(self.net, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="The tax of this line.")
    def tax(self: Any) -> Money:
        return Money.of(self.tax, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="`net` + `tax`: what the line cost in the end.")
    def gross(self: Any) -> Money:
        return Money.of(self.net + self.tax, self.order.currency)

    @strawberry_django.field(
        select_related=["variant__product"], description="As it is sold today; null when it no longer is."
    )
    def variant(self: Any, info: Info) -> ProductVariant | None:
        return self.variant if carts.is_for_sale(variant=self.variant, now=info.context.now) else None

    @strawberry_django.field(
        select_related=["variant__image"],
        prefetch_related=["variant__product__images"],
        description="The variant's picture today, or else its product's; null without one.",
    )
    def image(self: Any) -> Image | None:
        return self.variant.image or next(iter(self.variant.product.images.all()), None)


@strawberry_django.type(models.OrderEvent, description="A step of an order's history.")
class OrderEvent:
    kind: models.OrderEventKind = strawberry_django.field(description="What happened.")
    message: str = strawberry_django.field(description="For people; may be empty.")
    at: datetime = strawberry_django.field(description="When.")


@strawberry_django.type(models.Order, description="A sale as it was agreed: its prices and addresses never change.")
class Order(ids.Node):
    number: str = strawberry_django.field(description="For people: on the invoice, on the phone.")
    state: models.OrderState = strawberry_django.field(description="Where it stands.")
    placed_at: datetime = strawberry_django.field(description="When the buyer placed it.")
    email: str = strawberry_django.field(description="Whom it is confirmed to.")
    lines: list[OrderLine] = strawberry_django.field(description="In the order of the cart.")
    shipping_address: Address = strawberry_django.field(description="Where it goes.")
    billing_address: Address = strawberry_django.field(description="Who is billed.")
    shipping_method: str = strawberry_django.field(description="The name of the chosen way of shipping.")
    currency: str = strawberry_django.field(description="ISO 4217 code of all its amounts.")
    prices_include_tax: bool = strawberry_django.field(description="Whether unit prices and shipping held the tax.")
    note: str = strawberry_django.field(description="What the buyer wrote; may be empty.")
    payments: list[Annotated["Payment", strawberry.lazy("schema.shop.payments")]] = strawberry_django.field(
        description="Every attempt to pay, the first one first."
    )
    shipments: list[Annotated["Shipment", strawberry.lazy("schema.shop.fulfilment")]] = strawberry_django.field(
        description="The parcels that left, the first one first."
    )
    events: list[OrderEvent] = strawberry_django.field(description="Its history, the first step first.")

    @strawberry_django.field(
        description="What one unit of the shop's currency was in the order's; 1 in the shop's own."
    )
    def exchange_rate(self: Any) -> Decimal:
        return plain(self.exchange_rate)

    @strawberry_django.field(description="The lines' totals together.")
    def subtotal(self: Any) -> Money:
        return Money.of(self.subtotal, self.currency)

    @strawberry_django.field(description="What the discount codes took off goods and shipping.")
    def discount(self: Any) -> Money:
        return Money.of(self.discount, self.currency)

    @strawberry_django.field(description="For shipping.")
    def shipping(self: Any) -> Money:
        return Money.of(self.shipping, self.currency)

    @strawberry_django.field(description="What the shop keeps: `total` without `tax`.")
    def net(self: Any) -> Money:
        return Money.of(self.net, self.currency)

    @strawberry_django.field(description="The tax of goods and shipping.")
    def tax(self: Any) -> Money:
        return Money.of(self.tax, self.currency)

    @strawberry_django.field(
        description="`net` + `tax`. That is `subtotal` - `discount` + `shipping`, and, unless `pricesIncludeTax`, "
        "+ `tax`."
    )
    def total(self: Any) -> Money:
        return Money.of(self.total, self.currency)

    @strawberry_django.field(
        annotate={"given_back": _GIVEN_BACK}, description="What was given back of it, or is being given back."
    )
    def refunded(self: Any) -> Money:
        return Money.of(self.given_back, self.currency)

    @strawberry_django.field(description="The codes that took something off.")
    def discount_codes(self: Any) -> list[str]:
        return orders.discount_codes(order=self)

    @strawberry_django.field(description="How the total came about, step by step.")
    def price_trace(self: Any) -> list[PriceStep]:
        return [PriceStep.of(step, self.currency) for step in orders.trace(order=self)]

    @strawberry_django.field(
        description="Secret: shows to `order`, `startPayment` and `cancelOrder` that a guest's order is theirs. "
        "Null for staff who may look at orders but not change them."
    )
    def receipt(self: Any, info: Info) -> str | None:
        return orders.receipt(order=self) if orders.may_hold_receipt(viewer=info.context.viewer, order=self) else None


@strawberry.type(description="A page of orders.")
class OrderConnection(Connection[Order]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="Bounds, each included.")
class DateTimeRange:
    gte: datetime | None = strawberry.field(default=None, description="At the earliest.")
    lte: datetime | None = strawberry.field(default=None, description="At the latest.")


@strawberry.input(description="Every part given has to hold.")
class OrderFilter:
    state: list[models.OrderState] | None = strawberry.field(default=None, description="One of these.")
    placed: DateTimeRange | None = strawberry.field(default=None, description="When it was placed.")
    email: str | None = strawberry.field(default=None, description="The whole address, in any case.")
    number: str | None = strawberry.field(default=None, description="The whole number, in any case.")
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="`Customer.id`.")


def _decoded(filter: OrderFilter) -> orders.OrderFilter:
    placed = filter.placed or DateTimeRange()
    return orders.OrderFilter(
        states=tuple(filter.state or ()),
        placed_gte=placed.gte and moment(placed.gte),
        placed_lte=placed.lte and moment(placed.lte),
        email=filter.email,
        number=filter.number,
        customer_id=None if filter.customer_id is None else ids.uuid(filter.customer_id, "Customer"),
    )


@strawberry.input(description="Which cart to place, at which total.")
class PlaceOrderInput:
    expected_total: Decimal = strawberry.field(description="The `Cart.total` that the buyer saw.")
    expected_currency: str | None = strawberry.field(
        default=None, description="`Cart.currency` as the buyer saw it; give it where the shop has several."
    )
    cart_code: strawberry.ID | None = strawberry.field(
        default=None,
        description="Without it, the viewer's active cart, or the one of the cookie. Give it wherever you can: a "
        "retry with it is sure to mean the same cart.",
    )
    note: str | None = strawberry.field(default=None, description="From the buyer to the shop; 2000 characters.")


@strawberry.input(description="Which order to cancel, and why.")
class CancelOrderInput:
    order_id: strawberry.ID = strawberry.field(description="`Order.id`.")
    receipt: str | None = strawberry.field(default=None, description="`Order.receipt`, for a guest.")
    reason: str | None = strawberry.field(default=None, description="2000 characters.")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The order as it is now, or why nothing was done.")
class OrderPayload:
    row: strawberry.Private[models.Order | None] = None
    replayed: bool = strawberry.field(
        default=False, description="The cart had been placed before; `order` is the one it became then."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(graphql_type=Order | None, description="Null when nothing was done.")
    def order(self, info: Info) -> models.Order | None:
        return complete(self.row, info) if self.row else None


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class OrderQuery:
    @strawberry.field(
        graphql_type=Order | None,
        description="An order of the viewer's by id, or a guest's by receipt; null when there is none.",
    )
    def order(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="`Order.id`, for its customer.")] = None,
        receipt: Annotated[str | None, strawberry.argument(description="`Order.receipt`, for a guest.")] = None,
    ) -> models.Order | None:
        if id is None and receipt is None:
            return None
        try:
            order_id = ids.uuid(id, "Order") if id is not None else None
        except NotFound:
            return None
        visible = orders.visible(order_id=order_id, viewer=info.context.viewer, receipt=receipt)
        return load(visible, info).first()

    @strawberry.field(description="For staff who may view orders: all of them, the last placed first.")
    def orders(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[OrderFilter | None, strawberry.argument(description="Which ones.")] = None,
    ) -> OrderConnection:
        info.context.allow("view_order")
        with telling_bad_input():
            rows = orders.of_staff(wanted=_decoded(filter or OrderFilter()))
        page = Page(
            rows,
            NEWEST,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return OrderConnection(page=page)


@strawberry.type
class OrderMutation:
    @strawberry.mutation(
        description="Turns the cart into an order, exactly once: it holds its stock, and awaits payment (or is PAID, "
        "if there is nothing to pay). The cart is locked for good. Errors: everything in `Cart.problems`, and "
        "TOTAL_CHANGED, INVALID, NOT_FOUND."
    )
    def place_order(self, info: Info, input: PlaceOrderInput) -> OrderPayload:
        with Refusals(info) as errors:
            placed = orders.place(
                key=info.context.cart_key(input.cart_code),
                expected_total=input.expected_total,
                expected_currency=input.expected_currency,
                note=input.note or "",
                now=info.context.now,
            )
            return OrderPayload(row=placed.order, replayed=placed.replayed)
        return OrderPayload(user_errors=errors)

    @strawberry.mutation(
        description="Cancels an order that is not paid; once more changes nothing. "
        "Errors: NOT_FOUND, ORDER_STATE, INVALID."
    )
    def cancel_order(self, info: Info, input: CancelOrderInput) -> OrderPayload:
        with Refusals(info) as errors:
            order = orders.cancel(
                order_id=ids.uuid(input.order_id, "Order", field=["order_id"]),
                viewer=info.context.viewer,
                receipt=input.receipt,
                reason=input.reason or "",
                now=info.context.now,
            )
            return OrderPayload(row=order)
        return OrderPayload(user_errors=errors)
