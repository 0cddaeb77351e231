"""What goes to Sentry of an error, seen as its transport sees it: enough to find it, and nothing that was sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# A process of its own: Sentry's integrations change Django for good.
SCRIPT = """
import json, os
os.environ |= {"DJANGO_SETTINGS_MODULE": "commercia.settings", "DEBUG": "true", "SENTRY_DSN": "http://key@127.0.0.1:1/1"}
import django, sentry_sdk
from sentry_sdk.transport import Transport
from commercia import sentry

sent = []

class Caught(Transport):
    def capture_envelope(self, envelope):
        sent.append(envelope.serialize().decode())

init = sentry_sdk.init
sentry_sdk.init = lambda **given: init(**given, transport=Caught)
django.setup()

from django.test import Client
from domain.sales import cart

def broken(key):
    secret_of_the_code = key.code
    raise RuntimeError("the shelf is gone")

cart.candidates = broken
client = Client(SERVER_NAME="localhost", headers={"x-api-key": "CANARY-header", "cookie": "cart=CANARY-cookie"})
body = {
    "query": "query Basket($code: ID, $note: String) { cart(code: $code) { id } products(search: $note) { __typename } "
    + 'other: cart(code: "CANARY-text") { id } }',
    "operationName": "Basket",
    "variables": {"code": "CANARY-variable", "note": "CANARY-note"},
}
client.post("/graphql/?next=CANARY-address", json.dumps(body), content_type="application/json")
print(json.dumps(sent))
"""


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    database = tmp_path_factory.mktemp("sentry") / "shop.sqlite3"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": f"sqlite:///{database}", "REDIS_URL": "", "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_an_error_is_told_with_its_operation_and_its_request(sent):
    event = json.loads(sent[0].splitlines()[2])
    assert event["transaction"] == "Basket"
    assert len(event["tags"]["request_id"]) == 32
    assert "request" not in event
    assert event["exception"]["values"][-1]["value"] == "the shelf is gone"


def test_nothing_that_was_sent_is_told(sent):
    assert sent
    assert not [envelope for envelope in sent if "CANARY" in envelope]
