"""Discount codes, for staff. What a buyer does with them is in `schema.shop.cart`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.conf import settings
from django.db.models import Count, Prefetch, Q

from schema.base import crud, ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.loading import load_nodes
from schema.base.scalars import Money, plain
from storefront import models
from storefront.models.promotions import normalize_code

expose(
    models.DiscountKind,
    "What a discount code takes off.",
    PERCENTAGE="`value` percent of the goods that it covers.",
    FIXED="`value`, in the shop's currency, of the goods that it covers.",
    FREE_SHIPPING="Shipping, if something that it covers is in the cart.",
)
_BY_CODE = Keyset("code")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Discount, description="A discount code and its terms.")
class Discount(ids.Versioned):
    code: str = strawberry_django.field(description="What buyers type, in any case; unique.")
    kind: models.DiscountKind = strawberry_django.field(description="What it takes off.")
    starts_at: datetime | None = strawberry_django.field(description="Null: it has begun.")
    ends_at: datetime | None = strawberry_django.field(description="From then on it is over; null: never.")
    max_uses: int | None = strawberry_django.field(description="Orders in all; null: any number.")
    max_uses_per_customer: int | None = strawberry_django.field(
        description="Orders of one account or e-mail; null: any number."
    )
    is_active: bool = strawberry_django.field(description="Whether it is offered.")

    @strawberry_django.field(
        prefetch_related=[Prefetch("products", models.Product.objects.only("pk"))],
        description="What it covers; nothing here and in `categoryIds`: all goods.",
    )
    def product_ids(self: Any) -> list[strawberry.ID]:
        return [ids.encode("Product", product.pk) for product in self.products.all()]

    @strawberry_django.field(
        prefetch_related=[Prefetch("categories", models.Category.objects.only("pk"))],
        description="What it covers, with all below them.",
    )
    def category_ids(self: Any) -> list[strawberry.ID]:
        return [ids.encode("Category", category.pk) for category in self.categories.all()]

    @strawberry_django.field(description="Percent, or an amount in the shop's currency; 0 for free shipping.")
    def value(self: Any) -> Decimal:
        return plain(self.value)

    @strawberry_django.field(description="What the goods have to cost, before discounts; null: anything.")
    def minimum_total(self: Any) -> Money | None:
        return None if self.minimum_total is None else Money.of(self.minimum_total, settings.SHOP_CURRENCY)

    @strawberry_django.field(
        annotate={"times_used": Count("uses", filter=Q(uses__given_back_at=None), distinct=True)},
        description="Orders that have used it, without those that gave it back.",
    )
    def uses(self: Any) -> int:
        return int(self.times_used)


@strawberry.type(description="A page of discount codes.")
class DiscountConnection(Connection[Discount]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A discount code. What is left out stays; a new one needs `code`, `kind` and `value`.")
class SaveDiscountInput(crud.SaveInput):
    code: str | None = strawberry.field(
        default=strawberry.UNSET, description="Letters, digits, - and _; kept in capitals. Unique."
    )
    kind: models.DiscountKind | None = strawberry.field(default=strawberry.UNSET, description="What it takes off.")
    value: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Percent, or an amount in the shop's currency; 0 for free shipping."
    )
    minimum_total: Decimal | None = strawberry.field(default=strawberry.UNSET, description="Null: anything.")
    starts_at: datetime | None = strawberry.field(default=strawberry.UNSET, description="Null: at once.")
    ends_at: datetime | None = strawberry.field(default=strawberry.UNSET, description="Null: never.")
    product_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="All that it shall cover; empty here and in `categoryIds`: all goods."
    )
    category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="All that it shall cover, those below them too."
    )
    max_uses: int | None = strawberry.field(default=strawberry.UNSET, description="Null: any number.")
    max_uses_per_customer: int | None = strawberry.field(default=strawberry.UNSET, description="Null: any number.")
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether it is offered.")


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class PromotionQuery:
    @strawberry.field(description="For staff who may view them, by code.")
    def discounts(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[str | None, strawberry.argument(description="The beginning of a code.")] = None,
    ) -> DiscountConnection:
        info.context.allow("view_discount")
        rows = models.Discount.objects.filter(code__startswith=normalize_code(search or ""))
        page = Page(
            rows,
            _BY_CODE,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return DiscountConnection(page=page)


@strawberry.type
class PromotionMutation:
    @strawberry.mutation(description="For staff: makes a discount code, or changes one. Errors: INVALID, NOT_FOUND.")
    def save_discount(self, info: Info, input: SaveDiscountInput) -> crud.SavePayload[Discount]:
        links = {"product_ids": "products", "category_ids": "categories"}
        return crud.save(info, models.Discount, input, links=links)

    @strawberry.mutation(
        description="For staff: deletes a code that no order has used; one that was is withdrawn by `isActive`. "
        "Errors: NOT_FOUND, IN_USE."
    )
    def delete_discount(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.Discount, input)
