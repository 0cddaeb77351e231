"""Customers, as staff look them up. What customers see of themselves is in `schema.shop.accounts`."""

from datetime import datetime
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.db.models import Count

from domain.accounts import customers
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.loading import load_nodes
from storefront import models

_NEWEST = Keyset("-joined_at", "id")

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.User, description="Who has an account. Their orders: `orders(filter: { customerId })`.")
class Customer(ids.Node):
    name: str = strawberry_django.field(description="How to address them; may be empty.")
    joined_at: datetime = strawberry_django.field(description="Since when they have an account.")
    is_active: bool = strawberry_django.field(description="Whether they may log in.")

    @strawberry_django.field(description="Where their mail goes; see `emailVerified`.")
    def email(self: Any) -> str:
        return str(self.address)

    @strawberry_django.field(description="Whether they have shown that the e-mail is theirs.")
    def email_verified(self: Any) -> bool:
        return self.email is not None

    @strawberry_django.field(annotate={"orders_placed": Count("orders")}, description="All that they placed.")
    def order_count(self: Any) -> int:
        return int(self.orders_placed)


@strawberry.type(description="A page of customers.")
class CustomerConnection(Connection[Customer]):
    pass


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CustomerQuery:
    @strawberry.field(description="For staff who may view users: customers, who came last first.")
    def customers(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[
            str | None, strawberry.argument(description="How the e-mail or the name begins, in any case.")
        ] = None,
    ) -> CustomerConnection:
        info.context.allow("view_user")
        page = Page(
            customers.find(text=search or ""),
            _NEWEST,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return CustomerConnection(page=page)
