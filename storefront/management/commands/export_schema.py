import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from graphql import build_schema
from graphql.utilities import find_breaking_changes

from schema.root import schema

SDL = Path(settings.BASE_DIR, "schema", "schema.graphql")


class Command(BaseCommand):
    help = "Writes the GraphQL schema to schema/schema.graphql."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail if the file is out of date; write nothing")
        parser.add_argument(
            "--since", type=Path, metavar="SDL", help="fail if the schema breaks clients of this earlier schema"
        )

    def handle(self, *, check: bool, since: Path | None, **options: Any) -> None:
        sdl = schema.as_str() + "\n"
        if since is not None:
            self._compare(since.read_text(), sdl)
        if not check:
            SDL.write_text(sdl)
        elif not SDL.exists() or SDL.read_text() != sdl:
            raise CommandError(f"{SDL.name} is out of date: run manage.py export_schema and review the changes.")

    def _compare(self, before: str, now: str) -> None:
        """Removing a field that was marked @deprecated before is not a breaking change."""
        old = build_schema(before)
        deprecated = {
            f"{type_.name}.{name}"
            for type_ in old.type_map.values()
            for name, field in getattr(type_, "fields", {}).items()
            if getattr(field, "deprecation_reason", None)
        }
        breaks = [
            change.description
            for change in find_breaking_changes(old, build_schema(now))
            if not any(change.description.startswith(f"{field} ") for field in deprecated)
        ]
        for description in breaks:
            self.stderr.write(f"Breaks clients: {description}")
        if breaks:
            sys.exit(1)
