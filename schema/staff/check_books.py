"""Whether the books balance, for staff."""

import strawberry

from domain.payments import check_books as books
from schema.base.context import Info


@strawberry.type(description="A row that breaks a rule of the books.")
class Breach:
    rule: str = strawberry.field(description="The rule, in words.")
    row: str = strawberry.field(description="Which row breaks it.")
    found: str = strawberry.field(description="What is found there.")


@strawberry.type
class AuditQuery:
    @strawberry.field(
        graphql_type=list[Breach],
        description="For staff: what does not balance among stock, orders, payments, refunds and codes; empty when all "
        "does. It reads every order: not for a page that is opened often.",
    )
    def audit(self, info: Info) -> list[books.Breach]:
        info.context.allow("view_order", "view_payment", "view_stock")
        return books.breaches()
