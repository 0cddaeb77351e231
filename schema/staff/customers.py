"""Customers, for staff. What customers see of themselves is in `schema.shop.accounts`."""

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


@strawberry_django.type(
    models.User, description="A person with an account. `orders(filter: { customerId })` lists their orders."
)
class Customer(ids.Node):
    name: str = strawberry_django.field(description="The customer's name; may be empty.")
    joined_at: datetime = strawberry_django.field(description="When the account was created.")
    is_active: bool = strawberry_django.field(description="Whether the customer may log in.")

    @strawberry_django.field(description="The e-mail address of the account. See `emailVerified`.")
    def email(self: Any) -> str:
        return str(self.address)

    @strawberry_django.field(description="Whether the customer has confirmed the address.")
    def email_verified(self: Any) -> bool:
        return self.email is not None

    @strawberry_django.field(
        annotate={"orders_placed": Count("orders")}, description="Number of orders that the customer placed."
    )
    def order_count(self: Any) -> int:
        return int(self.orders_placed)


@strawberry.type(description="A page of customers.")
class CustomerConnection(Connection[Customer]):
    pass


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CustomerQuery:
    @strawberry.field(description="For staff who may view users: customers, newest first.")
    def customers(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[
            str | None,
            strawberry.argument(description="The beginning of the e-mail address or the name, in upper or lower case."),
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
