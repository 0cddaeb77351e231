"""Stripe's HTTP, as far as we use it, over a real socket: idempotency keys, cards that are declined, refunds that are
refused, answers that are lost or late. It keeps books of its own, to be compared with ours."""

import hashlib
import hmac
import json
import threading
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qsl, urlsplit

SECRET = "whsec_of_the_fake"


class CardDeclined(Exception):
    pass


class Refused(Exception):
    pass


class FakeStripe:
    """`lose` and `hang` are for the answers to come: True to lose one, seconds to keep one back."""

    def __init__(self):
        self.intents, self.refunds, self._answered = {}, {}, {}
        self.lose, self.hang = deque(), deque()
        self.refunds_wait = False
        self.confirmed = 0
        self._lock, self._ids = threading.Lock(), count(1)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._answer(dict(parse_qsl(urlsplit(self.path).query)))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                self._answer(dict(parse_qsl(body)))

            def _answer(self, given):
                status, body = fake.handle(self.command, self.path, given, self.headers.get("Idempotency-Key"))
                if fake.hang:
                    time.sleep(fake.hang.popleft())
                if fake.lose and fake.lose.popleft():
                    self.close_connection = True
                    self.connection.close()
                    return
                sent = json.dumps(body).encode()
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

    def handle(self, method, path, given, key):
        with self._lock:
            if key in self._answered:
                before, answer = self._answered[key]
                if before != (path, given):
                    return 400, _error("idempotency_error", "Keys for idempotent requests can only be used once.")
                return answer
            try:
                answer = 200, self._do(method, urlsplit(path).path.removeprefix("/v1/").split("/"), given)
            except CardDeclined:
                answer = 402, _error("card_error", "Your card was declined.", code="card_declined")
            except (Refused, KeyError) as error:
                answer = 400, _error("invalid_request_error", f"Refused: {error}")
            answer = json.loads(json.dumps(answer))
            if key:
                self._answered[key] = (path, given), answer
            return answer

    def _do(self, method, parts, given):  # noqa: PLR0911 (one a call)
        match method, parts:
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
            case "GET", ["refunds", id]:
                return self.refunds[id]
        raise Refused(parts)

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
            raise Refused(intent["status"])
        if method == "pm_declined":
            raise CardDeclined
        if method == "pm_3ds":
            redirect = {"url": "https://hooks.stripe.example/3ds", "return_url": ""}
            intent |= {
                "status": "requires_action",
                "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect},
            }
        else:
            intent |= {"status": "succeeded", "amount_received": intent["amount"], "next_action": None}
            self.confirmed += 1
        return intent

    def _new_refund(self, given):
        intent, amount = self.intents[given["payment_intent"]], int(given["amount"])
        if amount > intent["amount_received"] - self._refunded(intent["id"]):
            raise Refused("more than was taken")
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

    def forget_keys(self):
        """As Stripe does after a day."""
        self._answered.clear()

    def books(self):
        """Of each intent that took money, by our payment's id: taken and given back, in minor units."""
        taken = [intent for intent in self.intents.values() if intent["amount_received"]]
        return sorted((it["metadata"]["payment"], it["amount_received"], self._refunded(it["id"])) for it in taken)


def event(about, kind="payment_intent.succeeded", id="evt_1", at=None, secret=SECRET):
    """Body and Stripe-Signature header of a webhook. https://docs.stripe.com/webhooks#verify-manually"""
    body = json.dumps({"id": id, "object": "event", "type": kind, "data": {"object": about}})
    timestamp = int(time.time() if at is None else at)
    signature = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return body, f"t={timestamp},v1={signature}"


def _error(type, message, **more):
    return {"error": {"type": type, "message": message, **more}}
