"""Shopify's product export, as it is: several rows a product, told as drafts and as notes on what is odd.

Columns: https://help.shopify.com/en/manual/products/import-export/using-csv
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from itertools import groupby
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.utils.text import slugify

from domain import images, products
from domain.drafts import MAX_OPTIONS, ProductDraft, VariantDraft
from domain.errors import DomainError
from domain.media import StorageUnavailable
from domain.money import quantize
from domain.products import Saved
from domain.stock import MAX_ON_HAND
from storefront.models import Product, ProductVariant, StockPolicy, User

_SKU_LENGTH = 100
_MANGLED = re.compile(r"\d(\.\d+)?[eE]\+\d+")


class NotAnExport(Exception):
    """The file has no `Handle` column."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell about a line. `failed`: what it says was not taken."""

    line: int
    handle: str
    message: str
    failed: bool


@dataclass(frozen=True, slots=True)
class PicturesLeft:
    """So many pictures of a product were not looked for, since no folder was given."""

    count: int


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def handle(self) -> str:
        return self["Handle"]

    @property
    def option_values(self) -> list[str]:
        return [self[f"Option{number} Value"] for number in range(1, MAX_OPTIONS + 1)]

    @property
    def is_variant(self) -> bool:
        return bool(self["Variant Price"] or any(self.option_values))


class BadCell(Exception):
    """A cell that cannot be read; the message says which and why."""


def import_products(
    lines: Iterable[str], *, images: Path | None, dry_run: bool, actor: User | None, now: datetime
) -> Iterator[Note | Saved | PicturesLeft]:
    """Takes products one after the other, each in a transaction of its own, and tells how each went.

    Rows are read as they are needed: a file of any length takes the memory of one product. `images` is a folder
    in which pictures are looked for by the file names of the export's addresses. Raises NotAnExport.
    """
    for handle, rows in groupby(_rows(lines), key=lambda row: row if isinstance(row, Note) else row.handle):
        if isinstance(handle, Note):
            yield handle
        elif handle:
            product = _Import(rows=[row for row in rows if isinstance(row, Row)], now=now)
            yield from product.run(images=images, dry_run=dry_run, actor=actor)
        else:
            yield from (Note(row.line, "", "There is no handle.", failed=True) for row in rows)


def _rows(lines: Iterable[str]) -> Iterator[Row | Note]:
    reader = csv.reader(lines)
    try:
        header = [name.strip().lstrip("\ufeff") for name in next(reader, [])]
    except csv.Error:
        header = []
    if "Handle" not in header:
        raise NotAnExport("The first line has no column `Handle`: this is not a Shopify product export.")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Note(line, "", f"Not CSV: {error}.", failed=True)
            continue
        if not any(cells):
            continue
        row = Row(line, {name: cell.strip() for name, cell in zip(header, cells, strict=False)})
        if any(cells[len(header) :]):
            yield Note(line, row.handle, "More cells than the first line has columns.", failed=True)
        elif any("\x00" in cell or (not cell.isprintable() and _is_broken(cell)) for cell in cells):
            yield Note(line, row.handle, "A text that is not UTF-8.", failed=True)
        else:
            yield row


def _is_broken(cell: str) -> bool:
    """Whether the cell holds what was no UTF-8 (read with `errors="surrogateescape"`)."""
    return any("\ud800" <= char <= "\udfff" for char in cell)


@dataclass
class _Import:
    """The rows of one product on their way to a draft."""

    rows: list[Row]
    now: datetime
    notes: list[Note] = field(default_factory=list)

    @property
    def first(self) -> Row:
        return self.rows[0]

    def note(self, row: Row, message: str, *, failed: bool = False) -> None:
        self.notes.append(Note(row.line, row.handle, message, failed))

    def run(self, *, images: Path | None, dry_run: bool, actor: User | None) -> Iterator[Note | Saved | PicturesLeft]:
        draft = self.draft()
        try:
            product, saved = products.save(draft=draft, actor=actor, now=self.now, dry_run=dry_run)
        except* (DomainError, DatabaseError) as group:
            reasons = " ".join(str(error) for error in _leaves(group))
            for row in self.rows:
                self.note(row, f"The product was refused. {reasons}", failed=True)
        else:
            if images is None:
                yield PicturesLeft(len(self._missing_pictures(product)))
            elif self._take_pictures(product, images, dry_run=dry_run):
                products.save(draft=draft, actor=actor, now=self.now, dry_run=dry_run)
                saved = Saved.UPDATED if saved is Saved.UNCHANGED else saved
            self.notes.sort(key=lambda note: note.line)
            yield saved
        yield from self.notes

    def draft(self) -> ProductDraft:
        first = self.first
        kinds = tuple(part.strip() for part in first["Type"].split(">") if part.strip())
        names = [first[f"Option{number} Name"] for number in range(1, MAX_OPTIONS + 1)]
        used = [
            index
            for index, name in enumerate(names)
            # Shopify's way of saying that there is nothing to choose.
            if name and not all(row.option_values[index] in ("", "Default Title") for row in self.rows)
        ]
        if not first["Title"]:  # More variants of a product that is there.
            used = [index for index, value in enumerate(first.option_values) if value]
            return ProductDraft(slug=first.handle, variants=tuple(self._variants(used)))
        return ProductDraft(
            slug=first.handle,
            title=first["Title"],
            description_html=first["Body (HTML)"],
            vendor=first["Vendor"],
            product_type=kinds[-1] if kinds else "",
            tags=tuple(dict.fromkeys(tag.strip() for tag in first["Tags"].split(",") if tag.strip())),
            categories=(kinds,) if kinds else (),
            option_names=tuple(names[index] for index in used),
            is_published=first["Published"].lower() == "true",
            variants=tuple(self._variants(used)),
        )

    def _variants(self, used: Sequence[int]) -> Iterator[VariantDraft]:
        rows = [row for row in self.rows if row.is_variant]
        skus = [row["Variant SKU"].lstrip("'")[:_SKU_LENGTH] for row in rows]
        elsewhere = ProductVariant.objects.filter(sku__in=[sku for sku in skus if sku])
        taken = set(elsewhere.exclude(product__slug=self.first.handle).values_list("sku", flat=True))
        chosen: set[tuple[str, ...]] = set()
        for row, sku in zip(rows, skus, strict=True):
            options = tuple(row.option_values[index] for index in used)
            own_sku = _synthesised(row.handle, options)
            try:
                if options in chosen:
                    raise BadCell("The same options as a row before.")
                if sku in taken:
                    self.note(row, f"The SKU {sku!r} is taken; it becomes {own_sku!r}.")
                draft = self._variant(row, own_sku if not sku or sku in taken else sku, options)
            except BadCell as error:
                self.note(row, str(error), failed=True)
            else:
                chosen.add(options)
                taken.add(str(draft.sku))
                yield draft

    def _variant(self, row: Row, sku: str, options: tuple[str, ...]) -> VariantDraft:
        price = _price(row, "Variant Price")
        if price is None:
            raise BadCell("There is no price.")
        barcode = row["Variant Barcode"].lstrip("'")
        if _MANGLED.fullmatch(barcode):
            self.note(row, f"The barcode {barcode} was mangled by a spreadsheet; it is left out.")
            barcode = ""
        on_hand = _whole(row, "Variant Inventory Qty") or 0
        if on_hand < 0:
            self.note(row, f"A stock of {on_hand} is taken as 0.")
        return VariantDraft(
            sku=sku,
            price=price,
            options=options,
            compare_at_price=_price(row, "Variant Compare At Price") or None,
            weight_grams=_whole(row, "Variant Grams"),
            barcode=barcode,
            policy=_policy(row),
            on_hand=max(on_hand, 0),
            image_source=row["Variant Image"],
        )

    def _missing_pictures(self, product: Product) -> dict[str, tuple[int, Row, str]]:
        """What the product has not yet of its pictures: by source, its position, row and alternative text."""
        named: dict[str, tuple[int, Row, str]] = {}
        for row in self.rows:
            for source, alt in ((row["Image Src"], row["Image Alt Text"]), (row["Variant Image"], "")):
                if source:
                    named.setdefault(source, (len(named) + 1, row, alt))
        for source in product.images.values_list("source", flat=True) if product.pk else ():
            named.pop(source, None)
        return named

    def _take_pictures(self, product: Product, folder: Path, *, dry_run: bool) -> bool:
        """Hangs on the product what it has not yet of its pictures; says whether there was any."""
        taken = False
        for source, (position, row, alt) in self._missing_pictures(product).items():
            try:
                content = (folder / _file_name(source)).read_bytes()
                if not dry_run:
                    images.take(
                        product=product, source=source, alt=alt, content=content, position=position, now=self.now
                    )
                    taken = True
            except (OSError, ValueError):  # A name with a NUL byte is a ValueError.
                self.note(row, f"No picture {_file_name(source)!r} in the folder.")
            except DomainError as error:
                failed = isinstance(error, StorageUnavailable)
                self.note(row, f"The picture {_file_name(source)!r} was refused. {error}", failed=failed)
        return taken


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _file_name(source: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(source).path)).name or "?"
    except ValueError:  # no address at all
        return "?"


def _synthesised(handle: str, options: Sequence[str]) -> str:
    """A SKU for a variant that has none: always the same for the same product and options, and no other's."""
    readable = slugify(" ".join([handle, *options]))[: _SKU_LENGTH - 9]
    return f"{readable}-{sha256(repr((handle, *options)).encode()).hexdigest()[:8]}"


def _policy(row: Row) -> StockPolicy:
    if not row["Variant Inventory Tracker"]:
        return StockPolicy.UNTRACKED
    sells_on = row["Variant Inventory Policy"].lower() == "continue"
    return StockPolicy.BACKORDER if sells_on else StockPolicy.DENY


def _price(row: Row, column: str) -> Decimal | None:
    if not row[column]:
        return None
    try:
        price = Decimal(row[column])
    except InvalidOperation:
        raise BadCell(f"{column}: {row[column]!r} is not a number.") from None
    if not price.is_finite() or not 0 <= price < 10**9:
        raise BadCell(f"{column}: {row[column]!r} is not a price.")
    if price != quantize(price, settings.SHOP_CURRENCY):
        raise BadCell(f"{column}: {row[column]!r} has more decimals than {settings.SHOP_CURRENCY}.")
    return price


def _whole(row: Row, column: str) -> int | None:
    if not row[column]:
        return None
    try:
        number = Decimal(row[column])
    except InvalidOperation:
        raise BadCell(f"{column}: {row[column]!r} is not a number.") from None
    if not number.is_finite() or not -MAX_ON_HAND <= number <= MAX_ON_HAND:
        raise BadCell(f"{column}: {row[column]!r} is too large.")
    return int(number)
