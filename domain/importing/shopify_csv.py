"""Imports Shopify's product export, in which a product has several rows.

Columns: https://help.shopify.com/en/manual/products/import-export/using-csv
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from hashlib import sha256
from itertools import chain, groupby, islice
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.utils.text import slugify

from domain.base.errors import DomainError
from domain.base.money import quantize
from domain.catalog import images, products
from domain.catalog.drafts import KEEP, MAX_OPTIONS, ProductDraft, VariantDraft
from domain.catalog.media import StorageUnavailable
from domain.catalog.products import SaveResult
from domain.catalog.stock import MAX_ON_HAND
from domain.importing import sheets
from domain.importing.sheets import BadCell, ImagesSkipped, ImportItem, ImportOutcome, Note, Row, report_only
from storefront.models import Product, ProductVariant, StockPolicy, User

_SKU_LENGTH = 100
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+\d+")
# Rows of one product; each is a variant or an image.
MAX_ROWS = 2_000


def import_products(
    *, lines: Iterable[str], images: Path | None, dry_run: bool, actor: User | None, now: datetime
) -> Iterator[ImportOutcome]:
    """Imports products one by one, each in its own transaction, and yields the outcomes.

    Rows are read lazily, so a file of any length needs the memory of one product. `images` is a folder with image
    files, named as in the addresses of the export. Raises WrongColumns.
    """
    unread = iter(lines)
    columns, before = FORMAT.columns(unread)
    for item in _product_items(FORMAT.rows(unread, columns, before=before), images=images):
        yield from item.run(dry_run=dry_run, actor=actor, now=now)


def _product_items(rows: Iterable[Row | Note], *, images: Path | None = None) -> Iterator[ImportItem]:
    handle: str | Note
    for handle, group in groupby(rows, key=_handle_or_note):
        if isinstance(handle, Note):
            yield ImportItem(handle.line, report_only(handle))
            continue
        of_one = [row for row in islice(group, MAX_ROWS + 1) if isinstance(row, Row)]
        first = of_one[0].line
        if not handle:
            for row in chain(of_one, group):
                yield ImportItem(row.line, report_only(Note(row.line, "", "The handle is missing.", failed=True)))
        elif len(of_one) > MAX_ROWS:
            message = f"The product was not imported. It has more than {MAX_ROWS} rows."
            yield ImportItem(first, report_only(Note(first, handle, message, failed=True)))
        else:
            yield ImportItem(first, partial(_import_product, of_one, images))


FORMAT = sheets.Format(
    "a Shopify product export",
    needed=("Handle",),
    items=_product_items,
    expected=(
        *("Body (HTML)", "Vendor", "Type", "Tags", "Published", "Option1 Name", "Variant Grams", "Variant Barcode"),
        *("Variant Inventory Tracker", "Variant Compare At Price"),
    ),
)


def _import_product(
    rows: list[Row], images: Path | None, *, dry_run: bool, actor: User | None, now: datetime
) -> Iterator[ImportOutcome]:
    return _ProductImport(rows=rows, now=now).run(images=images, dry_run=dry_run, actor=actor)


def _handle_or_note(row: Row | Note) -> str | Note:
    return row if isinstance(row, Note) else row["Handle"]


def _option_values(row: Row) -> list[str]:
    return [row[f"Option{number} Value"] for number in range(1, MAX_OPTIONS + 1)]


def _is_variant(row: Row) -> bool:
    return bool(row["Variant Price"] or any(_option_values(row)))


@dataclass
class _ProductImport:
    """The import of one product from its rows."""

    rows: list[Row]
    now: datetime
    notes: list[Note] = field(default_factory=list)

    @property
    def first(self) -> Row:
        return self.rows[0]

    def note(self, row: Row, message: str, *, failed: bool = False) -> None:
        self.notes.append(Note(row.line, row["Handle"], message, failed))

    def run(self, *, images: Path | None, dry_run: bool, actor: User | None) -> Iterator[ImportOutcome]:
        try:
            draft = self.draft()
            product, saved = products.save(draft=draft, actor=actor, now=self.now, dry_run=dry_run)
        except* (BadCell, csv.Error, DomainError, DatabaseError) as group:
            reasons = " ".join(str(error) for error in _leaves(group))
            for row in self.rows:
                self.note(row, f"The product was not imported. {reasons}", failed=True)
        else:
            if images is None:
                yield ImagesSkipped(len(self._missing_images(product)))
            elif self._import_images(product, images, dry_run=dry_run):
                products.save(draft=draft, actor=actor, now=self.now, dry_run=dry_run)
                saved = SaveResult.UPDATED if saved is SaveResult.UNCHANGED else saved
            self.notes.sort(key=lambda note: note.line)
            yield saved
        yield from self.notes

    def draft(self) -> ProductDraft:
        first = self.first
        product_type, categories = read_type(row=first)
        names = [first[f"Option{number} Name"] for number in range(1, MAX_OPTIONS + 1)]
        used = [
            index
            for index, name in enumerate(names)
            # "Default Title" is Shopify's value for products without options.
            if name and not all(_option_values(row)[index] in ("", "Default Title") for row in self.rows)
        ]
        if not first["Title"]:  # The rows add variants to an existing product.
            used = [index for index, value in enumerate(_option_values(first)) if value]
            return ProductDraft(slug=first["Handle"], variants=tuple(self._variants(used)))
        return ProductDraft(
            slug=first["Handle"],
            title=first["Title"],
            description_html=first.exact("Body (HTML)"),
            vendor=first["Vendor"],
            product_type=product_type,
            tags=tuple(dict.fromkeys(read_tags(cell=first["Tags"]))),
            categories=categories,
            option_names=tuple(names[index] for index in used),
            is_published=first["Published"].lower() == "true",
            variants=tuple(self._variants(used)),
        )

    def _variants(self, used: Sequence[int]) -> Iterator[VariantDraft]:
        rows = [row for row in self.rows if _is_variant(row)]
        skus = [row.code("Variant SKU")[:_SKU_LENGTH] for row in rows]
        elsewhere = ProductVariant.objects.filter(sku__in=[sku for sku in skus if sku])
        taken = set(elsewhere.exclude(product__slug=self.first["Handle"]).values_list("sku", flat=True))
        chosen: set[tuple[str, ...]] = set()
        for row, sku in zip(rows, skus, strict=True):
            options = tuple(_option_values(row)[index] for index in used)
            own_sku = _generated_sku(row["Handle"], options)
            try:
                if options in chosen:
                    raise BadCell("An earlier row has the same options.")
                if sku in taken:
                    self.note(row, f"The SKU {sku!r} is taken. The variant gets {own_sku!r}.")
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
            raise BadCell("The price is missing.")
        barcode = row.code("Variant Barcode")
        if _SCIENTIFIC.fullmatch(barcode):
            self.note(row, f"The barcode {barcode} was damaged by a spreadsheet and is left out.")
            barcode = ""
        on_hand = _whole(row, "Variant Inventory Qty")
        if on_hand is not None and on_hand < 0:
            self.note(row, f"A stock of {on_hand} becomes 0.")
            on_hand = 0
        return VariantDraft(
            sku=sku,
            price=price,
            options=options,
            compare_at_price=_price(row, "Variant Compare At Price") or None,
            weight_grams=_whole(row, "Variant Grams"),
            barcode=barcode,
            policy=_policy(row),
            on_hand=KEEP if on_hand is None else on_hand,
            image_source=row["Variant Image"],
        )

    def _missing_images(self, product: Product) -> dict[str, tuple[int, Row, str]]:
        """The images that the product does not have yet: by source, the position, row and alternative text."""
        named: dict[str, tuple[int, Row, str]] = {}
        shown = [(row["Image Src"], row, row["Image Alt Text"]) for row in self.rows]
        for source, row, alt in [*shown, *((row["Variant Image"], row, "") for row in self.rows)]:
            if source:
                named.setdefault(source, (len(named) + 1, row, alt))
        for source, file in product.images.values_list("source", "file") if product.pk else ():
            named.pop(image_key(source=source, file=file), None)
        return named

    def _import_images(self, product: Product, folder: Path, *, dry_run: bool) -> bool:
        """Adds the images that the product does not have yet. Returns whether there were any."""
        taken = False
        for source, (position, row, alt) in self._missing_images(product).items():
            try:
                content = (folder / _file_name(source)).read_bytes()
                if not dry_run:
                    images.import_image(
                        product=product, source=source, alt=alt, content=content, position=position, now=self.now
                    )
                    taken = True
            except (OSError, ValueError):  # A name with a NUL byte is a ValueError.
                self.note(row, f"The image {_file_name(source)!r} is not in the folder.")
            except DomainError as error:
                failed = isinstance(error, StorageUnavailable)
                self.note(row, f"The image {_file_name(source)!r} was not imported. {error}", failed=failed)
        return taken


def read_type(*, row: Row) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The product's type, and its categories as paths from a root down. `Type` is both, unless our own column
    `Categories` has the paths as JSON. Raises BadCell."""
    kinds = tuple(part.strip() for part in row["Type"].split(">") if part.strip())
    if not row["Categories"]:
        return (kinds[-1], (kinds,)) if kinds else ("", ())
    try:
        paths = json.loads(row["Categories"])
        return row["Type"], tuple(tuple(str(name) for name in path) for path in paths)
    except (ValueError, TypeError, RecursionError):
        raise BadCell('Categories: this is not a list of paths such as [["Home", "Kitchen"]].') from None


def read_tags(*, cell: str) -> Iterator[str]:
    """The tags of a cell, separated by commas. A tag with a comma is in quotes."""
    for tags in csv.reader(io.StringIO(cell, newline=""), skipinitialspace=True):
        yield from (tag.strip() for tag in tags if tag.strip())


def image_key(*, source: str | None, file: str | None) -> str:
    """The key of an image in a CSV: its source address, or else its name in our storage."""
    return source or file or ""


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _file_name(source: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(source).path)).name or "?"
    except ValueError:  # Not an address.
        return "?"


def _generated_sku(handle: str, options: Sequence[str]) -> str:
    """A SKU for a variant that has none: always the same for the same product and options, and unique to them."""
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
    if price != quantize(amount=price, currency=settings.SHOP_CURRENCY):
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
