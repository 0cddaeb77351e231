"""Imports of products and stock counts from files, for staff. They run in the background."""

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


@strawberry_django.type(models.ImportRow, description="A note about one line of the file.")
class ImportRow:
    line: int = strawberry_django.field(description="The number of the line, as an editor counts.")
    handle: str = strawberry_django.field(description="The product's handle, or the SKU; may be empty.")
    message: str = strawberry_django.field(description="What is unusual about the line, or why it failed.")
    failed: bool = strawberry_django.field(description="Whether the line failed and was not imported.")


@strawberry.type(description="A page of an import's report.")
class ImportRowConnection(Connection[ImportRow]):
    pass


@strawberry_django.type(
    models.Import, description="An import of a file. The counts are about the lines that are `done`."
)
class Import(ids.Node):
    state: models.ImportState = strawberry_django.field(description="The state of the import.")
    file_name: str = strawberry_django.field(description="The original name of the file.")
    total: int = strawberry_django.field(description="Number of lines in the file.")
    done: int = strawberry_django.field(description="Number of lines that are processed, of `total`.")
    created: int = strawberry_django.field(
        description="Number of products created, or to be created if it is a dry run."
    )
    updated: int = strawberry_django.field(
        description="Number of products changed, or of variants whose stock changed."
    )
    unchanged: int = strawberry_django.field(
        description="Number of products or variants that the file does not change."
    )
    failed: int = strawberry_django.field(description="Number of lines that failed. The report has the reasons.")
    pictures_left: int = strawberry_django.field(
        description="Number of images in the file that are not downloaded yet."
    )
    created_at: datetime = strawberry_django.field(description="When the file was sent.")
    finished_at: datetime | None = strawberry_django.field(
        description="When the import became CHECKED or DONE; null before."
    )

    @strawberry_django.field(description=f"Notes by line of the file, at most {imports.MAX_ROWS:,}.")
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
    file: TemporaryUploadedFile = strawberry.field(description="A CSV file in UTF-8.")
    dry_run: bool = strawberry.field(
        default=True, description="Whether to check the file only, and run the import later."
    )


@strawberry.input(description="The import to run.")
class RunImportInput:
    id: strawberry.ID = strawberry.field(description="`Import.id` of an import that is CHECKED.")


@strawberry.type(
    description="The result of starting an import, which goes on in the background: the import, or errors."
)
class ImportPayload:
    key: strawberry.Private[int | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(
        name="import", graphql_type=Import | None, description="The import as it is now; null if the mutation failed."
    )
    def begun(self, info: Info) -> models.Import | None:
        return load(models.Import.objects.filter(pk=self.key), info).first() if self.key else None


def _begin(info: Info, kind: models.ImportKind, given: ImportFileInput) -> ImportPayload:
    info.context.allow(*imports.REQUIRED_PERMISSIONS[kind])
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
    info.context.allow(*imports.REQUIRED_PERMISSIONS[kind])
    with Refusals(info) as errors:
        key = ids.number(given.id, "Import", field=["id"])
        return ImportPayload(key=imports.run(kind=kind, key=key, actor=info.context.viewer, now=info.context.now).pk)
    return ImportPayload(user_errors=errors)


def _find(info: Info, kind: models.ImportKind, id: str) -> models.Import | None:
    info.context.allow(*imports.REQUIRED_PERMISSIONS[kind])
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
        description="For staff who may import products: an import and its progress; null if the id is unknown.",
    )
    def product_import(self, info: Info, id: ImportId) -> models.Import | None:
        return _find(info, models.ImportKind.PRODUCTS, id)

    @strawberry.field(
        graphql_type=Import | None,
        description="For staff who may change stock: an import and its progress; null if the id is unknown.",
    )
    def stock_import(self, info: Info, id: ImportId) -> models.Import | None:
        return _find(info, models.ImportKind.STOCK, id)


@strawberry.type
class ImportMutation:
    @strawberry.mutation(
        description="For staff: imports products from a Shopify product export, in the background. A dry run changes "
        "nothing and reports what would change. Errors: INVALID."
    )
    def import_products(self, info: Info, input: ImportFileInput) -> ImportPayload:
        return _begin(info, models.ImportKind.PRODUCTS, input)

    @strawberry.mutation(
        description="For staff: runs the import that a dry run of `importProducts` has checked. Calling it again "
        "changes nothing. Errors: NOT_FOUND, INVALID."
    )
    def run_product_import(self, info: Info, input: RunImportInput) -> ImportPayload:
        return _run(info, models.ImportKind.PRODUCTS, input)

    @strawberry.mutation(
        description="For staff: sets the units on hand to counted numbers, from a CSV file with the columns `SKU` and "
        "`Counted`, in the background. A dry run changes nothing and reports what would change. Errors: INVALID."
    )
    def import_stock(self, info: Info, input: ImportFileInput) -> ImportPayload:
        return _begin(info, models.ImportKind.STOCK, input)

    @strawberry.mutation(
        description="For staff: runs the import that a dry run of `importStock` has checked. Calling it again changes "
        "nothing. Errors: NOT_FOUND, INVALID."
    )
    def run_stock_import(self, info: Info, input: RunImportInput) -> ImportPayload:
        return _run(info, models.ImportKind.STOCK, input)
