"""Users and groups."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from domain.accounts import accounts
from storefront import models
from storefront.admin.base import ModelAdmin
from storefront.admin.read_only import ReadOnlyInline

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin[Group]):
    """Staff groups and their permissions."""


class SessionInline(ReadOnlyInline):
    model = models.Session
    fields = ["user_agent", "created_at", "last_used_at", "expires_at"]


class SavedAddressInline(ReadOnlyInline):
    model = models.SavedAddress
    fields = ["address", "created_at"]


@admin.register(models.User)
class UserAdmin(BaseUserAdmin[models.User], ModelAdmin[models.User]):
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ["__str__", "name", "is_verified", "is_staff", "is_active", "joined_at"]
    ordering = ["-joined_at"]
    search_fields = ["email", "claimed_email", "name"]
    list_filter = ["is_staff", "is_active"]
    readonly_fields = ["unverified_email", "joined_at", "last_login"]
    fieldsets = (
        (None, {"fields": ("email", "unverified_email", "name", "password")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("joined_at", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)
    actions = ["forget"]
    inlines = [SavedAddressInline, SessionInline]

    def get_inlines(self, request: HttpRequest, obj: models.User | None) -> list[Any]:
        return self.inlines if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # Orders and stock movements refer to users, so users are anonymised instead.

    def has_forget_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("storefront.delete_user")

    @admin.display(description="e-mail verified", boolean=True)
    def is_verified(self, user: models.User) -> bool:
        return user.email is not None

    @admin.display(description="unverified e-mail")
    def unverified_email(self, user: models.User) -> str:
        return user.claimed_email or "–"

    @admin.action(description="Anonymise the selected users (their orders are kept)", permissions=["forget"])
    def forget(self, request: HttpRequest, users: "QuerySet[models.User]") -> None:
        for user in users:
            if user != request.user:  # Staff must not lock themselves out by mistake.
                accounts.anonymize(user=user)
