"""Reads and writes CSV for spreadsheets: cells by column name, escaped so that none becomes a formula."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Protocol, TypeAlias

from domain.catalog.products import SaveResult
from storefront.models import User

# Text that a spreadsheet treats as a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
# Text that it treats as a formula, number or date: 0077 would lose its zeros, and a barcode its last digits.
_NUMBER_OR_FORMULA = re.compile(r"['=+\-@\t\r\n0-9]")

_BLOCK_LENGTH = 16_000


class WrongColumns(Exception):
    """The first line lacks a required column."""


class BadCell(Exception):
    """A cell is invalid. The message says which and why."""


@dataclass(frozen=True, slots=True)
class Note:
    """A message about a line. `handle` identifies the line's product or SKU. `failed`: the line was not imported."""

    line: int
    handle: str
    message: str
    failed: bool


@dataclass(frozen=True, slots=True)
class ImagesSkipped:
    """The number of a product's images that were skipped, because no folder of images was given."""

    count: int


ImportOutcome: TypeAlias = Note | SaveResult | ImagesSkipped


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell's text, trimmed and unescaped (see `escape_text`); empty if the column is missing."""
        return _unescaped(self.cells.get(column, "").strip())

    def exact(self, column: str) -> str:
        """The same, not trimmed."""
        return _unescaped(self.cells.get(column, ""))

    def code(self, column: str) -> str:
        """The same for a cell with a code, such as a SKU, escaped by `escape_code` or by Shopify."""
        return self.cells.get(column, "").strip().removeprefix("'")


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class RunImport(Protocol):
    def __call__(self, *, dry_run: bool, actor: User | None, now: datetime) -> Iterable[ImportOutcome]: ...


@dataclass(frozen=True, slots=True)
class ImportItem:
    """A unit of import that starts at `line`: a product with all its rows, or a single line."""

    line: int
    run: RunImport


@dataclass(frozen=True, slots=True)
class Format:
    """A file format. `needed` are the required columns; the first one identifies a line's product or SKU. If an
    `expected` column is missing, its values become empty."""

    name: str
    needed: tuple[str, ...]
    items: Callable[[Iterable[Row | Note]], Iterator[ImportItem]]
    expected: tuple[str, ...] = ()

    def columns(self, lines: Iterator[str]) -> tuple[list[str], int]:
        """The column names in the header, and how many lines it takes up. Raises WrongColumns."""
        reader = csv.reader(chain([next(lines, "").removeprefix("\ufeff")], lines))
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error:
            names = []
        for column in self.needed:
            if column not in names:
                raise WrongColumns(f"The first line has no column `{column}`, so this is not {self.name}.")
        return names, reader.line_num

    def missing(self, columns: Sequence[str]) -> Iterator[Note]:
        """A note about expected columns that are missing."""
        if gone := [f"`{name}`" for name in self.expected if name not in columns]:
            message = f"Missing columns: {', '.join(gone)}. These values become empty for all products of the file."
            yield Note(1, "", message, failed=False)

    def rows(self, lines: Iterator[str], columns: Sequence[str], *, before: int) -> Iterator[Row | Note]:
        """The rows, read lazily, and notes about invalid lines. `before` is the number of lines before these."""
        reader = csv.reader(lines)
        while True:
            line = before + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Note(line, "", f"This line is not valid CSV: {error}.", failed=True)
                continue
            if not any(cells):
                continue
            row = Row(line, dict(zip(columns, cells, strict=False)))
            about = row.code(self.needed[0])
            if any(cells[len(columns) :]):
                yield Note(line, about, "This line has more cells than the first line.", failed=True)
            elif any("\x00" in cell or (not cell.isprintable() and _is_broken(cell)) for cell in cells):
                yield Note(line, about, "This line is not valid UTF-8. Save the file as “CSV UTF-8”.", failed=True)
            else:
                yield row


def _is_broken(cell: str) -> bool:
    """Whether the cell has bytes that are not UTF-8 (read with `errors="surrogateescape"`)."""
    return any("\ud800" <= char <= "\udfff" for char in cell)


def database_safe(*, text: str) -> str:
    """The text without characters that a database cannot store."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def report_only(*outcomes: ImportOutcome) -> RunImport:
    """The `run` of an item that has nothing to import: it returns these outcomes."""
    return lambda **_: outcomes


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def escape_text(*, value: str) -> str:
    """A cell that no spreadsheet treats as a formula. `Row` unescapes it."""
    return f"'{value}" if _FORMULA.match(value) else value


def escape_code(*, value: str) -> str:
    """A cell that no spreadsheet treats as a formula or number. `Row.code` unescapes it."""
    return f"'{value}" if _NUMBER_OR_FORMULA.match(value) else value


def write_csv(*, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """The file in blocks of some lines. It starts with a byte order mark, by which Excel recognises UTF-8."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="")
    buffer.write("\ufeff")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > _BLOCK_LENGTH:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
