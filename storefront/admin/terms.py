"""What a sale costs: shipping, taxes, codes, currencies."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from domain import contact
from storefront import models
from storefront.admin.read_only import ReadOnlyInline


class ShippingMethodInline(ReadOnlyInline):
    model = models.ShippingMethod
    fields = ["name", "price", "free_from", "estimate", "is_active"]
    show_change_link = True


def countries() -> list[tuple[str, str]]:
    """Those that the shop sells to, to choose from."""
    names = ((code, contact.country_name(code)) for code in settings.SHOP_COUNTRIES)
    return sorted(((code, f"{name} ({code})") for code, name in names), key=lambda choice: choice[1])


class ShippingZoneForm(forms.ModelForm[models.ShippingZone]):
    countries = forms.MultipleChoiceField(
        choices=countries,
        required=False,
        widget=FilteredSelectMultiple("countries", is_stacked=False),
        help_text="None chosen: wherever the shop sells.",
    )


@admin.register(models.ShippingZone)
class ShippingZoneAdmin(admin.ModelAdmin[models.ShippingZone]):
    form = ShippingZoneForm
    list_display = ["name", "where"]
    search_fields = ["name", "countries"]
    inlines = [ShippingMethodInline]

    @admin.display(description="countries")
    def where(self, zone: models.ShippingZone) -> str:
        return ", ".join(zone.countries) or "wherever the shop sells"


class WeightBandInline(admin.TabularInline[models.WeightBand, models.ShippingMethod]):
    model = models.WeightBand
    extra = 0


@admin.register(models.ShippingMethod)
class ShippingMethodAdmin(admin.ModelAdmin[models.ShippingMethod]):
    list_display = ["name", "zone", "price", "free_from", "estimate", "is_active", "position"]
    list_filter = ["zone", "is_active"]
    list_select_related = ["zone"]
    inlines = [WeightBandInline]


@admin.register(models.TaxClass)
class TaxClassAdmin(admin.ModelAdmin[models.TaxClass]):
    search_fields = ["name"]


class TaxRateForm(forms.ModelForm[models.TaxRate]):
    country_code = forms.ChoiceField(label="Country", choices=countries)


@admin.register(models.TaxRate)
class TaxRateAdmin(admin.ModelAdmin[models.TaxRate]):
    form = TaxRateForm
    list_display = ["country_code", "region", "tax_class", "name", "percent"]
    list_display_links = ["country_code", "name"]
    list_filter = ["tax_class"]
    list_select_related = ["tax_class"]
    search_fields = ["=country_code", "=region", "name"]


@admin.register(models.Discount)
class DiscountAdmin(admin.ModelAdmin[models.Discount]):
    list_display = ["code", "kind", "value", "starts_at", "ends_at", "used", "max_uses", "is_active"]
    list_filter = ["kind", "is_active"]
    search_fields = ["code"]
    autocomplete_fields = ["products", "categories"]
    fieldsets = (
        (None, {"fields": ("code", "kind", "value", "is_active")}),
        ("For which goods", {"fields": ("minimum_total", "products", "categories")}),
        ("When and how often", {"fields": ("starts_at", "ends_at", "max_uses", "max_uses_per_customer")}),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.Discount]":
        counting = Count("uses", filter=Q(uses__given_back_at=None))
        return super().get_queryset(request).annotate(times_used=counting)

    @admin.display(description="used", ordering="times_used")
    def used(self, discount: Any) -> int:
        return int(discount.times_used)


@admin.register(models.Currency)
class CurrencyAdmin(admin.ModelAdmin[models.Currency]):
    list_display = ["code", "rate", "is_active"]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Currency | None = None) -> list[str]:
        return ["code"] if obj else []
