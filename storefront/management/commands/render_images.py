"""Every size of the pictures that have not got them: of those that an earlier version of the shop imported."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from domain.base.errors import DomainError
from domain.catalog import images


class Command(BaseCommand):
    help = "Renders every size of the pictures that have not got them, and takes their originals out of the public."

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
