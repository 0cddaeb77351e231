"""What `domain.outbox` owes, by kind: each handler delivers one message, and may be called with it again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from domain import accounts, gateways, images, imports, mails, orders, outbox, payments, webhooks
from domain.money import quantize
from storefront.models import Order, Shipment, User


def _account_known(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    mails.send("account_known", to=payload["to"], key=key, link="/login")


def _account_unknown(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    mails.send("account_unknown", to=payload["to"], key=key, link="/register")


def _email_proof(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    """Unless the account is gone, or has proven its e-mail or claims another by now."""
    user = User.objects.filter(pk=payload["user"], claimed_email=payload["to"]).first()
    if user:
        mails.send("email_proof", to=payload["to"], key=key, link=accounts.proof_link(user))


def _password_reset(payload: Mapping[str, Any], key: str, _: datetime) -> None:
    user = User.objects.filter(pk=payload["user"], is_active=True).first()
    if user:
        mails.send("password_reset", to=payload["to"], key=key, link=accounts.reset_link(user))


def _of_order(template: str) -> outbox.Handler:
    def deliver(payload: Mapping[str, Any], key: str, _: datetime) -> None:
        order = Order.objects.prefetch_related("lines").get(pk=payload["order"])
        link = f"/order?{urlencode({'receipt': orders.receipt(order)})}"
        more = payload.get("more", {})
        if shipment := payload.get("shipment"):
            more = {"shipment": Shipment.objects.get(pk=shipment)}
        mails.send(template, to=order.email, key=key, link=link, **_told(order), **more)

    return deliver


def _told(order: Order) -> dict[str, Any]:
    """What a mail tells of an order, amounts as people read them."""

    def money(amount: Any) -> str:
        return f"{quantize(amount, order.currency)} {order.currency}"

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
    payments.EVENT: payments.look_into,
    payments.UNVERIFIED: payments.verify,
    gateways.TEST_EVENT: payments.receive_test,
    images.RENDER: images.on_render,
    images.DISCARD: images.on_discard,
    imports.KIND: imports.work,
    **{
        kind: _of_order(kind)
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
