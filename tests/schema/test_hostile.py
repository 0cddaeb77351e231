"""A hundred kinds of documents that nobody means well by: each is refused, and costs the shop less than a blink."""

import json
import time
from dataclasses import dataclass
from itertools import count

import pytest

from benchmarks.hostile_documents import KINDS

pytestmark = pytest.mark.django_db

BLINK = 0.1  # seconds of CPU


@dataclass
class Cost:
    seconds: float
    response: object


@pytest.fixture
def ask(api):
    serial = count()

    def send(document):
        """Each time another text, so that nothing of it is known."""
        query = f"{document} # {next(serial)}"
        began = time.process_time()
        response = api.client.post("/graphql/", json.dumps({"query": query}), content_type="application/json")
        return Cost(time.process_time() - began, response)

    send("{ shop { name } }")
    return send


def test_there_are_a_hundred_kinds():
    assert len(KINDS) >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_refused_within_a_blink(ask, kind):
    """The least of three, since a process has its own affairs now and then."""
    tries = [ask(KINDS[kind]) for _ in range(3)]
    assert {each.response.status_code for each in tries} <= {400, 413}
    codes = {error["extensions"]["code"] for each in tries for error in each.response.json()["errors"]}
    assert codes <= {
        "BAD_REQUEST",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "OPERATION_RESOLUTION_FAILURE",
        "OPERATION_TOO_LARGE",
    }
    assert min(each.seconds for each in tries) < BLINK


def test_a_batch_is_refused_whatever_it_holds(api):
    for batch in ([{"query": "{ shop { name } }"}] * 2, [[]] * 1_000):
        response = api.client.post("/graphql/", json.dumps(batch), content_type="application/json")
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")
