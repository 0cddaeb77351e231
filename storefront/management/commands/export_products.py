from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from domain.importing.shopify_export import export_products


class Command(BaseCommand):
    help = "Writes every product, drafts too, as a Shopify product export. `import_products` takes it again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV to write, in UTF-8")

    def handle(self, *, file: Path, **options: Any) -> None:
        try:
            with file.open("w", encoding="utf-8", newline="") as out:
                out.writelines(export_products())
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
