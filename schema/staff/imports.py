"""Files of staff's: products and counts, taken in the background, and how it goes."""

from datetime import datetime
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.core.files.uploadedfile import TemporaryUploadedFile

from domain.base.errors import NotFound
from domain.importing import imports
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError
from schema.base.loading import load, load_nodes
from storefront import models

_BY_LINE = Keyset("line", "id")
ImportId = Annotated[strawberry.ID, strawberry.argument(description="`Import.id`.")]

# ── types ────────────────────────────────────────────────────────────────────────────────────────────

expose(
    models.ImportState,
    "How far an import is.",
    CHECKING="The file is being checked. Nothing is changed.",
    CHECKED="The file was checked. The report says what would change.",
    RUNNING="The file is being imported.",
    DONE="The file was imported.",
)


@strawberry_django.type(models.ImportRow, description="What there is to tell about a line of the file.")
class ImportRow:
    line: int = strawberry_django.field(description="Its number, as an editor counts.")
    handle: str = strawberry_django.field(description="The product's handle, or the SKU; may be empty.")
    message: str = strawberry_django.field(description="What was odd, or why it was not taken.")
    failed: bool = strawberry_django.field(description="Whether it was not taken.")


@strawberry.type(description="A page of an import's report.")
class ImportRowConnection(Connection[ImportRow]):
    pass


@strawberry_django.type(models.Import, description="A file on its way into the shop. Counts are of what is `done`.")
class Import(ids.Node):
    state: models.ImportState = strawberry_django.field(description="How far it is.")
    file_name: str = strawberry_django.field(description="What it was called where it came from.")
    total: int = strawberry_django.field(description="Lines of the file.")
    done: int = strawberry_django.field(description="Lines that are behind, of `total`.")
    created: int = strawberry_django.field(description="New products, as they would be while it is only looked at.")
    updated: int = strawberry_django.field(description="Products that changed, or variants whose count did.")
    unchanged: int = strawberry_django.field(description="Products or variants that are as the file says.")
    failed: int = strawberry_django.field(description="Lines that were not taken: the report says why.")
    pictures_left: int = strawberry_django.field(description="Pictures that the file names and the shop has not.")
    created_at: datetime = strawberry_django.field(description="When the file was sent.")
    finished_at: datetime | None = strawberry_django.field(description="When it was CHECKED or DONE; null before.")

    @strawberry_django.field(description=f"The report by line, of {imports.MAX_ROWS:,} lines at most.")
    def rows(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> ImportRowConnection:
        page = Page(
            self.rows.all(),
            _BY_LINE,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return ImportRowConnection(page=page)


# ── inputs and payloads ──────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A file to import.")
class ImportFileInput:
    file: TemporaryUploadedFile = strawberry.field(description="A CSV in UTF-8.")
    dry_run: bool = strawberry.field(default=True, description="Whether it is only looked at, to be run later.")


@strawberry.input(description="An import to run.")
class RunImportInput:
    id: strawberry.ID = strawberry.field(description="`Import.id`, of one that is CHECKED.")


@strawberry.type(description="The import as it is now: it goes on in the background.")
class ImportPayload:
    key: strawberry.Private[int | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(name="import", graphql_type=Import | None, description="Null when nothing was done.")
    def begun(self, info: Info) -> models.Import | None:
        return load(models.Import.objects.filter(pk=self.key), info).first() if self.key else None


def _begin(info: Info, kind: models.ImportKind, given: ImportFileInput) -> ImportPayload:
    info.context.allow(*imports.NEEDED[kind])
    with Refusals(info) as errors:
        row = imports.begin(
            kind=kind,
            file=given.file,
            dry_run=given.dry_run,
            actor=info.context.viewer,
            now=info.context.now,
        )
        return ImportPayload(key=row.pk)
    return ImportPayload(user_errors=errors)


def _run(info: Info, kind: models.ImportKind, given: RunImportInput) -> ImportPayload:
    info.context.allow(*imports.NEEDED[kind])
    with Refusals(info) as errors:
        key = ids.number(given.id, "Import", field=["id"])
        return ImportPayload(key=imports.run(kind=kind, key=key, actor=info.context.viewer, now=info.context.now).pk)
    return ImportPayload(user_errors=errors)


def _find(info: Info, kind: models.ImportKind, id: str) -> models.Import | None:
    info.context.allow(*imports.NEEDED[kind])
    try:
        key = ids.number(id, "Import")
    except NotFound:
        return None
    return load(models.Import.objects.filter(pk=key, kind=kind), info).first()


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ImportQuery:
    @strawberry.field(
        graphql_type=Import | None,
        description="For staff who may import products: how it goes. Null for an unknown id.",
    )
    def product_import(self, info: Info, id: ImportId) -> models.Import | None:
        return _find(info, models.ImportKind.PRODUCTS, id)

    @strawberry.field(
        graphql_type=Import | None, description="For staff who may count stock: how it goes. Null for an unknown id."
    )
    def stock_import(self, info: Info, id: ImportId) -> models.Import | None:
        return _find(info, models.ImportKind.STOCK, id)


@strawberry.type
class ImportMutation:
    @strawberry.mutation(
        description="For staff: takes products out of a Shopify product export, in the background; a dry run changes "
        "nothing and reports what would. Errors: INVALID."
    )
    def import_products(self, info: Info, input: ImportFileInput) -> ImportPayload:
        return _begin(info, models.ImportKind.PRODUCTS, input)

    @strawberry.mutation(
        description="For staff: takes the file that a dry run of `importProducts` has looked at; once more changes "
        "nothing. Errors: NOT_FOUND, INVALID."
    )
    def run_product_import(self, info: Info, input: RunImportInput) -> ImportPayload:
        return _run(info, models.ImportKind.PRODUCTS, input)

    @strawberry.mutation(
        description="For staff: sets what is on hand as it was counted, by a CSV with the columns `SKU` and `Counted`, "
        "in the background; a dry run changes nothing and reports what would. Errors: INVALID."
    )
    def import_stock(self, info: Info, input: ImportFileInput) -> ImportPayload:
        return _begin(info, models.ImportKind.STOCK, input)

    @strawberry.mutation(
        description="For staff: takes the counts that a dry run of `importStock` has looked at; once more changes "
        "nothing. Errors: NOT_FOUND, INVALID."
    )
    def run_stock_import(self, info: Info, input: RunImportInput) -> ImportPayload:
        return _run(info, models.ImportKind.STOCK, input)
