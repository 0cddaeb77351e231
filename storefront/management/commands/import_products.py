import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

import rich.progress
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console

from domain.catalog.products import SaveResult
from domain.importing.sheets import ImagesSkipped, Note, WrongColumns
from domain.importing.shopify_csv import import_products


class Command(BaseCommand):
    help = "Imports products from a Shopify product export. Importing a file again changes only what has changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV file, in UTF-8")
        parser.add_argument("--images", type=Path, metavar="DIR", help="folder in which images are found by file name")
        parser.add_argument("--dry-run", action="store_true", help="report what would change, and change nothing")

    def handle(self, *, file: Path, images: Path | None, dry_run: bool, **options: Any) -> None:
        if images is not None and not images.is_dir():
            raise CommandError(f"{images} is not a folder.")
        counts: Counter[SaveResult] = Counter()
        failed = pictures_left = 0
        console = Console(file=sys.stderr)
        try:
            # What is not UTF-8 is read as lone surrogates, so that its own line can be named.
            with rich.progress.open(
                file,
                "r",
                encoding="utf-8",
                errors="surrogateescape",
                newline="",
                description="Importing",
                console=console,
                disable=not console.is_terminal,
            ) as lines:
                for outcome in import_products(
                    lines=lines, images=images, dry_run=dry_run, actor=None, now=timezone.now()
                ):
                    match outcome:
                        case SaveResult():
                            counts[outcome] += 1
                        case ImagesSkipped(count):
                            pictures_left += count
                        case Note():
                            failed += outcome.failed
                            self._tell(outcome)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
        except WrongColumns as error:
            raise CommandError(f"{file}: {error}") from None
        told = ", ".join(f"{counts[saved]} {saved.value}" for saved in SaveResult)
        self.stdout.write(f"Products: {told}. Failed lines: {failed}." + " (Dry run.)" * dry_run)
        if pictures_left:
            self.stdout.write(f"Images left out: {pictures_left}. Use --images to give their folder.")
        if failed:
            sys.exit(1)

    def _tell(self, note: Note) -> None:
        kind = "failed" if note.failed else "note"
        self.stderr.write(f"line {note.line} ({note.handle}): {kind}: {note.message}")
