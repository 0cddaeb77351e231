"""Products, categories, tags, prices and stock."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from domain.base import locks
from domain.catalog import images, products, search
from domain.catalog.drafts import BulkUpdate
from domain.catalog.renditions import ImageSize
from domain.reporting import dashboard
from storefront import models
from storefront.admin.base import ModelAdmin, TabularInline
from storefront.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from storefront.templatetags import display


class NamesProducts(ModelAdmin[Any]):
    """For models whose name is part of their products' search index."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            search.index(products=obj.products.all())


@admin.register(models.Category)
class CategoryAdmin(NamesProducts):
    list_display = ["name", "parent", "slug", "position"]
    list_select_related = ["parent"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    autocomplete_fields = ["parent"]


class VariantForm(forms.ModelForm[models.ProductVariant]):
    class Meta:
        labels = {"compare_at_price": "Compare-at price", "weight_grams": "Weight (g)"}


class ProductForm(forms.ModelForm[models.Product]):
    class Meta:
        labels = {
            "slug": "Slug (part of the URL)",
            "published_at": "Published from",
            "description_html": "Description (HTML)",
            "option1_name": "Option 1",
            "option2_name": "Option 2",
            "option3_name": "Option 3",
        }
        help_texts = {
            "published_at": "Leave empty for a draft. Empty it to unpublish the product.",
            "option1_name": "For example Size.",
        }


class VariantInline(TabularInline[models.ProductVariant, models.Product]):
    model = models.ProductVariant
    fields = ["sku", "options", "price", "compare_at_price", "left", "barcode", "weight_grams"]
    readonly_fields = ["sku", "options", "left"]
    form = VariantForm
    verbose_name_plural = "variants"
    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.ProductVariant]":
        return super().get_queryset(request).select_related("stock")

    @admin.display(description="options")
    def options(self, variant: models.ProductVariant) -> str:
        return variant.title or "–"

    @admin.display(description="stock")
    def left(self, variant: models.ProductVariant) -> str:
        return display.units(variant.stock)


class ImageInline(ReadOnlyInline):
    model = models.Image
    fields = ["picture", "alt", "position"]
    readonly_fields = ["picture", "alt", "position"]
    hide_title = True

    @admin.display(description="picture")
    def picture(self, image: models.Image) -> str:
        return format_html(
            '<img class="shop-picture" src="{}" alt="{}">', images.url(image=image, size=ImageSize.CARD), image.alt
        )


class PublicationFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "published"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Published"), ("later", "Scheduled"), ("no", "Draft"), ("archived", "Archived")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[models.Product]") -> "QuerySet[models.Product]":
        now = timezone.now()
        match self.value():
            case "yes":
                return queryset.filter(published_at__lte=now)
            case "later":
                return queryset.filter(published_at__gt=now)
            case "no":
                return queryset.filter(published_at=None, archived_at=None)
            case "archived":
                return queryset.exclude(archived_at=None)
        return queryset


@admin.register(models.Product)
class ProductAdmin(ModelAdmin[models.Product]):
    form = ProductForm
    list_per_page = 50
    list_display = ["picture", "title", "prices", "stock", "status", "vendor", "product_type"]
    list_display_links = ["picture", "title"]
    list_filter = [PublicationFilter, "vendor", "product_type", ("categories", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["title", "slug", "variants__sku"]
    autocomplete_fields = ["categories", "tags"]
    inlines = [VariantInline, ImageInline]
    actions = ["publish", "withdraw"]
    fieldsets = (
        (None, {"fields": ("title", "slug", "published_at", "description_html")}),
        ("Organisation", {"fields": ("categories", "tags", "vendor", "product_type")}),
        ("Options and tax", {"fields": ("option1_name", "option2_name", "option3_name", "tax_class")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # Products are created by import, with their variants and stock.

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # Products are unpublished instead.

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.Product]":
        tracked = models.Stock.objects.filter(variant__product=OuterRef("pk")).exclude(
            policy=models.StockPolicy.UNTRACKED
        )
        per_product = tracked.order_by().values("variant__product")
        left = per_product.annotate(sum=Sum(F("on_hand") - F("reserved"))).values("sum")
        return super().get_queryset(request).annotate(left=Subquery(left)).prefetch_related("images")

    def save_model(self, request: HttpRequest, obj: models.Product, form: Any, change: bool) -> None:
        locks.product(candidates=models.Product.objects.filter(pk=obj.pk))  # Imports write the same rows.
        if form.has_changed():
            super().save_model(request, obj, form, change)

    def save_related(
        self, request: HttpRequest, form: forms.ModelForm[models.Product], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        if not form.has_changed() and any(formset.has_changed() for formset in formsets):
            form.instance.save()  # Changed variants also give the product a new version.
        products.refresh_derived(product=form.instance)

    @admin.display(description="picture")
    def picture(self, product: models.Product) -> str:
        return display.thumbnail(next(iter(product.images.all()), None))

    @admin.display(description="price", ordering="min_price")
    def prices(self, product: models.Product) -> str:
        prices = (product.min_price, product.max_price)
        lowest, highest = (display.money(price, settings.SHOP_CURRENCY) for price in prices)
        return lowest if lowest == highest else f"{lowest.removesuffix(settings.SHOP_CURRENCY)}– {highest}"

    @admin.display(description="stock", ordering="left")
    def stock(self, product: Any) -> str:
        if product.left is None:
            return "not tracked"
        return display.badge("out of stock", "bad") if product.left <= 0 else f"{product.left:,}"

    @admin.display(description="status", ordering="published_at")
    def status(self, product: models.Product) -> str:
        if product.published_at is None:
            return display.badge("archived" if product.archived_at else "draft", "over")
        is_published_now = product.published_at <= timezone.now()
        return display.badge("published", "good") if is_published_now else display.badge("scheduled", "waiting")

    @admin.action(description="Publish the selected products", permissions=["change"])
    def publish(self, request: HttpRequest, chosen: "QuerySet[models.Product]") -> None:
        number = _update_products(request, chosen.filter(published_at=None), BulkUpdate(is_published=True))
        self.message_user(request, f"Published: {number}." if number else "They are already published.")

    @admin.action(description="Unpublish the selected products", permissions=["change"])
    def withdraw(self, request: HttpRequest, chosen: "QuerySet[models.Product]") -> None:
        number = _update_products(request, chosen.exclude(published_at=None), BulkUpdate(is_published=False))
        self.message_user(request, f"Unpublished: {number}." if number else "None of them is published.")


def _update_products(request: HttpRequest, chosen: "QuerySet[models.Product]", changes: BulkUpdate) -> int:
    keys = list(chosen.order_by("pk").values_list("pk", flat=True))
    for first in range(0, len(keys), products.MAX_AT_ONCE):
        batch = keys[first : first + products.MAX_AT_ONCE]
        products.update_many(
            product_ids=batch, changes=changes, actor=cast("models.User", request.user), now=timezone.now()
        )
    return len(keys)


@admin.register(models.Tag)
class TagAdmin(NamesProducts):
    search_fields = ["name"]


@admin.register(models.VariantPrice)
class VariantPriceAdmin(ModelAdmin[models.VariantPrice]):
    list_display = ["variant", "costs", "before"]
    list_filter = ["currency"]
    list_select_related = ["variant", "currency"]
    search_fields = ["variant__sku", "variant__product__title"]
    raw_id_fields = ["variant"]

    @admin.display(description="price", ordering="price")
    def costs(self, row: models.VariantPrice) -> str:
        return display.money(row.price, row.currency.code)

    @admin.display(description="compare-at price", ordering="compare_at_price")
    def before(self, row: models.VariantPrice) -> str:
        return "–" if row.compare_at_price is None else display.money(row.compare_at_price, row.currency.code)


class LeftFilter(admin.SimpleListFilter):
    title = "availability"
    parameter_name = "left"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("low", "Low or out of stock")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[models.Stock]") -> "QuerySet[models.Stock]":
        low = dashboard.low_stock().order_by().values("pk")
        return queryset.filter(pk__in=low) if self.value() == "low" else queryset


@admin.register(models.Stock)
class StockAdmin(ReadOnlyAdmin):
    list_display = ["goods", "variant", "left", "on_hand", "reserved", "policy"]
    list_display_links = ["goods", "variant"]
    list_select_related = ["variant__product"]
    search_fields = ["variant__sku", "variant__product__title"]
    list_filter = [LeftFilter, "policy"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.Stock]":
        stock: QuerySet[models.Stock] = super().get_queryset(request)
        return stock.annotate(free=F("on_hand") - F("reserved"))

    @admin.display(description="product", ordering="variant__product__title")
    def goods(self, stock: models.Stock) -> str:
        return f"{stock.variant.product.title} {stock.variant.title}".strip()

    @admin.display(description="available", ordering="free")
    def left(self, stock: models.Stock) -> str:
        return display.units(stock)
