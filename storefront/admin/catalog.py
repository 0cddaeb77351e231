"""The goods and how many there are."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from domain import locks, products, search
from storefront import models
from storefront.admin.read_only import ReadOnlyAdmin, ReadOnlyInline


class NamesProducts(admin.ModelAdmin[Any]):
    """A row whose name its products are found by."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            search.index(obj.products.all())


@admin.register(models.Category)
class CategoryAdmin(NamesProducts):
    list_display = ["name", "parent", "slug", "position"]
    list_select_related = ["parent"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    autocomplete_fields = ["parent"]


class VariantInline(admin.TabularInline[models.ProductVariant, models.Product]):
    model = models.ProductVariant
    fields = ["sku", "option1", "option2", "option3", "price", "compare_at_price", "barcode", "weight_grams", "left"]
    readonly_fields = ["sku", "option1", "option2", "option3", "left"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.ProductVariant]":
        return super().get_queryset(request).select_related("stock")

    @admin.display(description="stock")
    def left(self, variant: models.ProductVariant) -> str:
        return str(variant.stock)


class ImageInline(ReadOnlyInline):
    model = models.Image
    fields = ["picture", "alt", "position"]
    readonly_fields = ["picture", "alt", "position"]

    @admin.display(description="picture")
    def picture(self, image: models.Image) -> str:
        return format_html('<img src="{}" alt="{}" height="80">', image.file.url, image.alt)


@admin.register(models.Product)
class ProductAdmin(admin.ModelAdmin[models.Product]):
    list_display = ["title", "vendor", "product_type", "min_price", "max_price", "published_at"]
    list_filter = ["vendor", "product_type"]
    search_fields = ["title", "slug", "variants__sku"]
    date_hierarchy = "published_at"
    autocomplete_fields = ["categories", "tags"]
    inlines = [VariantInline, ImageInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # A product comes with its variants and their stock: by import.

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # It is withdrawn by emptying its date of publication.

    def save_model(self, request: HttpRequest, obj: models.Product, form: Any, change: bool) -> None:
        locks.product(models.Product.objects.filter(pk=obj.pk))  # An import writes the same rows.
        if form.has_changed():
            super().save_model(request, obj, form, change)

    def save_related(
        self, request: HttpRequest, form: forms.ModelForm[models.Product], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        products.refresh(form.instance)


@admin.register(models.Tag)
class TagAdmin(NamesProducts):
    search_fields = ["name"]


@admin.register(models.VariantPrice)
class VariantPriceAdmin(admin.ModelAdmin[models.VariantPrice]):
    list_display = ["variant", "currency", "price", "compare_at_price"]
    list_filter = ["currency"]
    list_select_related = ["variant", "currency"]
    search_fields = ["variant__sku", "variant__product__title"]
    raw_id_fields = ["variant"]


@admin.register(models.Stock)
class StockAdmin(ReadOnlyAdmin):
    list_display = ["variant", "policy", "on_hand", "reserved"]
    list_select_related = ["variant"]
    search_fields = ["variant__sku", "variant__product__title"]
    list_filter = ["policy"]
