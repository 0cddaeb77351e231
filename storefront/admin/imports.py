"""Imports of files: uploaded, checked, imported."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST
from unfold import widgets

from domain.base.errors import InvalidInput
from domain.importing import imports
from storefront import models
from storefront.admin.read_only import ReadOnlyAdmin
from storefront.templatetags import display


class ImportForm(forms.Form):
    kind = forms.ChoiceField(label="Content", widget=widgets.UnfoldAdminSelectWidget)
    file = forms.FileField(widget=widgets.UnfoldAdminFileFieldWidget({"accept": ".csv,text/csv"}))
    dry_run = forms.BooleanField(
        label="Check only",
        initial=True,
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget,
        help_text="Shows what would change. You can import the file afterwards.",
    )

    def __init__(self, request: HttpRequest, *arguments: Any) -> None:
        super().__init__(*arguments)
        allowed = _allowed_kinds(request)
        kind = cast("forms.ChoiceField", self.fields["kind"])
        kind.choices = [choice for choice in models.ImportKind.choices if choice[0] in allowed]
        kind.initial = request.GET.get("kind")
        self.fields["file"].help_text = f"A CSV file in UTF-8, at most {filesizeformat(settings.IMPORT_MAX_BYTES)}."


def _allowed_kinds(request: HttpRequest) -> list[str]:
    return imports.allowed_kinds(user=request.user) if isinstance(request.user, models.User) else []


def _figures(row: models.Import) -> dict[str, str]:
    """The progress and the results so far. For a dry run, the results that the import would have."""
    counts = {"Created": row.created, "Updated": row.updated, "Unchanged": row.unchanged, "Failed lines": row.failed}
    counts |= {"Images left out": row.pictures_left} if row.pictures_left else {}
    return {"Lines processed": _progress(row)} | {name: f"{count:,}" for name, count in counts.items()}


def _progress(row: models.Import) -> str:
    return f"{row.done:,} of {row.total:,}"


@admin.register(models.Import)
class ImportAdmin(ReadOnlyAdmin):
    list_display = ["file", "content", "status", "progress", "created", "updated", "lines_failed", "uploaded", "by"]
    list_filter = ["kind", "state"]
    list_select_related = ["actor"]
    search_fields = ["file_name"]
    show_add_link = False
    fields = ()
    change_form_template = "admin/import.html"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(_allowed_kinds(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(_allowed_kinds(request))

    def has_view_permission(self, request: HttpRequest, obj: models.Import | None = None) -> bool:
        return bool(_allowed_kinds(request)) if obj is None else obj.kind in _allowed_kinds(request)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.Import]":
        return super().get_queryset(request).filter(kind__in=_allowed_kinds(request))

    def get_urls(self) -> list[URLPattern]:
        run = self.admin_site.admin_view(require_POST(self.run_view))
        return [path("<int:key>/run/", run, name="storefront_import_run"), *super().get_urls()]

    @admin.display(description="file", ordering="file_name")
    def file(self, row: models.Import) -> str:
        return row.file_name or "file"

    @admin.display(description="content", ordering="kind")
    def content(self, row: models.Import) -> str:
        return row.get_kind_display()

    @admin.display(description="status", ordering="state")
    def status(self, row: models.Import) -> str:
        return display.import_state(row)

    @admin.display(description="failed lines", ordering="failed")
    def lines_failed(self, row: models.Import) -> str:
        return display.badge(f"{row.failed:,}", "bad") if row.failed else "none"

    @admin.display(description="user", ordering="actor")
    def by(self, row: models.Import) -> str:
        return str(row.actor or "deleted user")

    @admin.display(description="uploaded", ordering="created_at")
    def uploaded(self, row: models.Import) -> str:
        return display.moment(row.created_at)

    @admin.display(description="lines processed")
    def progress(self, row: models.Import) -> str:
        return _progress(row)

    # `_upload` checks the CSRF token, after permission and size are checked without reading the body.
    @method_decorator(csrf_exempt)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.IMPORT_MAX_BYTES:
            limit = filesizeformat(settings.IMPORT_MAX_BYTES)
            messages.error(request, f"The file is larger than {limit}. Split it, and import one part after the other.")
            return self._page(request, ImportForm(request), status=413)
        request.upload_handlers = [TemporaryFileUploadHandler(request)]
        return self._upload(request)

    @method_decorator(csrf_protect)
    def _upload(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return self._page(request, ImportForm(request))
        form = ImportForm(request, request.POST, request.FILES)
        if form.is_valid():
            try:
                row = imports.begin(**form.cleaned_data, actor=cast("models.User", request.user), now=timezone.now())
                return HttpResponseRedirect(reverse("admin:storefront_import_change", args=[row.pk]))
            except InvalidInput as error:
                form.add_error("file", error.message)
        return self._page(request, form)

    def _page(self, request: HttpRequest, form: ImportForm, status: int = 200) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Import a file", "form": form}
        return TemplateResponse(request, "admin/import_file.html", context, status=status)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        context = {"report": row.rows.all(), "most": imports.MAX_ROWS, "figures": _figures(row)} if row else {}
        return super().change_view(request, object_id, form_url, context)

    def run_view(self, request: HttpRequest, key: int) -> HttpResponse:
        row = self.get_object(request, str(key))
        if row is None or not self.has_view_permission(request, row):
            raise PermissionDenied
        try:
            imports.run(kind=row.kind, key=key, actor=cast("models.User", request.user), now=timezone.now())
        except InvalidInput as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(reverse("admin:storefront_import_change", args=[key]))
