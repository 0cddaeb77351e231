"""Stocktaking by CSV: exports a list to count by, and imports it with the counts."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from django.db import transaction

from domain.base import locks
from domain.base.errors import DomainError, InvalidInput, NotFound
from domain.catalog import stock
from domain.catalog.drafts import MAX_OPTIONS
from domain.catalog.products import SaveResult
from domain.catalog.stock import MAX_ON_HAND
from domain.importing import sheets
from domain.importing.sheets import BadCell, ImportItem, ImportOutcome, Note, Row, report_only
from storefront.models import ProductVariant, Stock, StockPolicy, User

COLUMNS = ["SKU", "Title", "On hand", "Reserved", "Available", "Counted"]
_BATCH_SIZE = 1_000


class ListIsOld(DomainError):
    """The stock changed after the list was exported, so the count may be from before or after the change."""


def export_stock() -> Iterator[str]:
    """The list to count by: all tracked variants by SKU, with an empty column `Counted`."""
    return sheets.write_csv(columns=COLUMNS, rows=_rows())


def _rows() -> Iterator[dict[str, object]]:
    options = [f"variant__option{number}" for number in range(1, MAX_OPTIONS + 1)]
    columns = ["variant__sku", "on_hand", "reserved", "variant__product__title", *options]
    counted = Stock.objects.exclude(policy=StockPolicy.UNTRACKED).order_by("variant__sku").values_list(*columns)
    last = ""
    while page := list(counted.filter(variant__sku__gt=last)[:_BATCH_SIZE]):
        for last, on_hand, reserved, *names in page:
            yield {
                "SKU": sheets.escape_code(value=last),
                "Title": sheets.escape_text(value=" / ".join(filter(None, names))),
                "On hand": on_hand,
                "Reserved": reserved,
                "Available": max(on_hand - reserved, 0),
            }


def _items(rows: Iterable[Row | Note]) -> Iterator[ImportItem]:
    for row in rows:
        if isinstance(row, Note):
            yield ImportItem(row.line, report_only(row))
        elif row["Counted"]:
            yield ImportItem(row.line, partial(_import_count, row))


FORMAT = sheets.Format("a list of counts", ("SKU", "Counted"), _items)


def _import_count(row: Row, *, dry_run: bool, actor: User | None, now: datetime) -> Iterator[ImportOutcome]:
    sku = row.code("SKU")
    try:
        counted = _whole(row, "Counted")
        listed = _whole(row, "On hand") if row["On hand"] else None
        on_hand, saved = record_count(sku=sku, counted=counted, listed=listed, dry_run=dry_run, actor=actor, now=now)
    except (BadCell, DomainError) as error:
        yield Note(row.line, sku, str(error), failed=True)
        return
    if on_hand != counted:
        message = f"Counted {counted}, but orders have reserved {on_hand}. The stock is set to {on_hand}."
        yield Note(row.line, sku, message, failed=False)
    yield saved


@transaction.atomic(durable=True)
def record_count(
    *, sku: str, counted: int, listed: int | None, dry_run: bool, actor: User | None, now: datetime
) -> tuple[int, SaveResult]:
    """Sets a variant's units on hand (including reserved ones) to a count. Returns the units that are on hand now.

    `listed` is the number in the exported list. A dry run is rolled back. Raises NotFound, InvalidInput, ListIsOld.
    """
    variant = ProductVariant.objects.filter(sku=sku).first()
    if variant is None:
        raise NotFound("This SKU does not exist.")
    held = next(iter(locks.stock(variant_ids=[variant.pk])), Stock(variant=variant))
    if listed not in (None, held.on_hand):
        raise ListIsOld(
            f"The list says {listed} on hand, but now {held.on_hand} are. Export a new list and count again."
        )
    if held.policy == StockPolicy.UNTRACKED:
        raise InvalidInput("This variant's stock is not tracked.")
    changed = stock.record_count(variants={variant: (StockPolicy(held.policy), counted)}, actor=actor, now=now)
    on_hand = Stock.objects.values_list("on_hand", flat=True).get(pk=variant.pk)
    if dry_run:
        transaction.set_rollback(True)
    return on_hand, SaveResult.UPDATED if changed else SaveResult.UNCHANGED


def _whole(row: Row, column: str) -> int:
    """The cell as a whole number; spreadsheets may write 7 as 7.0. Raises BadCell."""
    match = re.fullmatch(r"([0-9]{1,12})(\.0+)?", row[column])
    if match is None or int(match[1]) > MAX_ON_HAND:
        raise BadCell(f"{column}: {row[column][:50]!r} is not a whole number from 0 to {MAX_ON_HAND}.")
    return int(match[1])
