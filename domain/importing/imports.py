"""Imports of CSV files by staff: first a dry run, then the import, in the background by slices (docs/importing.md).

Each slice is an outbox message. A slice can be repeated after a crash, because products that match the file stay as
they are. A slice's report and the next slice's message are written in one transaction.
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
from domain.catalog.products import SaveResult
from domain.importing import shopify_csv, stock_csv
from domain.importing.sheets import Format, ImagesSkipped, Note, WrongColumns, database_safe
from storefront.models import Import, ImportKind, ImportPart, ImportRow, ImportState, User

KIND = "import_slice"
# Lower than mails and webhooks.
_PRIORITY = 2
# Lines of a slice (more, if its last product continues after them): some seconds of work.
SLICE_LINES = 500
MAX_ROWS = 1_000
MAX_LINE_LENGTH = 1_000_000
PART_LENGTH = 64_000
_RETENTION = timedelta(days=14)

_FORMATS: dict[str, Format] = {ImportKind.PRODUCTS: shopify_csv.FORMAT, ImportKind.STOCK: stock_csv.FORMAT}
# The permissions to import and to see imports: those for everything that a file can change.
REQUIRED_PERMISSIONS: dict[str, tuple[str, ...]] = {
    ImportKind.PRODUCTS: ("add_product", "change_product", "change_stock"),
    ImportKind.STOCK: ("change_stock",),
}


class ImportClaimed(Exception):
    """Another worker has claimed the import. The outbox tries again, in case that worker dies."""


def allowed_kinds(*, user: User) -> list[str]:
    """The kinds of files that a user may import."""
    allowed = (
        kind for kind, names in REQUIRED_PERMISSIONS.items() if user.has_perms([f"storefront.{name}" for name in names])
    )
    return list(allowed) if user.is_active and user.is_staff else []


@transaction.atomic(durable=True)
def begin(*, kind: str, file: "File[Any]", dry_run: bool, actor: User | None, now: datetime) -> Import:
    """Stores a file and queues its import, or with `dry_run` its check. Raises InvalidInput."""
    text = io.TextIOWrapper(cast("IO[bytes]", file.file), "utf-8", errors="surrogateescape", newline="")
    try:
        return _begin(kind, text, database_safe(text=file.name or "")[:200], dry_run=dry_run, actor=actor, now=now)
    except WrongColumns as error:
        raise InvalidInput(str(error), field=["file"]) from None
    finally:
        text.detach()  # Else it would close the file.


def _begin(kind: str, text: IO[str], file_name: str, *, dry_run: bool, actor: User | None, now: datetime) -> Import:
    columns, header_lines = _FORMATS[kind].columns(_lines_of(text))
    row = Import.objects.create(
        kind=kind,
        state=ImportState.CHECKING if dry_run else ImportState.RUNNING,
        file_name=file_name,
        columns=[database_safe(text=name) for name in columns],
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
        if length >= PART_LENGTH:
            _store_part(row, part)
            part, length = [], 0
    _store_part(row, part)
    row.save(update_fields=["total"])
    _queue_slice(row, now=now)
    return row


def _lines_of(text: IO[str]) -> Iterator[str]:
    for line in iter(partial(text.readline, MAX_LINE_LENGTH), ""):
        if len(line) == MAX_LINE_LENGTH:
            raise InvalidInput(f"A line has more than {MAX_LINE_LENGTH} characters.", field=["file"])
        yield line


def _store_part(row: Import, lines: list[str]) -> None:
    if lines:
        content = "".join(lines).encode(errors="surrogateescape")
        ImportPart.objects.create(parent=row, first_line=row.total + 1, content=content)
        row.total += len(lines)


def _queue_slice(row: Import, *, now: datetime) -> None:
    outbox.put(kind=KIND, payload={"import": row.pk, "state": row.state, "done": row.done}, now=now, priority=_PRIORITY)


@transaction.atomic(durable=True)
def run(*, kind: str, key: int, actor: User | None, now: datetime) -> Import:
    """Queues the import of a checked file. An import that is running or done stays as it is.

    Raises NotFound, InvalidInput.
    """
    row = locks.row(candidates=Import.objects.filter(pk=key, kind=kind))
    if row is None:
        raise NotFound("This import does not exist.", field=["id"])
    if row.state == ImportState.CHECKING:
        raise InvalidInput("This import is still being checked.", field=["id"])
    if row.state == ImportState.CHECKED:
        row.rows.all().delete()
        row.state, row.done, row.actor, row.finished_at = ImportState.RUNNING, row.header_lines, actor, None
        row.created = row.updated = row.unchanged = row.failed = row.pictures_left = 0
        row.save()
        _queue_slice(row, now=now)
    return row


# ── slices ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Report:
    done: int
    counts: Counter[SaveResult] = field(default_factory=Counter)
    failed: int = 0
    pictures_left: int = 0
    notes: list[Note] = field(default_factory=list)


def process_slice(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Outbox handler: imports (or checks) a slice and queues the next one. Raises ImportClaimed."""
    waiting = Import.objects.filter(pk=payload["import"], state=payload["state"], done=payload["done"])
    # The claim ends before the message is due again, in case this worker dies.
    until = now + outbox.lease() * 0.9
    if not waiting.exclude(claimed_until__gt=now).update(claimed_until=until):
        if waiting.exists():
            raise ImportClaimed
        return  # The slice was done before.
    row = Import.objects.select_related("actor").get(pk=payload["import"])
    try:
        report = _import_slice(row, now=now)
    except BaseException:
        waiting.filter(claimed_until=until).update(claimed_until=None)
        raise
    _record_slice(row=row, report=report, now=now)


def _import_slice(row: Import, *, now: datetime) -> _Report:
    report = _Report(done=row.total)
    format_ = _FORMATS[row.kind]
    if row.done == row.header_lines:
        report.notes += format_.missing(row.columns)
    is_dry = row.state == ImportState.CHECKING
    for item in format_.items(format_.rows(_lines_after(row), row.columns, before=row.done)):
        if item.line > row.done + SLICE_LINES:
            report.done = item.line - 1
            break
        for outcome in item.run(dry_run=is_dry, actor=row.actor, now=now):
            match outcome:
                case SaveResult():
                    report.counts[outcome] += 1
                case ImagesSkipped(count):
                    report.pictures_left += count
                case Note():
                    report.failed += outcome.failed
                    if len(report.notes) < MAX_ROWS:
                        report.notes.append(outcome)
    return report


def _lines_after(row: Import) -> Iterator[str]:
    """The file's lines after those that are done, read lazily."""
    parts = row.parts.order_by("first_line")
    number = parts.filter(first_line__lte=row.done + 1).values_list("first_line", flat=True).last() or 0
    while part := parts.filter(first_line=number).first():
        lines = io.StringIO(bytes(part.content).decode(errors="surrogateescape"), newline="")
        for line in lines:
            if number > row.done:
                yield line
            number += 1


@transaction.atomic(durable=True)
def _record_slice(*, row: Import, report: _Report, now: datetime) -> None:
    """Records a slice's result and queues the next slice, unless another worker has done so."""
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
    ImportRow.objects.bulk_create(_report_row(row, note) for note in report.notes[:left])
    row.done = report.done
    if not is_over:
        _queue_slice(row, now=now)
    elif after == ImportState.DONE:
        row.parts.all().delete()


def _report_row(row: Import, note: Note) -> ImportRow:
    handle, message = database_safe(text=note.handle)[:200], database_safe(text=note.message)[:1000]
    return ImportRow(parent=row, line=note.line, handle=handle, message=message, failed=note.failed)


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes imports that finished more than 14 days ago, with files and reports. Returns how many rows."""
    return Import.objects.filter(finished_at__lte=now - _RETENTION).delete()[0]
