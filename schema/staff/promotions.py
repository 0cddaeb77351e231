"""Discount codes, for staff. Buyers use them in `schema.shop.cart`."""

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
    "The kind of a discount.",
    PERCENTAGE="`value` percent off the goods that the code applies to.",
    FIXED="`value`, in the shop's currency, off the goods that the code applies to.",
    FREE_SHIPPING="Free shipping, if the cart holds goods that the code applies to.",
)
_BY_CODE = Keyset("code")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Discount, description="A discount code and its conditions.")
class Discount(ids.Versioned):
    code: str = strawberry_django.field(description="The code that buyers enter, in upper or lower case; unique.")
    kind: models.DiscountKind = strawberry_django.field(description="The kind of discount.")
    starts_at: datetime | None = strawberry_django.field(
        description="When the code becomes valid; null if it has no start."
    )
    ends_at: datetime | None = strawberry_django.field(description="When the code expires; null if it never expires.")
    max_uses: int | None = strawberry_django.field(
        description="Maximum number of orders that can use the code; null for no limit."
    )
    max_uses_per_customer: int | None = strawberry_django.field(
        description="Maximum number of orders per account or e-mail address; null for no limit."
    )
    is_active: bool = strawberry_django.field(description="Whether the code can be used.")

    @strawberry_django.field(
        prefetch_related=[Prefetch("products", models.Product.objects.only("pk"))],
        description="`Product.id` of the products that the code applies to. If this and `categoryIds` are empty, it "
        "applies to all goods.",
    )
    def product_ids(self: Any) -> list[strawberry.ID]:
        return [ids.encode("Product", product.pk) for product in self.products.all()]

    @strawberry_django.field(
        prefetch_related=[Prefetch("categories", models.Category.objects.only("pk"))],
        description="`Category.id` of the categories that the code applies to, including the categories below them.",
    )
    def category_ids(self: Any) -> list[strawberry.ID]:
        return [ids.encode("Category", category.pk) for category in self.categories.all()]

    @strawberry_django.field(description="A percentage, or an amount in the shop's currency; 0 for free shipping.")
    def value(self: Any) -> Decimal:
        return plain(self.value)

    @strawberry_django.field(description="The minimum subtotal before discounts; null for none.")
    def minimum_total(self: Any) -> Money | None:
        return None if self.minimum_total is None else Money.of(self.minimum_total, settings.SHOP_CURRENCY)

    @strawberry_django.field(
        annotate={"times_used": Count("uses", filter=Q(uses__given_back_at=None), distinct=True)},
        description="Number of orders that use the code. Orders that released it are not counted.",
    )
    def uses(self: Any) -> int:
        return int(self.times_used)


@strawberry.type(description="A page of discount codes.")
class DiscountConnection(Connection[Discount]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(
    description="A discount code. Omitted fields stay unchanged. A new code needs `code`, `kind` and `value`."
)
class SaveDiscountInput(crud.SaveInput):
    code: str | None = strawberry.field(
        default=strawberry.UNSET, description='Letters, digits, "-" and "_"; stored in upper case; unique.'
    )
    kind: models.DiscountKind | None = strawberry.field(default=strawberry.UNSET, description="The kind of discount.")
    value: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="A percentage, or an amount in the shop's currency; 0 for free shipping."
    )
    minimum_total: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="The minimum subtotal before discounts; null for none."
    )
    starts_at: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="When the code becomes valid; null for at once."
    )
    ends_at: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="When the code expires; null for never."
    )
    product_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="`Product.id` of all products that the code applies to. If this and `categoryIds` are empty, it "
        "applies to all goods.",
    )
    category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="`Category.id` of all categories that the code applies to, including the categories below them.",
    )
    max_uses: int | None = strawberry.field(
        default=strawberry.UNSET, description="Maximum number of orders; null for no limit."
    )
    max_uses_per_customer: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="Maximum number of orders per account or e-mail address; null for no limit.",
    )
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether the code can be used.")


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class PromotionQuery:
    @strawberry.field(description="For staff who may view discounts: all codes, in alphabetical order.")
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
    @strawberry.mutation(description="For staff: creates or changes a discount code. Errors: INVALID, NOT_FOUND.")
    def save_discount(self, info: Info, input: SaveDiscountInput) -> crud.SavePayload[Discount]:
        links = {"product_ids": "products", "category_ids": "categories"}
        return crud.save(info, models.Discount, input, links=links)

    @strawberry.mutation(
        description="For staff: deletes a code that no order has used. Otherwise set `isActive` to false. Errors: "
        "NOT_FOUND, IN_USE."
    )
    def delete_discount(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.Discount, input)
