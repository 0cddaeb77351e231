"""Relay connections with keyset pagination: page 1,000 costs as much as the first page.

https://relay.dev/graphql/connections.htm
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from django.core import signing
from django.db.models import Field, Model, Q, QuerySet

from schema.base.errors import bad_user_input

Node = TypeVar("Node")

# Signed, so that the values of a cursor can be trusted.
_signer = signing.Signer(salt="commercia.cursor")

MAX_PAGE = 100
DEFAULT_PAGE = 24
MAX_COUNTED = 10_000

First = Annotated[
    int | None,
    strawberry.argument(description=f"Number of items from the start, at most {MAX_PAGE}; default: {DEFAULT_PAGE}."),
]
After = Annotated[str | None, strawberry.argument(description="Only items after this cursor.")]
Last = Annotated[int | None, strawberry.argument(description=f"Number of items from the end, at most {MAX_PAGE}.")]
Before = Annotated[str | None, strawberry.argument(description="Only items before this cursor.")]


@strawberry.type(description="Information about one page of a list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more items follow this page. Meaningful with `first`.")
    has_previous_page: bool = strawberry.field(
        description="Whether items come before this page. Meaningful with `last` or `after`."
    )
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first item, for `before`; null if the page is empty."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last item, for `after`; null if the page is empty."
    )


@strawberry.type(description="An item with its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(
        description="Opaque. Use it in `after` or `before` of the same list with the same order."
    )
    node: Node = strawberry.field(description="The item.")


class Keyset:
    """An order of rows that ends with their key: names of columns, with "-" in front for descending."""

    def __init__(self, *columns: str) -> None:
        self._columns = [(column.lstrip("-"), column.startswith("-")) for column in columns]

    def ordered(self, rows: QuerySet[Any], *, backwards: bool) -> QuerySet[Any]:
        return rows.order_by(*("-" + column if descends != backwards else column for column, descends in self._columns))

    def cursor(self, row: Model) -> str:
        values = [getattr(row, column) for column, _ in self._columns]
        return urlsafe_b64encode(_signer.sign(json.dumps([self._name, *values], default=str)).encode()).decode()

    def beyond(self, rows: QuerySet[Any], cursor: str, *, backwards: bool) -> QuerySet[Any]:
        """The rows after the cursor, or before it if `backwards`."""
        condition = Q()
        for (column, descends), value in reversed(list(zip(self._columns, self._values(rows, cursor), strict=True))):
            side = "lt" if descends != backwards else "gt"
            further = Q(**{f"{column}__{side}": value})
            # "a <= x and (a < x or …)" instead of "a < x or (a = x and …)", so that an index on `a` can be used.
            condition = Q(**{f"{column}__{side}e": value}) & (further | condition) if condition else further
        return rows.filter(condition)

    @property
    def _name(self) -> str:
        return ",".join(column for column, _ in self._columns)

    def _values(self, rows: QuerySet[Any], cursor: str) -> Sequence[Any]:
        try:
            name, *values = json.loads(_signer.unsign(urlsafe_b64decode(cursor.encode()).decode()))
        except (ValueError, signing.BadSignature):
            name, values = None, []
        if name != self._name:
            raise bad_user_input("The cursor does not belong to this list and this order.")
        return [
            self._type(rows, column).to_python(value) for (column, _), value in zip(self._columns, values, strict=True)
        ]

    @staticmethod
    def _type(rows: QuerySet[Any], column: str) -> "Field[Any, Any]":
        annotated = rows.query.annotations.get(column)
        return annotated.output_field if annotated else rows.model._meta.get_field(column)


class Page:
    """One page of `rows`, fetched when it is first used."""

    def __init__(
        self,
        rows: QuerySet[Any],
        keyset: Keyset,
        *,
        load: Callable[[QuerySet[Any]], QuerySet[Any]],
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
        most: int | None = None,
        count: int | None = None,
    ) -> None:
        """`count` is the number of all rows, if it is known. Otherwise they are counted up to `most` (default:
        MAX_COUNTED), because counting reads every row."""
        for name, size in (("first", first), ("last", last)):
            if size is not None and not 0 <= size <= MAX_PAGE:
                raise bad_user_input(f"`{name}` must be between 0 and {MAX_PAGE}.")
        if first is not None and last is not None:
            raise bad_user_input("Use either `first` or `last`, not both.")
        self.all_rows = rows
        self.most = MAX_COUNTED if most is None else most
        self._known_count = count
        self._keyset, self._load = keyset, load
        self._after, self._before = after, before
        self._backwards = last is not None
        self._size = last if last is not None else DEFAULT_PAGE if first is None else first

    @cached_property
    def _fetched(self) -> list[Any]:
        """The rows of the page, and one more in the direction of paging, if there is one."""
        rows = self.all_rows
        if self._after is not None:
            rows = self._keyset.beyond(rows, self._after, backwards=False)
        if self._before is not None:
            rows = self._keyset.beyond(rows, self._before, backwards=True)
        rows = self._keyset.ordered(self._load(rows), backwards=self._backwards)
        return list(rows[: self._size + 1])

    @property
    def rows(self) -> list[Any]:
        page = self._fetched[: self._size]
        return page[::-1] if self._backwards else page

    def cursor(self, row: Model) -> str:
        return self._keyset.cursor(row)

    @cached_property
    def count(self) -> int:
        """The number of rows in the whole list, at most one above `most`."""
        if self._known_count is not None:
            return self._known_count
        return self.all_rows.order_by()[: self.most + 1].count()

    @property
    def info(self) -> PageInfo:
        more, rows = len(self._fetched) > self._size, self.rows
        return PageInfo(
            has_next_page=self._before is not None if self._backwards else more,
            has_previous_page=more if self._backwards else self._after is not None,
            start_cursor=self.cursor(rows[0]) if rows else None,
            end_cursor=self.cursor(rows[-1]) if rows else None,
        )


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    page: strawberry.Private[Page]

    @strawberry.field(description="The items of the page, each with its cursor.")
    def edges(self) -> list[Edge[Node]]:
        return [Edge(cursor=self.page.cursor(row), node=row) for row in self.page.rows]

    @strawberry.field(description="The items of the page, without cursors.")
    def nodes(self) -> list[Node]:
        return self.page.rows

    @strawberry.field(description="Information about this page.")
    def page_info(self) -> PageInfo:
        return self.page.info

    @strawberry.field(
        description=f"Number of items in the whole list, counted up to {MAX_COUNTED:,} unless the list's field says "
        "otherwise. Counting takes time: select it only where it is shown."
    )
    def total_count(self) -> int:
        return min(self.page.count, self.page.most)

    @strawberry.field(
        description='Whether the list has more items than `totalCount`, so that a front end can write "more than '
        '10,000".'
    )
    def total_count_exceeded(self) -> bool:
        return self.page.count > self.page.most
