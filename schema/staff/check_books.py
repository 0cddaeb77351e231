"""The bookkeeping check, for staff."""

import strawberry

from domain.payments import check_books as books
from schema.base.context import Info


@strawberry.type(description="A database row that breaks a rule of the bookkeeping.")
class Breach:
    rule: str = strawberry.field(description="The rule, in words.")
    row: str = strawberry.field(description="The row.")
    found: str = strawberry.field(description="The values that break the rule.")


@strawberry.type
class AuditQuery:
    @strawberry.field(
        graphql_type=list[Breach],
        description="For staff: inconsistencies among stock, orders, payments, refunds and discount codes; empty if "
        "there are none. It reads every order, so do not call it often.",
    )
    def audit(self, info: Info) -> list[books.Breach]:
        info.context.allow("view_order", "view_payment", "view_stock")
        return books.breaches()
