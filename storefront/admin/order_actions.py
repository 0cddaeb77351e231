"""The actions of staff on orders. Each has its own form and calls the domain.

Django's own change pages save inside a transaction, which the domain's functions refuse. So these are separate views
without a transaction.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold import widgets

from domain.base.errors import DomainError, RequestIdReused
from domain.payments import refunds
from domain.sales import fulfilment, orders
from storefront import models
from storefront.templatetags.display import money


class OrderAction(forms.Form):
    """An action on an order: its form fields, its permission, when it is offered, and how it is performed."""

    name: ClassVar[str]
    title: ClassVar[str]
    icon: ClassVar[str]
    explanation: ClassVar[str]
    permission: ClassVar[str] = "storefront.change_order"
    is_dangerous: ClassVar[bool] = False
    do_not_call_in_templates = True  # Templates show the class itself as a button.

    def __init__(self, *args: Any, order: models.Order, **options: Any) -> None:
        super().__init__(*args, **options)
        self.order = order

    @staticmethod
    def is_offered(order: models.Order) -> bool:
        raise NotImplementedError

    def perform(self, *, actor: models.User, now: datetime) -> str:
        """Performs the action and returns a success message. Raises the errors of the domain."""
        raise NotImplementedError

    def done(self, *, actor: models.User, now: datetime) -> str | None:
        """Performs the action and returns a success message. On failure, adds errors to the form and returns None."""
        try:
            return self.perform(actor=actor, now=now)
        except* DomainError as group:
            for error in _flatten(group):
                field = error.field[0] if error.field else ""
                self.add_error(field if field in self.fields else None, error.message)
        return None


def _flatten(group: BaseExceptionGroup[DomainError]) -> Iterable[DomainError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flatten(error)
        else:
            yield error


class Ship(OrderAction):
    name, title, icon = "ship", "Ship", "local_shipping"
    explanation = "Records a parcel that has left. The buyer gets a mail with the tracking number."

    carrier = forms.CharField(max_length=100, widget=widgets.UnfoldAdminTextInputWidget)
    tracking_number = forms.CharField(max_length=100, widget=widgets.UnfoldAdminTextInputWidget)
    tracking_url = forms.URLField(
        label="Tracking URL",
        max_length=500,
        required=False,
        assume_scheme="https",
        widget=widgets.UnfoldAdminURLInputWidget,
        help_text="The carrier's tracking page for this parcel, if there is one.",
    )

    @staticmethod
    def is_offered(order: models.Order) -> bool:
        return order.state in {models.OrderState.PAID, models.OrderState.SHIPPED}

    def perform(self, *, actor: models.User, now: datetime) -> str:
        fulfilment.ship(order_id=self.order.pk, **self.cleaned_data, actor=actor, now=now)
        return f"The parcel {self.cleaned_data['carrier']} {self.cleaned_data['tracking_number']} is recorded."


class Deliver(OrderAction):
    name, title, icon = "deliver", "Mark as delivered", "where_to_vote"
    explanation = "Records that the buyer has received the order."

    @staticmethod
    def is_offered(order: models.Order) -> bool:
        return order.state == models.OrderState.SHIPPED

    def perform(self, *, actor: models.User, now: datetime) -> str:
        fulfilment.mark_delivered(order_id=self.order.pk, actor=actor, now=now)
        return "The order is marked as delivered."


class Refund(OrderAction):
    name, title, icon = "refund", "Refund", "undo"
    explanation = "Refunds a payment by the method it was made with. A full refund closes the order."
    permission = "storefront.add_refund"
    is_dangerous = True

    # Part of the page, so that a double click or a resent form refunds only once.
    request_id = forms.CharField(max_length=100, widget=forms.HiddenInput)
    payment_id = forms.TypedChoiceField(label="Payment", coerce=UUID, widget=widgets.UnfoldAdminSelectWidget)
    amount = forms.DecimalField(
        max_digits=14,
        decimal_places=3,
        min_value=0,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"}),
        help_text="Leave empty to refund all that is left of the payment.",
    )
    reason = forms.CharField(
        max_length=2000,
        required=False,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Saved in the order's history.",
    )
    restock = forms.BooleanField(
        label="Restock the items",
        required=False,
        initial=True,
        widget=widgets.UnfoldBooleanSwitchWidget,
        help_text="Only for a full refund. If this is off, the items are written off.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        payments = sorted(_succeeded_payments(self.order), key=lambda payment: payment.amount == payment.refunded)
        self.fields["payment_id"].choices = [  # type: ignore[attr-defined]
            (
                str(payment.pk),
                f"{money(payment.amount - payment.refunded, payment.currency)} left ({payment.get_provider_display()})",
            )
            for payment in payments
        ]
        self.fields["request_id"].initial = uuid4().hex

    @staticmethod
    def is_offered(order: models.Order) -> bool:
        return any(payment.refunded < payment.amount for payment in _succeeded_payments(order))

    def perform(self, *, actor: models.User, now: datetime) -> str:
        try:
            refund = refunds.refund(**self.cleaned_data, actor=actor, now=now)
        except RequestIdReused:
            self._renew_request_id()
            raise DomainError(
                "This page has already refunded another amount. Click Refund again to refund this amount too."
            ) from None
        amount = money(refund.amount, self.order.currency)
        if refund.state == models.PaymentState.FAILED:
            self._renew_request_id()
            raise DomainError(f"{amount} could not be refunded: {refund.failure}")
        if refund.state == models.PaymentState.SUCCEEDED:
            return f"{amount} refunded."
        return f"The refund of {amount} is pending: the gateway has not answered yet. The shop will try again."

    def _renew_request_id(self) -> None:
        """Sets a new request id, so that the next click makes a new refund instead of returning the last one."""
        self.data = {**self.data, "request_id": uuid4().hex}


def _succeeded_payments(order: models.Order) -> list[models.Payment]:
    return [payment for payment in order.payments.all() if payment.state == models.PaymentState.SUCCEEDED]


class Cancel(OrderAction):
    name, title, icon = "cancel", "Cancel order", "cancel"
    explanation = "Cancels the order and releases its reserved stock. The buyer gets a mail."
    is_dangerous = True

    reason = forms.CharField(
        max_length=2000,
        required=False,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Saved in the order's history.",
    )

    @staticmethod
    def is_offered(order: models.Order) -> bool:
        return order.state == models.OrderState.AWAITING_PAYMENT

    def perform(self, *, actor: models.User, now: datetime) -> str:
        orders.cancel(order_id=self.order.pk, viewer=actor, reason=self.cleaned_data["reason"], now=now)
        return "The order has been cancelled."


# In order of likelihood: the first offered action is the usual next step.
ACTIONS: list[type[OrderAction]] = [Deliver, Ship, Refund, Cancel]


def offered(order: models.Order, viewer: Any) -> list[type[OrderAction]]:
    """The actions that the viewer may perform on the order in its current state."""
    return [action for action in ACTIONS if action.is_offered(order) and viewer.has_perm(action.permission)]


def view(action: type[OrderAction]) -> Callable[[HttpRequest, UUID], HttpResponse]:
    """The view of an action: GET shows the form, POST performs the action."""

    def act(request: HttpRequest, order_id: UUID) -> HttpResponse:
        viewer: Any = request.user
        if not (viewer.has_perm("storefront.view_order") and viewer.has_perm(action.permission)):
            raise PermissionDenied
        order = models.Order.objects.filter(pk=order_id).prefetch_related("payments").first()
        if order is None:
            raise Http404
        page = reverse("admin:storefront_order_change", args=[order.pk])
        form = action(request.POST if request.method == "POST" else None, order=order)
        if form.is_valid() and (message := form.done(actor=viewer, now=timezone.now())):
            messages.success(request, message)
            return HttpResponseRedirect(page)
        context = {
            **admin.site.each_context(request),
            "title": f"{action.title}: order {order.number}",
            "action": action,
            "form": form,
            "order": order,
            "page": page,
        }
        return TemplateResponse(request, "admin/order_action.html", context)

    return act
