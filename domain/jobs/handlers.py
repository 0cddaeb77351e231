"""The handlers of outbox messages, by kind. A handler delivers one message and may be called again for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from domain.accounts import accounts
from domain.base import mails, outbox, webhooks
from domain.base.money import quantize
from domain.catalog import images
from domain.importing import imports
from domain.payments import gateways, payments
from domain.sales import orders
from storefront.models import Order, Shipment, User


def _account_known(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    mails.send(template="account_known", to=payload["to"], key=key, link="/login")


def _account_unknown(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    mails.send(template="account_unknown", to=payload["to"], key=key, link="/register")


def _email_proof(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    """Sends nothing if the account was deleted, or no longer claims this e-mail."""
    user = User.objects.filter(pk=payload["user"], claimed_email=payload["to"]).first()
    if user:
        mails.send(template="email_proof", to=payload["to"], key=key, link=accounts.proof_link(user=user))


def _password_reset(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    user = User.objects.filter(pk=payload["user"], is_active=True).first()
    if user:
        mails.send(template="password_reset", to=payload["to"], key=key, link=accounts.reset_link(user=user))


def _order_mail(template: str) -> outbox.Handler:
    def deliver(payload: Mapping[str, Any], key: str, _: datetime) -> None:
        order = Order.objects.prefetch_related("lines").get(pk=payload["order"])
        link = f"/order?{urlencode({'receipt': orders.receipt(order=order)})}"
        more = payload.get("more", {})
        if shipment := payload.get("shipment"):
            more = {"shipment": Shipment.objects.get(pk=shipment)}
        mails.send(template=template, to=order.email, key=key, link=link, **_mail_context(order), **more)

    return deliver


def _mail_context(order: Order) -> dict[str, Any]:
    """The order's part of a mail's template context, with amounts formatted for readers."""

    def money(amount: Any) -> str:
        return f"{quantize(amount=amount, currency=order.currency)} {order.currency}"

    lines = [
        {"title": " · ".join(filter(None, (line.title, line.variant_title))), "quantity": line.quantity,
         "total": money(line.total)}
        for line in order.lines.all()
    ]  # fmt: skip
    parts = [("Subtotal", order.subtotal), ("Discount", -order.discount), (order.shipping_method, order.shipping)]
    if not order.prices_include_tax:
        parts.append(("Tax", order.tax))
    return {
        "order": order,
        "lines": lines,
        "parts": [(name, money(amount)) for name, amount in parts if amount or name == order.shipping_method],
        "total": money(order.total),
        "tax": money(order.tax) if order.tax and order.prices_include_tax else "",
    }


HANDLERS: dict[str, outbox.Handler] = {
    "account_known": _account_known,
    "account_unknown": _account_unknown,
    "email_proof": _email_proof,
    "password_reset": _password_reset,
    webhooks.KIND: webhooks.deliver,
    payments.EVENT: payments.process_event,
    payments.UNVERIFIED_EVENT: payments.verify_event,
    gateways.TEST_EVENT: payments.receive_test,
    images.RENDER: images.on_render,
    images.DISCARD: images.on_discard,
    imports.KIND: imports.process_slice,
    **{
        kind: _order_mail(kind)
        for kind in (
            "order_placed",
            "order_paid",
            "order_shipped",
            "order_refunded",
            "order_cancelled",
            "order_expired",
            "payment_failed",
        )
    },
}
