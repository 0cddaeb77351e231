"""Shipping, taxes, discount codes and currencies."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget

from domain.base import contact
from storefront import models
from storefront.admin.base import ModelAdmin, TabularInline
from storefront.admin.read_only import ReadOnlyInline
from storefront.templatetags import display


class ShowsPrices:
    """Columns with the prices of a shipping method."""

    @admin.display(description="price", ordering="price")
    def costs(self, method: models.ShippingMethod) -> str:
        return display.money(method.price, settings.SHOP_CURRENCY)

    @admin.display(description="free from", ordering="free_from")
    def is_free_from(self, method: models.ShippingMethod) -> str:
        return "–" if method.free_from is None else display.money(method.free_from, settings.SHOP_CURRENCY)


class ShippingMethodInline(ShowsPrices, ReadOnlyInline):
    model = models.ShippingMethod
    fields = ["name", "costs", "is_free_from", "estimate", "is_active"]
    readonly_fields = ["costs", "is_free_from"]
    show_change_link = True


def countries() -> list[tuple[str, str]]:
    """Form choices: the countries that the shop sells to."""
    names = ((code, contact.country_name(country_code=code)) for code in settings.SHOP_COUNTRIES)
    return sorted(((code, f"{name} ({code})") for code, name in names), key=lambda choice: choice[1])


class ShippingZoneForm(forms.ModelForm[models.ShippingZone]):
    countries = forms.MultipleChoiceField(
        choices=countries,
        required=False,
        widget=FilteredSelectMultiple("countries", is_stacked=False),
        help_text="Leave empty for all countries that the shop sells to.",
    )


@admin.register(models.ShippingZone)
class ShippingZoneAdmin(ModelAdmin[models.ShippingZone]):
    form = ShippingZoneForm
    list_display = ["name", "where"]
    search_fields = ["name", "countries"]
    inlines = [ShippingMethodInline]

    @admin.display(description="countries")
    def where(self, zone: models.ShippingZone) -> str:
        return ", ".join(zone.countries) or "all countries of the shop"


class WeightBandInline(TabularInline[models.WeightBand, models.ShippingMethod]):
    model = models.WeightBand
    extra = 0


@admin.register(models.ShippingMethod)
class ShippingMethodAdmin(ShowsPrices, ModelAdmin[models.ShippingMethod]):
    list_display = ["name", "zone", "costs", "is_free_from", "estimate", "is_active", "position"]
    list_filter = ["zone", "is_active"]
    list_select_related = ["zone"]
    inlines = [WeightBandInline]


@admin.register(models.TaxClass)
class TaxClassAdmin(ModelAdmin[models.TaxClass]):
    search_fields = ["name"]


class TaxRateForm(forms.ModelForm[models.TaxRate]):
    country_code = forms.ChoiceField(label="Country", choices=countries, widget=UnfoldAdminSelectWidget)


@admin.register(models.TaxRate)
class TaxRateAdmin(ModelAdmin[models.TaxRate]):
    form = TaxRateForm
    list_display = ["country_code", "region", "tax_class", "name", "rate"]
    list_display_links = ["country_code", "name"]
    list_filter = ["tax_class"]
    list_select_related = ["tax_class"]
    search_fields = ["=country_code", "=region", "name"]

    @admin.display(description="rate", ordering="percent")
    def rate(self, tax: models.TaxRate) -> str:
        return display.percent(tax.percent)


@admin.register(models.Discount)
class DiscountAdmin(ModelAdmin[models.Discount]):
    list_display = ["code", "takes_off", "starts_at", "ends_at", "used", "max_uses", "is_active"]
    list_filter = ["kind", "is_active"]
    search_fields = ["code"]
    autocomplete_fields = ["products", "categories"]
    fieldsets = (
        (None, {"fields": ("code", "kind", "value", "is_active")}),
        ("Conditions", {"fields": ("minimum_total", "products", "categories")}),
        ("Validity and limits", {"fields": ("starts_at", "ends_at", "max_uses", "max_uses_per_customer")}),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.Discount]":
        active_uses = Count("uses", filter=Q(uses__given_back_at=None))
        return super().get_queryset(request).annotate(times_used=active_uses)

    @admin.display(description="discount", ordering="kind")
    def takes_off(self, discount: models.Discount) -> str:
        match discount.kind:
            case models.DiscountKind.PERCENTAGE:
                return display.percent(discount.value)
            case models.DiscountKind.FIXED:
                return display.money(discount.value, settings.SHOP_CURRENCY)
        return discount.get_kind_display()

    @admin.display(description="uses", ordering="times_used")
    def used(self, discount: Any) -> int:
        return int(discount.times_used)


@admin.register(models.Currency)
class CurrencyAdmin(ModelAdmin[models.Currency]):
    list_display = ["code", "one_buys", "is_active"]

    @admin.display(description="exchange rate", ordering="rate")
    def one_buys(self, currency: models.Currency) -> str:
        return f"1 {settings.SHOP_CURRENCY} = {currency.rate.normalize():f} {currency.code}"

    def get_readonly_fields(self, request: HttpRequest, obj: models.Currency | None = None) -> list[str]:
        return ["code"] if obj else []
