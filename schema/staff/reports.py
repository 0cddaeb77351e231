"""How the shop does, for whoever answers for it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from django.conf import settings

from domain.reporting import reports
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import telling_bad_input
from schema.base.scalars import Money, moment

expose(
    reports.Period,
    "What a report is divided into, in UTC.",
    name="ReportPeriod",
    DAY="Midnight to midnight.",
    WEEK="From Monday on.",
    MONTH="From the first on.",
)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="What was sold in one period. Amounts are in the shop's currency.")
class SalesPeriod:
    sales: strawberry.Private[reports.Sales]

    @strawberry.field(name="from", description="When it begins; it ends where the next one begins.")
    def starts_at(self) -> datetime:
        return self.sales.starts_at

    @strawberry.field(description="Orders placed in it that were paid, then or later.")
    def orders(self) -> int:
        return self.sales.orders

    @strawberry.field(description="What they cost, tax and shipping included.")
    def total(self) -> Money:
        return _money(self.sales.total)

    @strawberry.field(description="What was given back of them, whenever it was.")
    def refunded(self) -> Money:
        return _money(self.sales.refunded)


@strawberry.type(
    description="What was sold. Orders in another currency count at the rate that they were placed at, rounded once a "
    "period and rate."
)
class SalesReport:
    found: strawberry.Private[list[reports.Sales]]

    @strawberry.field(description="The earliest first, those without a sale too.")
    def periods(self) -> list[SalesPeriod]:
        return [SalesPeriod(sales=sales) for sales in self.found]

    @strawberry.field(description="Of all periods.")
    def orders(self) -> int:
        return sum(sales.orders for sales in self.found)

    @strawberry.field(description="Of all periods.")
    def total(self) -> Money:
        return _money(sum((sales.total for sales in self.found), Decimal(0)))

    @strawberry.field(description="Of all periods.")
    def refunded(self) -> Money:
        return _money(sum((sales.refunded for sales in self.found), Decimal(0)))


def _money(amount: Decimal) -> Money:
    return Money.of(amount, settings.SHOP_CURRENCY)


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ReportQuery:
    @strawberry.field(description="For staff who may view sales: what was sold, period by period, 400 at most.")
    def sales_report(
        self,
        info: Info,
        from_: Annotated[datetime, strawberry.argument(name="from", description="The first moment of it.")],
        to: Annotated[datetime, strawberry.argument(description="The first moment after it.")],
        by: Annotated[reports.Period, strawberry.argument(description="How long a period is.")] = reports.Period.DAY,
    ) -> SalesReport:
        info.context.allow("view_sales")
        with telling_bad_input():
            return SalesReport(found=reports.sales(since=moment(from_), until=moment(to), by=by))
