"""Counts of the stock as CSV: a list to count by goes out, and comes in with what was counted."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from django.db import transaction

from domain.base import locks
from domain.base.errors import DomainError, InvalidInput, NotFound
from domain.catalog import stock
from domain.catalog.drafts import MAX_OPTIONS
from domain.catalog.products import Saved
from domain.catalog.stock import MAX_ON_HAND
from domain.importing import sheets
from domain.importing.sheets import BadCell, Note, Outcome, Piece, Row, just
from storefront.models import ProductVariant, Stock, StockPolicy, User

COLUMNS = ["SKU", "Title", "On hand", "Reserved", "Available", "Counted"]
_AT_ONCE = 1_000


class ListIsOld(DomainError):
    """Units left or came since the list was written, so that nobody knows whether the count is before or after."""


def export_stock() -> Iterator[str]:
    """A list to count by: every variant that is counted, by SKU, its `Counted` left empty."""
    return sheets.written(columns=COLUMNS, rows=_rows())


def _rows() -> Iterator[dict[str, object]]:
    options = [f"variant__option{number}" for number in range(1, MAX_OPTIONS + 1)]
    columns = ["variant__sku", "on_hand", "reserved", "variant__product__title", *options]
    counted = Stock.objects.exclude(policy=StockPolicy.UNTRACKED).order_by("variant__sku").values_list(*columns)
    last = ""
    while page := list(counted.filter(variant__sku__gt=last)[:_AT_ONCE]):
        for last, on_hand, reserved, *names in page:
            yield {
                "SKU": sheets.code(value=last),
                "Title": sheets.text(value=" / ".join(filter(None, names))),
                "On hand": on_hand,
                "Reserved": reserved,
                "Available": max(on_hand - reserved, 0),
            }


def _pieces(rows: Iterable[Row | Note]) -> Iterator[Piece]:
    for row in rows:
        if isinstance(row, Note):
            yield Piece(row.line, just(row))
        elif row["Counted"]:
            yield Piece(row.line, partial(_take, row))


FORMAT = sheets.Format("a list of counts", ("SKU", "Counted"), _pieces)


def _take(row: Row, *, dry_run: bool, actor: User | None, now: datetime) -> Iterator[Outcome]:
    sku = row.code("SKU")
    try:
        counted = _whole(row, "Counted")
        listed = _whole(row, "On hand") if row["On hand"] else None
        on_hand, saved = count(sku=sku, counted=counted, listed=listed, dry_run=dry_run, actor=actor, now=now)
    except (BadCell, DomainError) as error:
        yield Note(row.line, sku, str(error), failed=True)
        return
    if on_hand != counted:
        yield Note(row.line, sku, f"Counted {counted}, but orders hold {on_hand}: {on_hand} it is.", failed=False)
    yield saved


@transaction.atomic(durable=True)
def count(
    *, sku: str, counted: int, listed: int | None, dry_run: bool, actor: User | None, now: datetime
) -> tuple[int, Saved]:
    """Sets what is on hand of a variant, those that orders hold included; says how many that are now.

    `listed` is how many there were when the list was written. Raises NotFound, ListIsOld. A dry run takes it back.
    """
    variant = ProductVariant.objects.filter(sku=sku).first()
    if variant is None:
        raise NotFound("There is no such SKU.")
    held = next(iter(locks.stock(variant_ids=[variant.pk])), Stock(variant=variant))
    if listed not in (None, held.on_hand):
        raise ListIsOld(f"On hand were {listed} when the list was written, and are {held.on_hand} now: count again.")
    if held.policy == StockPolicy.UNTRACKED:
        raise InvalidInput("This variant is not counted.")
    changed = stock.count(variants={variant: (StockPolicy(held.policy), counted)}, actor=actor, now=now)
    on_hand = Stock.objects.values_list("on_hand", flat=True).get(pk=variant.pk)
    if dry_run:
        transaction.set_rollback(True)
    return on_hand, Saved.UPDATED if changed else Saved.UNCHANGED


def _whole(row: Row, column: str) -> int:
    """As people write it, or a spreadsheet does: 7 and 7.0. Raises BadCell."""
    match = re.fullmatch(r"([0-9]{1,12})(\.0+)?", row[column])
    if match is None or int(match[1]) > MAX_ON_HAND:
        raise BadCell(f"{column}: {row[column][:50]!r} is no whole number from 0 to {MAX_ON_HAND}.")
    return int(match[1])
