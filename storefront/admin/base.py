"""Base classes of the admin, from unfold. It is not typed, so mypy sees Django's classes, which it extends."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django import forms
from django.conf import settings
from django.db import models as db
from django.http import HttpRequest
from django.utils import timezone

from domain.base import change_log
from domain.base.money import quantize
from storefront.models import ChangeAction, ProductVariant, User, Versioned

if TYPE_CHECKING:
    from django.contrib import admin as unfold
else:
    from unfold import admin as unfold

Row = TypeVar("Row", bound=db.Model)
Parent = TypeVar("Parent", bound=db.Model)


class ShortDecimalField(forms.DecimalField):
    """Hides trailing zeros beyond the decimals of the shop's currency."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        rounded = quantize(amount=value, currency=settings.SHOP_CURRENCY)
        return rounded if rounded == value else value


_OVERRIDES: dict[Any, Any] = {db.DecimalField: {"form_class": ShortDecimalField}}


class ModelAdmin(unfold.ModelAdmin[Row]):
    formfield_overrides = _OVERRIDES

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with _logging_changes(obj, request):
            super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.save(commit=False):
            with _logging_changes(row, request):
                row.save()
        for row in formset.deleted_objects:
            with _logging_changes(row, request):
                row.delete()
        formset.save_m2m()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with _logging_changes(obj, request):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


@contextmanager
def _logging_changes(row: Any, request: HttpRequest) -> Iterator[None]:
    """Adds an entry to the change log when the row is created, updated or deleted, as domain functions do."""
    if not isinstance(row, Versioned | ProductVariant):
        yield
        return
    key, old = row.pk, type(row)._default_manager.filter(pk=row.pk).first()
    before = change_log.column_values(row=old) if old else {}
    yield
    after = {} if row.pk is None else change_log.column_values(row=row)
    action = ChangeAction.DELETED if not after else ChangeAction.UPDATED if old else ChangeAction.CREATED
    if fields := change_log.differences(before=before, after=after):
        row.pk = row.pk or key
        change_log.entry(
            row=row, action=action, fields=fields, actor=cast("User", request.user), now=timezone.now()
        ).save()


class TabularInline(unfold.TabularInline[Row, Parent]):
    formfield_overrides = _OVERRIDES
