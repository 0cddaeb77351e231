"""Payment gateways' HTTP, as far as we use it, over a real socket: idempotency keys, cards that are declined, refunds
that are refused, answers that are lost or late. Each keeps books of its own, to be compared with ours.

A buyer does the same at each: they `agree`, so that the shop can finish, or `pay` without coming back. What the gateway
would send us of it is `event_of(payment, kind)`: body and headers, of paid, refunded or opened. `books()` has of each
payment that took money, by our id, what was taken and given back.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
import zlib
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qsl, urlsplit

from domain.base.money import exponent
from domain.payments.gateways import paypal


class Refused(Exception):
    def __init__(self, status, body):
        self.status, self.body = status, body


class FakeGateway:
    """`lose` and `hang` are for the answers to come: True to lose one, seconds to keep one back."""

    secret = "secret_of_the_fake"
    key_header = "Idempotency-Key"

    def __init__(self):
        self._answered = {}
        self.lose, self.hang = deque(), deque()
        self.refunds_wait = False
        self.taken = self.asked = 0
        self._lock, self._ids = threading.Lock(), count(1)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._answer(b"")

            def do_POST(self):
                self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

            def _answer(self, raw):
                status, body = fake._handle(self.command, self.path, raw, self.headers)
                if fake.hang:
                    time.sleep(fake.hang.popleft())
                if fake.lose and fake.lose.popleft():
                    self.close_connection = True
                    self.connection.close()
                    return
                sent = json.dumps(body, default=float).encode()
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(sent)))
                    self.end_headers()
                    self.wfile.write(sent)

            def log_message(self, *given):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *given):  # A connection that was lost on purpose.
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def use(self, settings):
        """Has the shop take money by this one."""
        settings.PAYMENT_PROVIDERS = [self.provider]
        for name, value in self.settings().items():
            setattr(settings, name, value)

    def forget_keys(self):
        """As Stripe does after a day, and PayPal after some hours."""
        self._answered.clear()

    def _handle(self, method, path, raw, headers):
        is_json = raw.startswith(b"{")
        text = raw.decode() or urlsplit(path).query
        given = json.loads(text) if is_json else dict(parse_qsl(text))
        key, parts = headers.get(self.key_header), urlsplit(path).path.strip("/").split("/")
        with self._lock:
            self.asked += 1
            if key and key in self._answered:
                before, answer = self._answered[key]
                return answer if before == (path, raw) else (400, self._error("The key was used for another request."))
            try:
                answer = 200, self._do(method, parts, given, raw)
            except Refused as error:
                answer = error.status, error.body
            answer = json.loads(json.dumps(answer, default=float))
            if key:
                self._answered[key] = (path, raw), answer
            return answer


class FakeStripe(FakeGateway):
    provider = "STRIPE"
    # How the shop finishes what the buyer has agreed to: by which token, and after how many answers it is taken.
    method = "pm_card_visa"
    answers_before_taking = 1

    def __init__(self):
        super().__init__()
        self.intents, self.refunds = {}, {}

    def settings(self):
        return {
            "STRIPE_SECRET_KEY": "sk_test_1",
            "STRIPE_WEBHOOK_SECRET": self.secret,
            "STRIPE_API_BASE": self.url,
        }

    def agree(self, payment):
        """The buyer's card is agreed to by the token."""

    def pay(self, payment):
        self.confirm(payment.reference, "pm_card_visa")

    def tamper(self, payment, amount=None, currency=None):
        changed = {"amount_received": amount and int(amount * 100), "currency": currency and currency.lower()}
        self.intents[payment.reference] |= {name: value for name, value in changed.items() if value}

    def refund_by_hand(self, payment, amount):
        self._new_refund({"payment_intent": payment.reference, "amount": int(amount * 100)})

    def end_refunds(self):
        for refund in self.refunds.values():
            refund["status"] = "succeeded"

    def _do(self, method, parts, given, raw):
        with suppress(KeyError):
            match method, parts[1:]:
                case "POST", ["payment_intents"]:
                    return self._new_intent(given)
                case "GET", ["payment_intents", id]:
                    return self.intents[id]
                case "POST", ["payment_intents", id, "confirm"]:
                    return self.confirm(id, given["payment_method"])
                case "POST", ["payment_intents", id, "cancel"]:
                    self.intents[id]["status"] = "canceled"
                    return self.intents[id]
                case "GET", ["refunds"]:
                    found = [it for it in self.refunds.values() if it["payment_intent"] == given["payment_intent"]]
                    return {"object": "list", "data": found, "has_more": False}
                case "POST", ["refunds"]:
                    return self._new_refund(given)
        raise Refused(400, self._error("there is none"))

    @staticmethod
    def _error(message, type="invalid_request_error", **more):
        return {"error": {"type": type, "message": message, **more}}

    def _new_intent(self, given):
        made = f"pi_{next(self._ids)}"
        self.intents[made] = {
            "id": made,
            "object": "payment_intent",
            "amount": int(given["amount"]),
            "amount_received": 0,
            "currency": given["currency"],
            "client_secret": f"{made}_secret",
            "status": "requires_payment_method",
            "metadata": {"payment": given["metadata[payment]"]},
            "next_action": None,
            "last_payment_error": None,
        }
        return self.intents[made]

    def confirm(self, id, method):
        """By our call, or by the buyer's browser."""
        intent = self.intents[id]
        if intent["status"] not in {"requires_payment_method", "requires_action"}:
            raise Refused(400, self._error(intent["status"]))
        if method == "pm_declined":
            raise Refused(402, self._error("Your card was declined.", "card_error", code="card_declined"))
        if method == "pm_3ds":
            redirect = {"url": "https://hooks.stripe.example/3ds", "return_url": ""}
            intent |= {
                "status": "requires_action",
                "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect},
            }
        else:
            intent |= {"status": "succeeded", "amount_received": intent["amount"], "next_action": None}
            self.taken += 1
        return intent

    def _new_refund(self, given):
        intent, amount = self.intents[given["payment_intent"]], int(given["amount"])
        if amount > intent["amount_received"] - self._refunded(intent["id"]):
            raise Refused(400, self._error("more than was taken"))
        made = f"re_{next(self._ids)}"
        self.refunds[made] = {
            "id": made,
            "object": "refund",
            "payment_intent": intent["id"],
            "amount": amount,
            "status": "pending" if self.refunds_wait else "succeeded",
            "failure_reason": None,
            "metadata": {"refund": given["metadata[refund]"]} if "metadata[refund]" in given else {},
        }
        return self.refunds[made]

    def _refunded(self, intent):
        return sum(it["amount"] for it in self.refunds.values() if it["payment_intent"] == intent)

    def books(self):
        taken = [intent for intent in self.intents.values() if intent["amount_received"]]

        def main(amount, intent):
            return Decimal(amount).scaleb(-exponent(currency=intent["currency"].upper()))

        return sorted(
            (it["metadata"]["payment"], main(it["amount_received"], it), main(self._refunded(it["id"]), it))
            for it in taken
        )

    def event_of(self, payment, kind="paid", **given):
        kinds = {"paid": "payment_intent.succeeded", "opened": "payment_intent.created", "refunded": "charge.refunded"}
        about = self.intents[payment.reference]
        if kind == "refunded":
            about = {"id": "ch_1", "object": "charge", "payment_intent": payment.reference, "metadata": {}}
        return self.event(about, kinds[kind], **{"id": f"evt_{payment.pk}_{kind}", **given})

    def event_of_nothing(self):
        return self.event({"id": "pi_9", "object": "payment_intent", "metadata": {}})

    def event(self, about, kind="payment_intent.succeeded", id="evt_1", at=None, secret=None):
        """https://docs.stripe.com/webhooks#verify-manually"""
        body = json.dumps({"id": id, "object": "event", "type": kind, "data": {"object": about}})
        timestamp = int(time.time() if at is None else at)
        made = hmac.new((secret or self.secret).encode(), f"{timestamp}.{body}".encode(), hashlib.sha256)
        return body, {"stripe-signature": f"t={timestamp},v1={made.hexdigest()}"}


class FakePayPal(FakeGateway):
    provider = "PAYPAL"
    method = ""
    answers_before_taking = 1
    key_header = "PayPal-Request-Id"

    def __init__(self):
        super().__init__()
        self.orders = {}
        paypal.access_tokens.clear()

    def settings(self):
        return {
            "PAYPAL_CLIENT_ID": "client",
            "PAYPAL_SECRET": "a_secret",
            "PAYPAL_WEBHOOK_ID": "WH-1",
            "PAYPAL_API_BASE": self.url,
        }

    def agree(self, payment):
        """Nothing is taken by that."""
        self.orders[payment.reference]["status"] = "APPROVED"

    pay = agree

    def tamper(self, payment, amount=None, currency=None):
        unit = self.orders[payment.reference]["purchase_units"][0]
        changed = {"value": amount and str(amount), "currency_code": currency}
        unit["amount"] |= {name: value for name, value in changed.items() if value}

    def refund_by_hand(self, payment, amount):
        unit = self.orders[payment.reference]["purchase_units"][0]
        given = {"amount": {"value": str(amount), "currency_code": unit["amount"]["currency_code"]}}
        self._refund(unit["payments"]["captures"][0]["id"], given)

    def end_refunds(self):
        for order in self.orders.values():
            for refund in order["purchase_units"][0]["payments"]["refunds"]:
                refund["status"] = "COMPLETED"

    def _do(self, method, parts, given, raw):
        with suppress(KeyError):
            match method, parts:
                case "POST", ["v1", "oauth2", "token"]:
                    return {"access_token": f"token_{next(self._ids)}", "expires_in": 30_000}
                case "POST", ["v1", "notifications", "verify-webhook-signature"]:
                    return {"verification_status": "SUCCESS" if self._is_ours(given, raw) else "FAILURE"}
                case "POST", ["v2", "checkout", "orders"]:
                    return self._new_order(given)
                case "GET", ["v2", "checkout", "orders", id]:
                    return self.orders[id]
                case "POST", ["v2", "checkout", "orders", id, "capture"]:
                    return self._capture(self.orders[id])
                case "POST", ["v2", "payments", "captures", id, "refund"]:
                    return self._refund(id, given)
        raise Refused(404, self._error("The resource does not exist."))

    @staticmethod
    def _error(message):
        return {"name": "ERROR", "message": "Something is wrong.", "details": [{"description": message}]}

    def _new_order(self, given):
        made = f"ORDER{next(self._ids)}"
        back = given["payment_source"]["paypal"]["experience_context"]["return_url"]
        assert back.startswith("http")
        unit = {**given["purchase_units"][0], "payments": {"captures": [], "refunds": []}}
        links = [{"rel": "payer-action", "href": f"https://paypal.example/checkoutnow?token={made}"}]
        self.orders[made] = {
            "id": made,
            "status": "PAYER_ACTION_REQUIRED",
            "intent": given["intent"],
            "purchase_units": [unit],
            "links": links,
        }
        return self.orders[made]

    def _capture(self, order):
        unit = order["purchase_units"][0]
        if order["status"] != "APPROVED":
            raise Refused(422, self._error(f"The order is {order['status']}."))
        if unit["amount"]["value"].endswith("02"):
            raise Refused(422, self._error("The instrument was declined."))
        capture = {"id": f"CAPTURE{next(self._ids)}", "status": "COMPLETED", "amount": dict(unit["amount"])}
        unit["payments"]["captures"].append(capture)
        order["status"] = "COMPLETED"
        self.taken += 1
        return order

    def _refund(self, id, given):
        units = [order["purchase_units"][0] for order in self.orders.values()]
        unit = next(it for it in units if id in {capture["id"] for capture in it["payments"]["captures"]})
        if self._given(unit) + Decimal(given["amount"]["value"]) > Decimal(unit["amount"]["value"]):
            raise Refused(422, self._error("more than was taken"))
        status = "PENDING" if self.refunds_wait else "COMPLETED"
        refund = {"id": f"REFUND{next(self._ids)}", "status": status, **given}
        unit["payments"]["refunds"].append(refund)
        return refund

    @staticmethod
    def _given(unit):
        return sum((Decimal(it["amount"]["value"]) for it in unit["payments"]["refunds"]), Decimal(0))

    def books(self):
        units = [order["purchase_units"][0] for order in self.orders.values()]
        taken = [(unit, unit["payments"]["captures"]) for unit in units if unit["payments"]["captures"]]
        return sorted(
            (unit["custom_id"], sum(Decimal(it["amount"]["value"]) for it in captures), self._given(unit))
            for unit, captures in taken
        )

    def event_of(self, payment, kind="paid", **given):
        order = self.orders[payment.reference]
        captures = order["purchase_units"][0]["payments"]["captures"]
        related = {"supplementary_data": {"related_ids": {"order_id": order["id"]}}, "custom_id": str(payment.pk)}
        kinds = {
            # Of an order that is approved, and of its money once that was taken.
            "paid": ("PAYMENT.CAPTURE.COMPLETED", {"id": captures[0]["id"], **related})
            if captures
            else ("CHECKOUT.ORDER.APPROVED", order),
            "opened": ("CHECKOUT.ORDER.SAVED", order),
            "refunded": ("PAYMENT.CAPTURE.REFUNDED", {"id": "REFUND9", **related}),
        }
        name, about = kinds[kind]
        return self.event(about, name, **{"id": f"WH-{payment.pk}-{kind}", **given})

    def event_of_nothing(self):
        return self.event({"id": "ORDER9", "purchase_units": [{}]})

    def event(self, about, kind="CHECKOUT.ORDER.APPROVED", id="WH-EVENT-1", at=None, secret=None):
        body = json.dumps({"id": id, "event_type": kind, "resource": about}, default=float)
        sent = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC) - timedelta(days=5)
        when = sent.isoformat(timespec="seconds").replace("+00:00", "Z")
        return body, {
            "paypal-transmission-id": "T-1",
            "paypal-transmission-time": when,
            "paypal-auth-algo": "SHA256withRSA",
            "paypal-cert-url": "https://api.paypal.com/cert",
            "paypal-transmission-sig": self._signature("T-1", when, "WH-1", body.encode(), secret),
        }

    def _signature(self, id, when, webhook, body, secret=None):
        """Of the text as it was sent: with its keys in another order it would be another."""
        signed = f"{id}|{when}|{webhook}|{zlib.crc32(body)}"
        return hmac.new((secret or self.secret).encode(), signed.encode(), hashlib.sha256).hexdigest()

    def _is_ours(self, given, raw):
        event = raw[raw.index(b'"webhook_event": ') + len('"webhook_event": ') : -1]
        made = self._signature(given["transmission_id"], given["transmission_time"], given["webhook_id"], event)
        return made == given["transmission_sig"]


class FakeFlutterwave(FakeGateway):
    provider = "FLUTTERWAVE"
    method = ""
    answers_before_taking = 0
    signs = True

    def __init__(self):
        super().__init__()
        self.pages, self.transactions, self.refunds = {}, {}, []

    def settings(self):
        return {
            "FLUTTERWAVE_SECRET_KEY": "FLWSECK-1",
            "FLUTTERWAVE_WEBHOOK_SECRET": self.secret,
            "FLUTTERWAVE_WEBHOOK_SIGNED": self.signs,
            "FLUTTERWAVE_API_BASE": self.url,
        }

    def agree(self, payment):
        self.pay(payment)

    def pay(self, payment, status="successful"):
        page = self.pages[str(payment.pk)]
        known = self.transactions.get(str(payment.pk))
        if known and known["status"] == "successful":
            raise Refused(400, self._error("Duplicate transaction reference"))
        number = next(self._ids)
        self.transactions[str(payment.pk)] = {
            "id": number,
            "tx_ref": page["tx_ref"],
            "flw_ref": f"FLW-{number}",
            "amount": page["amount"],
            "currency": page["currency"],
            "status": status,
            "processor_response": "Insufficient funds" if status == "failed" else "Approved",
        }
        self.taken += status == "successful"

    def tamper(self, payment, amount=None, currency=None):
        known = self.transactions[str(payment.pk)]
        changed = {"amount": amount and float(amount), "currency": currency}
        known |= {name: value for name, value in changed.items() if value}

    def refund_by_hand(self, payment, amount):
        self._refund(self.transactions[str(payment.pk)]["id"], {"amount": float(amount), "comments": "By hand."})

    def end_refunds(self):
        for refund in self.refunds:
            refund["status"] = "completed-bank-transfer"

    def _do(self, method, parts, given, raw):
        match method, parts:
            case "POST", ["v3", "payments"]:
                assert given["customer"]["email"]
                self.pages[given["tx_ref"]] = given
                link = f"https://flutterwave.example/pay/{next(self._ids)}"
                return {"status": "success", "message": "Hosted Link", "data": {"link": link}}
            case "GET", ["v3", "transactions", "verify_by_reference"] if given["tx_ref"] in self.transactions:
                return {"status": "success", "data": self.transactions[given["tx_ref"]]}
            case "POST", ["v3", "transactions", id, "refund"]:
                return {"status": "success", "data": self._refund(int(id), given)}
            case "GET", ["v3", "refunds"]:
                found = [it for it in reversed(self.refunds) if it["flw_ref"] == given["flw_ref"]]
                page = int(given["page"])
                info = {"total": len(found), "current_page": page, "total_pages": -(-len(found) // 3)}
                return {"status": "success", "meta": {"page_info": info}, "data": found[3 * (page - 1) : 3 * page]}
        raise Refused(400, self._error("No transaction was found for this id"))

    @staticmethod
    def _error(message):
        return {"status": "error", "message": message, "data": None}

    def _refund(self, id, given):
        known = next(it for it in self.transactions.values() if it["id"] == id)
        if self._given(id) + Decimal(str(given["amount"])) > Decimal(str(known["amount"])):
            raise Refused(400, self._error("more than was taken"))
        self.refunds.append(
            {
                "id": next(self._ids),
                "tx_id": id,
                "flw_ref": known["flw_ref"],
                "amount_refunded": given["amount"],
                "comments": given["comments"],
                "status": "pending-momo" if self.refunds_wait else "completed",
            }
        )
        return self.refunds[-1]

    def _given(self, id):
        return sum((Decimal(str(it["amount_refunded"])) for it in self.refunds if it["tx_id"] == id), Decimal(0))

    def books(self):
        taken = [it for it in self.transactions.values() if it["status"] == "successful"]
        return sorted((it["tx_ref"], Decimal(str(it["amount"])), self._given(it["id"])) for it in taken)

    def event_of(self, payment, kind="paid", **given):
        known = self.transactions.get(str(payment.pk), {"id": 0, "tx_ref": str(payment.pk), "status": "pending"})
        about = {"id": known["id"], "tx_ref": known["tx_ref"], "status": known["status"]}
        if kind == "refunded":
            about = {"id": 77, "tx_id": known["id"], "status": "completed"}
        elif kind == "opened":
            about["status"] = "pending"
        return self.event(about, "refund.completed" if kind == "refunded" else "charge.completed", **given)

    def event_of_nothing(self):
        return self.event({"id": 9, "tx_ref": "another-shop-s", "status": "successful"})

    def event(self, about, kind="charge.completed", at=None, secret=None):
        body = json.dumps({"event": kind, "data": about})
        secret = secret or self.secret
        if not self.signs:
            return body, {"verif-hash": secret}
        made = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()
        return body, {"flutterwave-signature": base64.b64encode(made).decode()}


class FakeFlutterwaveUnsigned(FakeFlutterwave):
    signs = False


FAKES = [FakeStripe, FakePayPal, FakeFlutterwave]
