from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from domain.importing.shopify_export import export_products


class Command(BaseCommand):
    help = "Writes all products, including drafts, as a Shopify product export, which `import_products` can read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV file to write")

    def handle(self, *, file: Path, **options: Any) -> None:
        try:
            with file.open("w", encoding="utf-8", newline="") as out:
                out.writelines(export_products())
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
