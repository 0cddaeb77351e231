"""What happens in the shop, told to its owner's systems: signed, whole, at least once, and kept in a log."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from domain.base import outbox, public_http, webhooks
from domain.catalog import stock
from domain.jobs.handlers import HANDLERS
from domain.sales import fulfilment, orders
from storefront.models import OutboxMessage, StockPolicy, WebhookDelivery, WebhookEndpoint, WebhookTopic
from tests.factories import NOW, ProductFactory, ShippingMethodFactory, VariantFactory

pytestmark = pytest.mark.django_db


class Receiver:
    """A system of the owner's: remembers what it got, and answers as it is told to."""

    def __init__(self):
        self.got, self.status = [], 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers), body.decode()))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *given):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks?key=of-theirs"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self):
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_PRIVATE_TARGETS = True
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def endpoint(receiver):
    topics = [topic for topic in WebhookTopic if topic != WebhookTopic.TEST]
    return WebhookEndpoint.objects.create(url=receiver.url, topics=topics)


def relay(now=NOW):
    handlers = {kind: lambda *_: None for kind in HANDLERS} | {webhooks.KIND: webhooks.deliver}
    outbox.relay(handlers=handlers, clock=lambda: now)


def test_an_orders_way_is_told_step_by_step(endpoint, receiver, paid_order):
    variant = VariantFactory(product=ProductFactory(title="Lampe für „Ö“"), price=Decimal("59.50"), sku="LAMP")
    order = paid_order({variant: 2}, shipping=ShippingMethodFactory(name="Post", price=Decimal("4.90")))
    fulfilment.ship(order_id=order.pk, carrier="DHL", tracking_number="0034", actor=None, now=NOW)
    fulfilment.mark_delivered(order_id=order.pk, actor=None, now=NOW)
    relay()
    topics = [body["type"] for body in receiver.bodies()]
    assert topics == ["order.placed", "order.paid", "order.shipped", "order.delivered"]
    placed, _, shipped, _ = (body["data"]["order"] for body in receiver.bodies())
    assert (placed["number"], placed["state"], placed["total"], placed["currency"]) == (
        order.number,
        "AWAITING_PAYMENT",
        "123.90",
        "EUR",
    )
    assert placed["lines"][0] | {"net": "", "tax": ""} == {
        "sku": "LAMP",
        "title": "Lampe für „Ö“",
        "variantTitle": "",
        "quantity": 2,
        "unitPrice": "59.50",
        "net": "",
        "tax": "",
    }
    assert placed["shippingAddress"]["postalCode"] == "20457"
    assert shipped["shipments"] == [{"carrier": "DHL", "trackingNumber": "0034", "trackingUrl": ""}]


def test_an_order_that_is_given_up_is_told(endpoint, receiver, placed_order):
    cancelled, expired = placed_order({VariantFactory(): 1}), placed_order({VariantFactory(): 1})
    orders.cancel(order_id=cancelled.pk, viewer=None, receipt=orders.receipt(order=cancelled), now=NOW)
    orders.expire(order_id=expired.pk, now=NOW)
    relay()
    told = [(body["type"], body["data"]["order"]["number"]) for body in receiver.bodies()]
    assert told[2:] == [("order.cancelled", cancelled.number), ("order.expired", expired.number)]


def test_signature_is_that_of_the_specification():
    """The example of Svix's and Standard Webhooks' own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = webhooks.sign(
        secret=secret, id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body='{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_arrives_can_be_checked_with_the_secret(endpoint, receiver):
    webhooks.queue_test(endpoint=endpoint, now=NOW)
    relay()
    ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    key = base64.b64decode(endpoint.secret.removeprefix("whsec_"))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert int(headers["webhook-timestamp"]) == int(NOW.timestamp())
    assert json.loads(body)["type"] == "test"


def test_only_what_an_endpoint_wants_is_told_and_nothing_while_it_is_off(receiver, placed_order):
    endpoint = WebhookEndpoint.objects.create(url=receiver.url, topics=["order.paid"])
    placed_order({VariantFactory(): 1})
    assert not WebhookDelivery.objects.exists()
    WebhookEndpoint.objects.update(topics=["order.placed"])
    placed_order({VariantFactory(): 1})
    WebhookEndpoint.objects.update(is_active=False)
    placed_order({VariantFactory(): 1})
    assert endpoint.deliveries.count() == 1
    relay()
    assert receiver.got == []


def test_a_failure_is_sent_again_later_the_same_and_signed_anew(endpoint, receiver):
    receiver.status = 500
    webhooks.queue_test(endpoint=endpoint, now=NOW)
    relay()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.attempts, delivery.status, delivery.delivered_at) == (1, 500, None)
    relay(NOW + timedelta(seconds=29))
    assert len(receiver.got) == 1
    receiver.status = 200
    later = NOW + timedelta(seconds=30)
    relay(later)
    (first, body), (second, same) = receiver.got
    assert (body, first["webhook-id"]) == (same, second["webhook-id"])
    assert first["webhook-signature"] != second["webhook-signature"]
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.status, delivery.delivered_at) == (2, 200, later)


def test_it_is_tried_for_hours_and_then_staff_can_send_it_again(endpoint, receiver):
    receiver.status = 410
    webhooks.queue_test(endpoint=endpoint, now=NOW)
    now = NOW
    while (message := OutboxMessage.objects.get()).given_up_at is None:
        now = max(now, message.due_at)
        relay(now)
    assert now - NOW > timedelta(hours=8)
    receiver.status = 200
    webhooks.resend(deliveries=[WebhookDelivery.objects.get().pk], now=now)
    relay(now)
    assert WebhookDelivery.objects.get().delivered_at == now


def test_an_endpoint_that_hangs_is_left_alone_for_a_minute(endpoint, monkeypatch):
    tried = []

    def hang(url, **_):
        tried.append(url)
        raise public_http.NoResponse("No answer in time.")

    monkeypatch.setattr(public_http, "post", hang)
    for _ in range(3):
        webhooks.queue_test(endpoint=endpoint, now=NOW)
    relay()
    assert len(tried) == 1
    relay(NOW + timedelta(minutes=2))
    assert len(tried) == 2


def test_mails_go_before_webhooks(endpoint):
    webhooks.queue_test(endpoint=endpoint, now=NOW)
    outbox.put(kind="mail", payload={}, now=NOW + timedelta(seconds=1))
    went = []
    handlers = {kind: lambda payload, key, now, kind=kind: went.append(kind) for kind in ("mail", webhooks.KIND)}
    outbox.relay(handlers=handlers, clock=lambda: NOW + timedelta(minutes=1))
    assert went == ["mail", webhooks.KIND]


def test_a_target_that_is_private_is_never_reached(endpoint, receiver, settings):
    settings.WEBHOOK_PRIVATE_TARGETS = False
    WebhookEndpoint.objects.update(url=receiver.url.replace("http:", "https:"))
    webhooks.queue_test(endpoint=endpoint, now=NOW)
    relay()
    assert receiver.got == []
    assert WebhookDelivery.objects.get().answer == "The address has to be on the public Internet."


def test_little_stock_is_told_once_when_it_comes_to_be_little(endpoint, receiver, placed_order):
    WebhookEndpoint.objects.update(topics=["stock.low"])
    variant = VariantFactory(stock__on_hand=6, sku="LAMP")
    many = VariantFactory(stock__on_hand=600)
    free = VariantFactory(stock__on_hand=4, stock__policy=StockPolicy.UNTRACKED)
    for quantity in (2, 1, 1):
        placed_order({variant: quantity, many: 1, free: 1})
    relay()
    assert [body["data"] for body in receiver.bodies()] == [{"sku": "LAMP", "available": 3}]
    stock.record_count(variants={variant: (StockPolicy.DENY, 50)}, actor=None, now=NOW)
    stock.record_count(variants={variant: (StockPolicy.DENY, 5)}, actor=None, now=NOW)
    relay()
    assert [body["data"] for body in receiver.bodies()[1:]] == [{"sku": "LAMP", "available": 1}]


def test_nothing_is_told_of_what_was_rolled_back(endpoint, placed_order):
    with pytest.raises(stock.InsufficientStock):
        placed_order({VariantFactory(stock__on_hand=1): 2})
    assert not WebhookDelivery.objects.exists()


def test_the_log_is_kept_for_a_fortnight(endpoint):
    webhooks.queue_test(endpoint=endpoint, now=NOW)
    assert webhooks.prune(now=NOW + timedelta(days=13)) == 0
    assert webhooks.prune(now=NOW + timedelta(days=14)) == 1
    relay()  # Its message finds nothing, and is done.
    assert OutboxMessage.objects.get().delivered_at == NOW
