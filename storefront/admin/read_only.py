"""Read-only admin classes, for data that only domain functions change."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from storefront.admin.base import ModelAdmin, TabularInline


class ReadOnlyInline(TabularInline[Any, Any]):
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ModelAdmin[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def presence_filter(title: str, *, present: str, absent: str) -> type[admin.EmptyFieldListFilter]:
    """A filter on whether a field has a value, with a label for each case."""

    class PresenceFilter(admin.EmptyFieldListFilter):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.title = title

        def choices(self, changelist: Any) -> Iterator[Any]:
            for choice, label in zip(super().choices(changelist), ("All", absent, present), strict=True):
                yield {**choice, "display": label}

    return PresenceFilter
