"""Files of staff's: looked at first, then taken, in the background and a slice at a time (docs/importing.md).

A slice is a message of the outbox. Whoever dies in the middle of one leaves what can be done once more: a product
that is as the file says stays as it is. A slice's report and the message of the next are written together.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import IO, Any, cast

from django.core.files import File
from django.db import transaction
from django.db.models import F

from domain.base import locks, outbox
from domain.base.errors import InvalidInput, NotFound
from domain.catalog.products import Saved
from domain.importing import shopify_csv, stock_csv
from domain.importing.sheets import Format, Note, PicturesLeft, WrongColumns, storable
from storefront.models import Import, ImportKind, ImportPart, ImportRow, ImportState, User

KIND = "import_slice"
# After mails and webhooks.
_PRIORITY = 2
# Lines that one message is about, and those of a product that begins in them: some seconds of work.
SLICE = 500
MAX_ROWS = 1_000
MAX_LINE = 1_000_000
PART = 64_000
_KEPT = timedelta(days=14)

_FORMATS: dict[str, Format] = {ImportKind.PRODUCTS: shopify_csv.FORMAT, ImportKind.STOCK: stock_csv.FORMAT}
# The permissions of whoever may import, and see how it goes: those to change all that a file can change.
NEEDED: dict[str, tuple[str, ...]] = {
    ImportKind.PRODUCTS: ("add_product", "change_product", "change_stock"),
    ImportKind.STOCK: ("change_stock",),
}


class BeingWorkedOn(Exception):
    """Somebody else has the import: it is tried again, should they not come back."""


def kinds(*, user: User) -> list[str]:
    """What somebody of the staff may import."""
    allowed = (kind for kind, names in NEEDED.items() if user.has_perms([f"storefront.{name}" for name in names]))
    return list(allowed) if user.is_active and user.is_staff else []


@transaction.atomic(durable=True)
def begin(*, kind: str, file: "File[Any]", dry_run: bool, actor: User | None, now: datetime) -> Import:
    """Keeps a file, and has it looked at; without a dry run it is taken at once. Raises InvalidInput."""
    text = io.TextIOWrapper(cast("IO[bytes]", file.file), "utf-8", errors="surrogateescape", newline="")
    try:
        return _begin(kind, text, storable(text=file.name or "")[:200], dry_run=dry_run, actor=actor, now=now)
    except WrongColumns as error:
        raise InvalidInput(str(error), field=["file"]) from None
    finally:
        text.detach()  # Else the file would be closed with it.


def _begin(kind: str, text: IO[str], file_name: str, *, dry_run: bool, actor: User | None, now: datetime) -> Import:
    columns, header_lines = _FORMATS[kind].columns(_lines_of(text))
    row = Import.objects.create(
        kind=kind,
        state=ImportState.CHECKING if dry_run else ImportState.RUNNING,
        file_name=file_name,
        columns=[storable(text=name) for name in columns],
        header_lines=header_lines,
        total=header_lines,
        done=header_lines,
        actor=actor,
        created_at=now,
    )
    part: list[str] = []
    length = 0
    for line in _lines_of(text):
        part.append(line)
        length += len(line)
        if length >= PART:
            _keep(row, part)
            part, length = [], 0
    _keep(row, part)
    row.save(update_fields=["total"])
    _owe(row, now=now)
    return row


def _lines_of(text: IO[str]) -> Iterator[str]:
    for line in iter(partial(text.readline, MAX_LINE), ""):
        if len(line) == MAX_LINE:
            raise InvalidInput(f"A line has more than {MAX_LINE} characters.", field=["file"])
        yield line


def _keep(row: Import, lines: list[str]) -> None:
    if lines:
        content = "".join(lines).encode(errors="surrogateescape")
        ImportPart.objects.create(parent=row, first_line=row.total + 1, content=content)
        row.total += len(lines)


def _owe(row: Import, *, now: datetime) -> None:
    outbox.put(kind=KIND, payload={"import": row.pk, "state": row.state, "done": row.done}, now=now, priority=_PRIORITY)


@transaction.atomic(durable=True)
def run(*, kind: str, key: int, actor: User | None, now: datetime) -> Import:
    """Has a file taken that was looked at; one that is being taken already, or was, stays as it is.

    Raises NotFound, InvalidInput.
    """
    row = locks.row(candidates=Import.objects.filter(pk=key, kind=kind))
    if row is None:
        raise NotFound("There is no such import.", field=["id"])
    if row.state == ImportState.CHECKING:
        raise InvalidInput("It is still being looked at.", field=["id"])
    if row.state == ImportState.CHECKED:
        row.rows.all().delete()
        row.state, row.done, row.actor, row.finished_at = ImportState.RUNNING, row.header_lines, actor, None
        row.created = row.updated = row.unchanged = row.failed = row.pictures_left = 0
        row.save()
        _owe(row, now=now)
    return row


# ── slices ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Report:
    done: int
    counts: Counter[Saved] = field(default_factory=Counter)
    failed: int = 0
    pictures_left: int = 0
    notes: list[Note] = field(default_factory=list)


def work(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Delivers one message: takes the slice that it names, and owes the next. Raises BeingWorkedOn."""
    waiting = Import.objects.filter(pk=payload["import"], state=payload["state"], done=payload["done"])
    # It is free again when the message is due again, if its worker has died.
    until = now + outbox.lease() * 0.9
    if not waiting.exclude(claimed_until__gt=now).update(claimed_until=until):
        if waiting.exists():
            raise BeingWorkedOn
        return  # That slice is behind.
    row = Import.objects.select_related("actor").get(pk=payload["import"])
    try:
        report = _take_slice(row, now=now)
    except BaseException:
        waiting.filter(claimed_until=until).update(claimed_until=None)
        raise
    _move_on(row=row, report=report, now=now)


def _take_slice(row: Import, *, now: datetime) -> _Report:
    report = _Report(done=row.total)
    format_ = _FORMATS[row.kind]
    if row.done == row.header_lines:
        report.notes += format_.missing(row.columns)
    is_dry = row.state == ImportState.CHECKING
    for piece in format_.pieces(format_.rows(_lines_after(row), row.columns, before=row.done)):
        if piece.line > row.done + SLICE:
            report.done = piece.line - 1
            break
        for outcome in piece.take(dry_run=is_dry, actor=row.actor, now=now):
            match outcome:
                case Saved():
                    report.counts[outcome] += 1
                case PicturesLeft(count):
                    report.pictures_left += count
                case Note():
                    report.failed += outcome.failed
                    if len(report.notes) < MAX_ROWS:
                        report.notes.append(outcome)
    return report


def _lines_after(row: Import) -> Iterator[str]:
    """The lines of the file from the first on that is not done, read as they are needed."""
    parts = row.parts.order_by("first_line")
    number = parts.filter(first_line__lte=row.done + 1).values_list("first_line", flat=True).last() or 0
    while part := parts.filter(first_line=number).first():
        lines = io.StringIO(bytes(part.content).decode(errors="surrogateescape"), newline="")
        for line in lines:
            if number > row.done:
                yield line
            number += 1


@transaction.atomic(durable=True)
def _move_on(*, row: Import, report: _Report, now: datetime) -> None:
    """Notes what a slice was like, unless somebody else has done so."""
    is_over = report.done == row.total
    after = ImportState.CHECKED if row.state == ImportState.CHECKING else ImportState.DONE
    moved = Import.objects.filter(pk=row.pk, state=row.state, done=row.done).update(
        state=after if is_over else row.state,
        done=report.done,
        finished_at=now if is_over else None,
        claimed_until=None,
        failed=F("failed") + report.failed,
        pictures_left=F("pictures_left") + report.pictures_left,
        **{saved.value: F(saved.value) + number for saved, number in report.counts.items()},
    )
    if not moved:
        return
    left = MAX_ROWS - row.rows.count()
    ImportRow.objects.bulk_create(_row(row, note) for note in report.notes[:left])
    row.done = report.done
    if not is_over:
        _owe(row, now=now)
    elif after == ImportState.DONE:
        row.parts.all().delete()


def _row(row: Import, note: Note) -> ImportRow:
    handle, message = storable(text=note.handle)[:200], storable(text=note.message)[:1000]
    return ImportRow(parent=row, line=note.line, handle=handle, message=message, failed=note.failed)


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes imports that were over a fortnight ago, with their files and reports; says how many rows."""
    return Import.objects.filter(finished_at__lte=now - _KEPT).delete()[0]
