"""What the pages are made of: unfold's classes. It has no types; they are Django's, which it extends."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.conf import settings
from django.db import models as db

from domain.money import quantize

if TYPE_CHECKING:
    from django.contrib import admin as unfold
else:
    from unfold import admin as unfold

Row = TypeVar("Row", bound=db.Model)
Parent = TypeVar("Parent", bound=db.Model)


class ShortDecimalField(forms.DecimalField):
    """Shows no more decimals than an amount has, where the column holds more and they are zeros."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        rounded = quantize(value, settings.SHOP_CURRENCY)
        return rounded if rounded == value else value


_OVERRIDES: dict[Any, Any] = {db.DecimalField: {"form_class": ShortDecimalField}}


class ModelAdmin(unfold.ModelAdmin[Row]):
    formfield_overrides = _OVERRIDES


class TabularInline(unfold.TabularInline[Row, Parent]):
    formfield_overrides = _OVERRIDES
