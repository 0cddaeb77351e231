"""The activity log."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.text import camel_case_to_spaces

from storefront import models
from storefront.admin.read_only import ReadOnlyAdmin
from storefront.templatetags import display


@admin.register(models.Change)
class ChangeAdmin(ReadOnlyAdmin):
    list_display = ["called", "what", "done", "names", "who", "when"]
    list_filter = ["action", ("kind", admin.AllValuesFieldListFilter)]
    list_select_related = ["actor"]
    search_fields = ["label", "=key", "actor__email"]
    list_per_page = 50
    fields = ()
    change_form_template = "admin/change.html"

    @admin.display(description="object", ordering="label")
    def called(self, change: models.Change) -> str:
        return change.label

    @admin.display(description="type", ordering="kind")
    def what(self, change: models.Change) -> str:
        return camel_case_to_spaces(change.kind)

    @admin.display(description="action", ordering="action")
    def done(self, change: models.Change) -> str:
        return display.change_action(change)

    @admin.display(description="fields")
    def names(self, change: models.Change) -> str:
        return ", ".join(_field_label(name) for name in sorted(change.fields))

    @admin.display(description="user", ordering="actor")
    def who(self, change: models.Change) -> str:
        return str(change.actor or "system")

    @admin.display(description="time", ordering="at")
    def when(self, change: models.Change) -> str:
        return display.moment(change.at)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        change: models.Change = options["obj"]
        context |= {"what": self.what(change).capitalize(), "fields": list(_field_changes(change))}
        return super().render_change_form(request, context, *args, **options)


def _field_changes(change: models.Change) -> Iterator[tuple[str, str, str]]:
    for name, (before, after) in sorted(change.fields.items()):
        yield _field_label(name), _format_value(name, before), _format_value(name, after)


def _field_label(name: str) -> str:
    return name.replace("_", " ")


def _format_value(name: str, value: Any) -> str:
    """Formats a JSON value for display."""
    match value:
        case None | "" | []:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case str() if name.endswith("_at") and (at := parse_datetime(value)):
            return display.moment(at)
    return str(value)
