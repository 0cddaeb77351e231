"""Orders: placing, following and cancelling them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.db.models import DecimalField, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from domain.base.errors import NotFound
from domain.base.money import ExactAmount
from domain.sales import cart as carts
from domain.sales import orders
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError, invalid_input_as_graphql_error, user_error
from schema.base.loading import complete, load, load_nodes
from schema.base.scalars import Money, moment, plain
from schema.shop.catalog import Image, ProductVariant
from schema.shop.checkout import Address
from schema.shop.payment_types import Payment
from schema.shop.pricing import PriceStep
from schema.shop.shipments import Shipment
from storefront import models

expose(
    models.OrderState,
    "The state of an order: AWAITING_PAYMENT, PAID, SHIPPED, DELIVERED, or one of the final states.",
    AWAITING_PAYMENT="Placed, with its stock reserved.",
    CANCELLED="Cancelled before it was paid. Its stock was released.",
    EXPIRED="Not paid in time. Its stock was released.",
    REFUNDED="The whole amount was refunded.",
)
expose(models.OrderEventKind, "What happened to an order.", REFUND_DUE="Money arrived that has to be refunded.")
NEWEST = Keyset("-placed_at", "id")

_of_this = models.Payment.objects.filter(order=OuterRef("pk")).order_by().values("order")
_GIVEN_BACK = ExactAmount(
    Coalesce(
        Subquery(_of_this.annotate(sum=Sum("refunded")).values("sum")),
        Value(Decimal(0)),
        output_field=DecimalField(max_digits=14, decimal_places=3),
    )
)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.OrderLine, description="A variant in an order, with its quantity, as it was sold.")
class OrderLine(ids.Node):
    sku: str = strawberry_django.field(description="The variant's SKU when it was sold.")
    title: str = strawberry_django.field(description="The product's title when it was sold.")
    variant_title: str = strawberry_django.field(
        description='The option values: "M / Sand". Empty if the product had no options.'
    )
    quantity: int = strawberry_django.field(description="Number of units.")

    @strawberry_django.field(select_related=["order"], description="Price of one unit when it was sold.")
    def unit_price(self: Any) -> Money:
        return Money.of(self.unit_price, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="`unitPrice` × `quantity`.")
    def total(self: Any) -> Money:
        return Money.of(self.total, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="The part of the discounts that falls on this line.")
    def discount(self: Any) -> Money:
        return Money.of(self.discount, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="Price of the line after discounts, without tax.")
    def net(self: Any) -> Money:
        return Money.of(self.net, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="Tax on this line.")
    def tax(self: Any) -> Money:
        return Money.of(self.tax, self.order.currency)

    @strawberry_django.field(select_related=["order"], description="Final price of the line: `net` + `tax`.")
    def gross(self: Any) -> Money:
        return Money.of(self.net + self.tax, self.order.currency)

    @strawberry_django.field(
        select_related=["variant__product"],
        description="The variant as it is sold today; null if it is no longer sold.",
    )
    def variant(self: Any, info: Info) -> ProductVariant | None:
        return self.variant if carts.is_for_sale(variant=self.variant, now=info.context.now) else None

    @strawberry_django.field(
        select_related=["variant__image"],
        prefetch_related=["variant__product__images"],
        description="The current image of the variant, or of its product; null if there is none.",
    )
    def image(self: Any) -> Image | None:
        return self.variant.image or next(iter(self.variant.product.images.all()), None)


@strawberry_django.type(models.OrderEvent, description="An event in the history of an order.")
class OrderEvent:
    kind: models.OrderEventKind = strawberry_django.field(description="The kind of event.")
    message: str = strawberry_django.field(description="A message for people; may be empty.")
    at: datetime = strawberry_django.field(description="When it happened.")


@strawberry_django.type(models.Order, description="An order. Its prices and addresses never change.")
class Order(ids.Node):
    number: str = strawberry_django.field(description="Order number, for people.")
    state: models.OrderState = strawberry_django.field(description="The state of the order.")
    placed_at: datetime = strawberry_django.field(description="When the order was placed.")
    email: str = strawberry_django.field(description="The buyer's e-mail address, where the confirmation was sent.")
    lines: list[OrderLine] = strawberry_django.field(description="The lines, in the order of the cart.")
    shipping_address: Address = strawberry_django.field(description="Where the order is sent.")
    billing_address: Address = strawberry_django.field(description="The billing address.")
    shipping_method: str = strawberry_django.field(description="The name of the chosen shipping method.")
    currency: str = strawberry_django.field(description="ISO 4217 code of the currency of all amounts.")
    prices_include_tax: bool = strawberry_django.field(description="Whether unit prices and shipping included tax.")
    note: str = strawberry_django.field(description="The buyer's note; may be empty.")
    payments: list[Payment] = strawberry_django.field(description="All payments and attempts to pay, oldest first.")
    shipments: list[Shipment] = strawberry_django.field(description="The parcels that were sent, oldest first.")
    events: list[OrderEvent] = strawberry_django.field(description="The history of the order, oldest first.")

    @strawberry_django.field(
        description="The value of one unit of the shop's currency in the order's currency; 1 if they are the same."
    )
    def exchange_rate(self: Any) -> Decimal:
        return plain(self.exchange_rate)

    @strawberry_django.field(description="Sum of the line totals.")
    def subtotal(self: Any) -> Money:
        return Money.of(self.subtotal, self.currency)

    @strawberry_django.field(description="Total of the discounts on goods and shipping.")
    def discount(self: Any) -> Money:
        return Money.of(self.discount, self.currency)

    @strawberry_django.field(description="Price of shipping.")
    def shipping(self: Any) -> Money:
        return Money.of(self.shipping, self.currency)

    @strawberry_django.field(description="`total` without `tax`.")
    def net(self: Any) -> Money:
        return Money.of(self.net, self.currency)

    @strawberry_django.field(description="Tax on goods and shipping.")
    def tax(self: Any) -> Money:
        return Money.of(self.tax, self.currency)

    @strawberry_django.field(
        description="What the buyer pays: `net` + `tax`. It is `subtotal` - `discount` + `shipping`, plus `tax` "
        "unless `pricesIncludeTax`."
    )
    def total(self: Any) -> Money:
        return Money.of(self.total, self.currency)

    @strawberry_django.field(
        annotate={"given_back": _GIVEN_BACK}, description="Total of the refunds, including those that are pending."
    )
    def refunded(self: Any) -> Money:
        return Money.of(self.given_back, self.currency)

    @strawberry_django.field(description="The discount codes that were used.")
    def discount_codes(self: Any) -> list[str]:
        return orders.discount_codes(order=self)

    @strawberry_django.field(description="The calculation of the total, step by step.")
    def price_trace(self: Any) -> list[PriceStep]:
        return [PriceStep.of(step, self.currency) for step in orders.trace(order=self)]

    @strawberry_django.field(
        description="Secret. It gives a guest access to the order: send it to `order`, `startPayment` and "
        "`cancelOrder`. Null for staff who may view orders but not change them."
    )
    def receipt(self: Any, info: Info) -> str | None:
        return orders.receipt(order=self) if orders.may_hold_receipt(viewer=info.context.viewer, order=self) else None


@strawberry.type(description="A page of orders.")
class OrderConnection(Connection[Order]):
    pass


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────


@user_error(orders.TotalChanged)
@strawberry.type(
    description="The cart's total differs from the one that the buyer saw. Show the new total, then place the order "
    "again."
)
class TotalChanged(UserError):
    expected: Money = strawberry.field(description="The total that was sent.")
    actual: Money = strawberry.field(description="The current total of the cart.")

    @classmethod
    def data(cls, error: orders.TotalChanged) -> dict[str, Any]:
        expected = Money.of(error.expected, error.expected_currency)
        return {"expected": expected, "actual": Money.of(error.actual, error.currency)}


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A range of time. Both bounds are included.")
class DateTimeRange:
    gte: datetime | None = strawberry.field(default=None, description="At this time or later.")
    lte: datetime | None = strawberry.field(default=None, description="At this time or earlier.")


@strawberry.input(description="Orders have to match every field that is given.")
class OrderFilter:
    state: list[models.OrderState] | None = strawberry.field(default=None, description="One of these states.")
    placed: DateTimeRange | None = strawberry.field(default=None, description="When the order was placed.")
    email: str | None = strawberry.field(
        default=None, description="The complete e-mail address, in upper or lower case."
    )
    number: str | None = strawberry.field(
        default=None, description="The complete order number, in upper or lower case."
    )
    customer_id: strawberry.ID | None = strawberry.field(default=None, description="`Customer.id`.")


def _decode_filter(filter: OrderFilter) -> orders.OrderFilter:
    placed = filter.placed or DateTimeRange()
    return orders.OrderFilter(
        states=tuple(filter.state or ()),
        placed_gte=placed.gte and moment(placed.gte),
        placed_lte=placed.lte and moment(placed.lte),
        email=filter.email,
        number=filter.number,
        customer_id=None if filter.customer_id is None else ids.uuid(filter.customer_id, "Customer"),
    )


@strawberry.input(description="The cart to order, and the total that the buyer saw.")
class PlaceOrderInput:
    expected_total: Decimal = strawberry.field(description="The `Cart.total` that the buyer saw.")
    expected_currency: str | None = strawberry.field(
        default=None, description="The `Cart.currency` that the buyer saw. Send it if the shop has several currencies."
    )
    cart_code: strawberry.ID | None = strawberry.field(
        default=None,
        description="`Cart.code`. Default: the viewer's active cart, or the cart of the cookie. Send it whenever you "
        "can: then a repeated call always means the same cart.",
    )
    note: str | None = strawberry.field(
        default=None, description="A note from the buyer to the shop, at most 2000 characters."
    )


@strawberry.input(description="The order to cancel, and the reason.")
class CancelOrderInput:
    order_id: strawberry.ID = strawberry.field(description="`Order.id`.")
    receipt: str | None = strawberry.field(default=None, description="`Order.receipt`, for a guest.")
    reason: str | None = strawberry.field(default=None, description="The reason, at most 2000 characters.")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The result of changing an order: the order, or errors.")
class OrderPayload:
    row: strawberry.Private[models.Order | None] = None
    replayed: bool = strawberry.field(
        default=False,
        description="Whether the order had been placed with this cart before. Then `order` is that order.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(graphql_type=Order | None, description="The order as it is now; null if the mutation failed.")
    def order(self, info: Info) -> models.Order | None:
        return complete(self.row, info) if self.row else None


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class OrderQuery:
    @strawberry.field(
        graphql_type=Order | None,
        description="One of the viewer's orders by id, or a guest's order by receipt; null if there is none.",
    )
    def order(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID | None, strawberry.argument(description="`Order.id`, for the customer who placed it.")
        ] = None,
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

    @strawberry.field(description="For staff who may view orders: all orders, newest first.")
    def orders(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[
            OrderFilter | None, strawberry.argument(description="Only orders that match this filter.")
        ] = None,
    ) -> OrderConnection:
        info.context.allow("view_order")
        with invalid_input_as_graphql_error():
            rows = orders.staff_orders(filter=_decode_filter(filter or OrderFilter()))
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
        description="Places the order for the cart, exactly once, and reserves its stock. The order then awaits "
        "payment; if there is nothing to pay, it is PAID. The cart is locked. Errors: everything in `Cart.problems`, "
        "and TOTAL_CHANGED, INVALID, NOT_FOUND."
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
        description="Cancels an order that is not paid. Calling it again changes nothing. Errors: NOT_FOUND, "
        "ORDER_STATE, INVALID."
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
