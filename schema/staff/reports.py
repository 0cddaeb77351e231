"""The sales report, for staff."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from django.conf import settings

from domain.reporting import reports
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import invalid_input_as_graphql_error
from schema.base.scalars import Money, moment

expose(
    reports.Period,
    "The length of the periods of a report, in UTC.",
    name="ReportPeriod",
    DAY="From midnight to midnight.",
    WEEK="A week that starts on Monday.",
    MONTH="A calendar month.",
)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The sales of one period, in the shop's currency.")
class SalesPeriod:
    sales: strawberry.Private[reports.Sales]

    @strawberry.field(name="from", description="The start of the period. It ends where the next one starts.")
    def starts_at(self) -> datetime:
        return self.sales.starts_at

    @strawberry.field(description="Number of orders placed in the period that were paid, at any time.")
    def orders(self) -> int:
        return self.sales.orders

    @strawberry.field(description="The total of these orders, with tax and shipping.")
    def total(self) -> Money:
        return _money(self.sales.total)

    @strawberry.field(description="What was refunded of these orders, at any time.")
    def refunded(self) -> Money:
        return _money(self.sales.refunded)


@strawberry.type(
    description="A report of sales. Orders in another currency are converted at their own exchange rate, and rounded "
    "once per period and rate."
)
class SalesReport:
    found: strawberry.Private[list[reports.Sales]]

    @strawberry.field(description="The periods, oldest first, including those without sales.")
    def periods(self) -> list[SalesPeriod]:
        return [SalesPeriod(sales=sales) for sales in self.found]

    @strawberry.field(description="Number of orders in all periods.")
    def orders(self) -> int:
        return sum(sales.orders for sales in self.found)

    @strawberry.field(description="Total of all periods.")
    def total(self) -> Money:
        return _money(sum((sales.total for sales in self.found), Decimal(0)))

    @strawberry.field(description="Refunds of all periods.")
    def refunded(self) -> Money:
        return _money(sum((sales.refunded for sales in self.found), Decimal(0)))


def _money(amount: Decimal) -> Money:
    return Money.of(amount, settings.SHOP_CURRENCY)


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ReportQuery:
    @strawberry.field(description="For staff who may view sales: a report by period, with at most 400 periods.")
    def sales_report(
        self,
        info: Info,
        from_: Annotated[datetime, strawberry.argument(name="from", description="The start of the report.")],
        to: Annotated[datetime, strawberry.argument(description="The end of the report; this moment is not included.")],
        by: Annotated[reports.Period, strawberry.argument(description="The length of a period.")] = reports.Period.DAY,
    ) -> SalesReport:
        info.context.allow("view_sales")
        with invalid_input_as_graphql_error():
            return SalesReport(found=reports.sales(since=moment(from_), until=moment(to), by=by))
