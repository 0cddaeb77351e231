"""The staff's pages. What has rules (stock, orders, payments) is shown here and changed by the domain."""

from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from domain import accounts, catalog, contact, locks, orders, outbox, public_http, webhooks
from storefront import models

admin.site.site_header = admin.site.site_title = settings.SHOP_NAME
admin.site.index_title = "The shop"


class ReadOnlyInline(admin.TabularInline[Any, Any]):
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SessionInline(ReadOnlyInline):
    model = models.Session
    fields = ["user_agent", "created_at", "last_used_at", "expires_at"]


class SavedAddressInline(ReadOnlyInline):
    model = models.SavedAddress
    fields = ["address", "created_at"]


@admin.register(models.User)
class UserAdmin(BaseUserAdmin[models.User]):
    list_display = ["__str__", "name", "proven", "is_staff", "is_active", "joined_at"]
    ordering = ["-joined_at"]
    search_fields = ["email", "claimed_email", "name"]
    list_filter = ["is_staff", "is_active"]
    readonly_fields = ["claimed_email", "joined_at", "last_login"]
    fieldsets = (
        (None, {"fields": ("email", "claimed_email", "name", "password")}),
        ("What they may do", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("When", {"fields": ("joined_at", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)
    actions = ["forget"]
    inlines = [SavedAddressInline, SessionInline]

    def get_inlines(self, request: HttpRequest, obj: models.User | None) -> list[Any]:
        return self.inlines if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # Orders and the stock's history name people: they are forgotten, not deleted.

    def has_forget_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("storefront.delete_user")

    @admin.display(description="e-mail proven", boolean=True)
    def proven(self, user: models.User) -> bool:
        return user.email is not None

    @admin.action(description="Forget the selected people; their orders stay", permissions=["forget"])
    def forget(self, request: HttpRequest, users: "QuerySet[models.User]") -> None:
        for user in users:
            if user != request.user:  # Whoever goes by mistake cannot come back to mend it.
                accounts.forget(user=user)


class NamesProducts(admin.ModelAdmin[Any]):
    """A row whose name its products are found by."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for product in obj.products.all() if change else ():
            catalog.refresh(product)


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
        super().save_model(request, obj, form, change)

    def save_related(
        self, request: HttpRequest, form: forms.ModelForm[models.Product], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        catalog.refresh(form.instance)


@admin.register(models.Tag)
class TagAdmin(NamesProducts):
    search_fields = ["name"]


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


class OrderLineInline(ReadOnlyInline):
    model = models.OrderLine
    fields = ["sku", "title", "variant_title", "quantity", "unit_price", "total", "discount", "net", "tax"]


class PaymentInline(ReadOnlyInline):
    model = models.Payment
    fields = ["created_at", "provider", "state", "amount", "currency", "reference", "failure"]


class ShipmentInline(ReadOnlyInline):
    model = models.Shipment
    fields = ["shipped_at", "carrier", "tracking_number", "tracking_url"]
    readonly_fields = ["tracking_url"]  # A link, and no widget for one.


class OrderEventInline(ReadOnlyInline):
    model = models.OrderEvent
    fields = ["at", "kind", "message", "actor"]


@admin.register(models.Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ["number", "state", "email", "total", "currency", "placed_at"]
    list_filter = ["state", "events__kind"]
    search_fields = ["number", "email", "=discount_uses__discount__code"]
    ordering = ["-placed_at"]
    exclude = ["cart", "price_trace"]
    readonly_fields = ["how_the_total_came_about"]
    inlines = [OrderLineInline, PaymentInline, ShipmentInline, OrderEventInline]

    @admin.display
    def how_the_total_came_about(self, order: models.Order) -> str:
        rows = (
            (
                step.label,
                "" if step.rate is None else f"{step.rate.normalize():f} % of {step.base}",
                f"({step.amount} included)" if step.included else str(step.amount),
            )
            for step in orders.trace(order)
        )
        return format_html("<table>{}</table>", format_html_join("", "<tr><td>{}<td>{}<td>{}</tr>", rows))


@admin.register(models.OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """What is owed. Those that were given up are the dead letters: see to the cause, then have them tried again."""

    list_display = ["kind", "created_at", "attempts", "due_at", "delivered_at", "given_up_at", "error"]
    list_filter = [("given_up_at", admin.EmptyFieldListFilter), ("delivered_at", admin.EmptyFieldListFilter), "kind"]
    actions = ["requeue"]

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("storefront.change_outboxmessage")

    @admin.action(description="Try the selected dead letters again", permissions=["requeue"])
    def requeue(self, request: HttpRequest, messages: "QuerySet[models.OutboxMessage]") -> None:
        requeued = outbox.requeue(messages=list(messages.values_list("pk", flat=True)), now=timezone.now())
        self.message_user(request, f"{requeued} will be tried again.")


class WebhookEndpointForm(forms.ModelForm[models.WebhookEndpoint]):
    url = forms.URLField(label="URL", max_length=500, assume_scheme="https")
    topics = forms.MultipleChoiceField(
        label="Wants to know that",
        choices=[choice for choice in models.WebhookTopic.choices if choice[0] != models.WebhookTopic.TEST],
        widget=forms.CheckboxSelectMultiple,
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            public_http.check(url)
        except public_http.NotPublic as error:
            raise forms.ValidationError(str(error)) from None
        return url


@admin.register(models.WebhookEndpoint)
class WebhookEndpointAdmin(admin.ModelAdmin[models.WebhookEndpoint]):
    """Systems that are told what happens: docs/webhooks.md says how they check that it was us."""

    form = WebhookEndpointForm
    list_display = ["__str__", "topics", "is_active"]
    change_form_template = "admin/webhook_endpoint.html"
    actions = ["send_test"]

    def get_fields(self, request: HttpRequest, obj: models.WebhookEndpoint | None = None) -> list[Any]:
        return ["url", "topics", "is_active", *(["signing_secret", "log"] if obj else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: models.WebhookEndpoint | None = None) -> list[str]:
        return ["signing_secret", "log"] if obj else []

    @admin.display(description="secret to check signatures with")
    def signing_secret(self, endpoint: models.WebhookEndpoint) -> str:
        return endpoint.secret

    @admin.display(description="what was sent")
    def log(self, endpoint: models.WebhookEndpoint) -> str:
        page = reverse("admin:storefront_webhookdelivery_changelist")
        number = endpoint.deliveries.count()
        return format_html('<a href="{}?endpoint__id__exact={}">{} events</a>', page, endpoint.pk, number)

    def response_change(self, request: HttpRequest, obj: models.WebhookEndpoint) -> HttpResponse:
        if "_test" not in request.POST:
            return super().response_change(request, obj)
        self.send_test(request, models.WebhookEndpoint.objects.filter(pk=obj.pk))
        return HttpResponseRedirect(request.path)

    def has_view_permission(self, request: HttpRequest, obj: models.WebhookEndpoint | None = None) -> bool:
        return self.has_change_permission(request, obj)  # Who sees the secret can speak in the shop's name.

    @admin.action(description="Send the selected endpoints a test", permissions=["change"])
    def send_test(self, request: HttpRequest, endpoints: "QuerySet[models.WebhookEndpoint]") -> None:
        for endpoint in endpoints:
            transaction.on_commit(partial(webhooks.test, endpoint=endpoint, now=timezone.now()))
        self.message_user(request, "A test is on its way: what was sent shows how it was taken.")


@admin.register(models.WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "topic", "endpoint", "attempts", "status", "answer", "delivered_at"]
    list_filter = ["endpoint", "topic", ("delivered_at", admin.EmptyFieldListFilter)]
    list_select_related = ["endpoint"]
    actions = ["send_again"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("storefront.change_webhookdelivery")

    @admin.action(description="Send the selected events again", permissions=["send"])
    def send_again(self, request: HttpRequest, deliveries: "QuerySet[models.WebhookDelivery]") -> None:
        webhooks.send_again(deliveries=list(deliveries.values_list("pk", flat=True)), now=timezone.now())
        self.message_user(request, "They will be sent again, with the ids they had.")
