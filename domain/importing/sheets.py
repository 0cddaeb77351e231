"""CSV as spreadsheets write and read it: cells by the names of their columns, and none that becomes a formula."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Protocol, TypeAlias

from domain.catalog.products import Saved
from storefront.models import User

# What a spreadsheet takes for the beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
# And what it makes a number or a date of, so that 0077 loses its zeros and a barcode its last digits.
_MANGLED = re.compile(r"['=+\-@\t\r\n0-9]")

_BLOCK = 16_000


class WrongColumns(Exception):
    """The first line does not name a column without which the file is not what it should be."""


class BadCell(Exception):
    """A cell that cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell about a line. `failed`: what it says was not taken. `handle` is what the line is about."""

    line: int
    handle: str
    message: str
    failed: bool


@dataclass(frozen=True, slots=True)
class PicturesLeft:
    """So many pictures of a product were not looked for, since no folder was given."""

    count: int


Outcome: TypeAlias = Note | Saved | PicturesLeft


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell's text without spaces around, before `text` made it safe; empty where there is none."""
        return _restored(self.cells.get(column, "").strip())

    def exact(self, column: str) -> str:
        """The same with the spaces around it."""
        return _restored(self.cells.get(column, ""))

    def code(self, column: str) -> str:
        """The same of a cell that holds letters and digits, as `code` has it and Shopify does."""
        return self.cells.get(column, "").strip().removeprefix("'")


def _restored(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class Take(Protocol):
    def __call__(self, *, dry_run: bool, actor: User | None, now: datetime) -> Iterable[Outcome]: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What is taken as one, from `line` on: a product with all its rows, or a single line."""

    line: int
    take: Take


@dataclass(frozen=True, slots=True)
class Format:
    """What a file has to be. `needed` are the columns that it must have; the first tells what a line is about. Those
    `expected` may be missing, but what they would hold becomes empty then."""

    name: str
    needed: tuple[str, ...]
    pieces: Callable[[Iterable[Row | Note]], Iterator[Piece]]
    expected: tuple[str, ...] = ()

    def columns(self, lines: Iterator[str]) -> tuple[list[str], int]:
        """The names in the first line, and how many lines of the file that takes. Raises WrongColumns."""
        reader = csv.reader(chain([next(lines, "").removeprefix("\ufeff")], lines))
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error:
            names = []
        for column in self.needed:
            if column not in names:
                raise WrongColumns(f"The first line has no column `{column}`: this is not {self.name}.")
        return names, reader.line_num

    def missing(self, columns: Sequence[str]) -> Iterator[Note]:
        """What there is to tell of the columns that a file has."""
        if gone := [f"`{name}`" for name in self.expected if name not in columns]:
            message = f"No column {', '.join(gone)}: it becomes empty for everything that the file names."
            yield Note(1, "", message, failed=False)

    def rows(self, lines: Iterator[str], columns: Sequence[str], *, before: int) -> Iterator[Row | Note]:
        """The rows of lines that follow so many others, read as they are needed, and notes on those that are none."""
        reader = csv.reader(lines)
        while True:
            line = before + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Note(line, "", f"Not CSV: {error}.", failed=True)
                continue
            if not any(cells):
                continue
            row = Row(line, dict(zip(columns, cells, strict=False)))
            about = row.code(self.needed[0])
            if any(cells[len(columns) :]):
                yield Note(line, about, "More cells than the first line has columns.", failed=True)
            elif any("\x00" in cell or (not cell.isprintable() and _is_broken(cell)) for cell in cells):
                yield Note(line, about, "A text that is not UTF-8. Save the file as “CSV UTF-8”.", failed=True)
            else:
                yield row


def _is_broken(cell: str) -> bool:
    """Whether the cell holds what was no UTF-8 (read with `errors="surrogateescape"`)."""
    return any("\ud800" <= char <= "\udfff" for char in cell)


def storable(*, text: str) -> str:
    """A text out of a file as a database takes it, whatever it was."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def just(*outcomes: Outcome) -> Take:
    """For a piece of which there is nothing but to tell."""
    return lambda **_: outcomes


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────


def text(*, value: str) -> str:
    """A cell that no spreadsheet calculates; `Row` reads the value again."""
    return f"'{value}" if _FORMULA.match(value) else value


def code(*, value: str) -> str:
    """A cell that no spreadsheet calculates or takes for a number; `Row.code` reads the value again."""
    return f"'{value}" if _MANGLED.match(value) else value


def written(*, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """A file, some lines at a time. It begins with the mark by which Excel knows UTF-8."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="")
    buffer.write("\ufeff")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > _BLOCK:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
