"""Renders images that have no renditions, such as those that an earlier version imported."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from domain.base.errors import DomainError
from domain.catalog import images


class Command(BaseCommand):
    help = "Makes all sizes of images that do not have them, and removes their originals from the public storage."

    def handle(self, **options: Any) -> None:
        rendered = failed = 0
        for key, file in images.unrendered().values_list("pk", "file"):
            try:
                images.render(image_id=key, now=timezone.now())
                rendered += 1
            except DomainError as error:
                failed += 1
                self.stderr.write(f"{file}: {error}")
        self.stdout.write(f"Rendered: {rendered}. Failed: {failed}.")
        if failed:
            sys.exit(1)
