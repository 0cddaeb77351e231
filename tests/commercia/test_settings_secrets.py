"""Secrets of the settings, and of webhooks: in no log line, answer, metric or envelope to Sentry, whatever is away."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
AWAY = "127.0.0.1:1"
SECRETS = {
    "SECRET_KEY": "CANARY-secret-key-that-is-long-enough-to-sign-with",
    "JWT_KEY": "CANARY-jwt-key-that-is-long-enough-to-sign-with-too",
    "METRICS_TOKEN": "CANARY-metrics",
    "EMAIL_URL": f"smtp://shop:CANARY-mail@{AWAY}",
    "BROKER_URL": f"amqp://shop:CANARY-broker@{AWAY}//",
    "REDIS_URL": f"redis://:CANARY-redis@{AWAY}/0",
    "STRIPE_SECRET_KEY": "CANARY-stripe",
    "STRIPE_WEBHOOK_SECRET": "CANARY-stripe-webhook",
    "PAYPAL_SECRET": "CANARY-paypal",
    "PAYPAL_CLIENT_ID": "client",
    "PAYPAL_WEBHOOK_ID": "CANARY-paypal-webhook",
    "FLUTTERWAVE_SECRET_KEY": "CANARY-flutterwave",
    "FLUTTERWAVE_WEBHOOK_SECRET": "CANARY-flutterwave-webhook",
    "PAYMENT_PROVIDERS": "STRIPE PAYPAL FLUTTERWAVE",
    "STRIPE_API_BASE": f"http://{AWAY}",
    "PAYPAL_API_BASE": f"http://{AWAY}",
    "FLUTTERWAVE_API_BASE": f"http://{AWAY}",
    "AWS_ACCESS_KEY_ID": "anybody",
    "AWS_SECRET_ACCESS_KEY": "CANARY-aws",
    "S3_BUCKET": "pictures",
    "S3_ENDPOINT_URL": f"http://{AWAY}",
    "SENTRY_DSN": f"http://public@{AWAY}/1",
}
# Everything that talks to somebody, once; what fails is logged and sent as it would be.
SCRIPT = """
import contextlib, json, sys
import django, sentry_sdk
from sentry_sdk.transport import Transport

class Caught(Transport):
    def capture_envelope(self, envelope):
        print("SENT", envelope.serialize().decode())

init = sentry_sdk.init
sentry_sdk.init = lambda **given: init(**given, transport=Caught)
django.setup()

import logging
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from django.core.files.base import ContentFile
from domain.base import outbox, webhooks
from domain.catalog import media
from domain.jobs import clocks
from domain.jobs.handlers import HANDLERS
from domain.payments.gateways import Charge, gateway_for
from decimal import Decimal
from uuid import uuid4
from storefront.models import PaymentProvider, WebhookEndpoint

client = Client(SERVER_NAME="localhost", raise_request_exception=False)

def ask(query):
    body = json.dumps({"query": query})
    return client.post("/graphql/", body, content_type="application/json")

def owe():
    call_command("migrate", verbosity=0)
    endpoint = WebhookEndpoint.objects.create(
        url="https://127.0.0.1:1/?key=CANARY-url", topics=[], secret="whsec_CANARY+webhook+secret+of+theirs="
    )
    webhooks.queue_test(endpoint=endpoint, now=timezone.now())
    ask('mutation { requestPasswordReset(input: {email: "a@example.com"}) { userErrors { code } } }')

steps = [
    owe,
    lambda: ask("{ products { nodes { title } } cart { id } }"),
    lambda: ask('mutation { login(input: {email: "a@example.com", password: "b"}) { userErrors { code } } }'),
    lambda: client.get("/readyz"),
    lambda: client.get("/metrics", headers={"authorization": "Bearer CANARY-metrics"}),
    lambda: client.get("/admin/login/"),
    *(lambda name=name: client.post(f"/webhooks/{name}/", "{}", content_type="a/b", headers={"stripe-signature": "t=1"})
      for name in ("stripe", "paypal", "flutterwave")),
    *(lambda name=name: gateway_for(provider=name).charge(Charge(key=uuid4(), amount=Decimal(1), currency="EUR"))
      for name in PaymentProvider if name != "TEST"),
    lambda: media.store_original(key="x", content=ContentFile(b"x")),
    lambda: outbox.relay(handlers=HANDLERS, clock=timezone.now),
    lambda: clocks.run(name="expire_orders", now=timezone.now()),
]
for step in steps:
    try:
        answer = step()
        print("ANSWER", getattr(answer, "status_code", ""), getattr(answer, "content", b"").decode())
    except Exception:
        logging.getLogger("worker").exception("failed")
        print("FAILED")
"""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_no_secret_of_the_settings_is_told_to_anybody(tmp_path, database):
    urls = {"sqlite": f"sqlite:///{tmp_path}/shop.sqlite3", "postgres": f"postgres://shop:CANARY-database@{AWAY}/shop"}
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        cwd=ROOT,
        env=kept
        | SECRETS
        | {
            "DJANGO_SETTINGS_MODULE": "commercia.settings",
            "DEBUG": "false",
            "HTTPS": "false",
            "ALLOWED_HOSTS": "localhost",
            "STOREFRONT_URL": "https://shop.example",
            "DATABASE_URL": urls[database],
            "DATABASE_REPLICA_URLS": "" if database == "sqlite" else urls[database].replace("database", "replica"),
            "LOG_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = set(re.findall(r"CANARY.{0,40}", ended.stdout + ended.stderr))
    assert found == set()
    # It is there to be seen that everything was tried, and that what is away was told.
    assert ended.stdout.count("ANSWER") == (11 if database == "sqlite" else 8)
    assert ("Outbox message" in ended.stderr) is (database == "sqlite")
    assert ("SENT" in ended.stdout) is True
