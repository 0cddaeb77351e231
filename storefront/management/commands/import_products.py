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
        failed = images_skipped = 0
        console = Console(file=sys.stderr)
        try:
            # Reads invalid UTF-8 as surrogates, so that the error can name the line.
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
                            images_skipped += count
                        case Note():
                            failed += outcome.failed
                            self._print_note(outcome)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
        except WrongColumns as error:
            raise CommandError(f"{file}: {error}") from None
        summary = ", ".join(f"{counts[result]} {result.value}" for result in SaveResult)
        self.stdout.write(f"Products: {summary}. Failed lines: {failed}." + " (Dry run.)" * dry_run)
        if images_skipped:
            self.stdout.write(f"Images left out: {images_skipped}. Use --images to give their folder.")
        if failed:
            sys.exit(1)

    def _print_note(self, note: Note) -> None:
        kind = "failed" if note.failed else "note"
        self.stderr.write(f"line {note.line} ({note.handle}): {kind}: {note.message}")
