"""What Prometheus reads: for whoever has the token, with names that no client can multiply."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from commercia import metrics
from domain.base import outbox
from domain.jobs import clocks
from storefront.models import OutboxMessage
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def scrape(client, settings):
    """`scrape()`: every sample, by its name with its labels."""
    settings.METRICS_TOKEN = "let-me-in"

    def read():
        response = client.get("/metrics", headers={"authorization": "Bearer let-me-in"})
        assert response.status_code == 200
        lines = [line for line in response.content.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    return read


@pytest.mark.parametrize("stated", ["", "Bearer ", "Bearer wrong", "let-me"])
def test_it_is_not_there_for_whoever_has_not_the_token(client, settings, stated):
    for token in ("", "let-me-in"):
        settings.METRICS_TOKEN = token
        assert client.get("/metrics", headers={"authorization": stated}).status_code == 404


def test_requests_are_counted_by_operation_and_status(api, scrape):
    name = 'commercia_request_seconds_count{operation="CountedHere",status="200"}'
    before = scrape().get(name, 0)
    for _ in range(3):
        api("query CountedHere { shop { name } }", "CountedHere")
    assert scrape()[name] == before + 3
    assert any(re.match(r'commercia_request_seconds_bucket\{le="0.1",operation="CountedHere"', it) for it in scrape())


def test_what_was_kept_is_counted(api, scrape, kept):
    def counted():
        return [scrape().get(f'commercia_public_answers_total{{cache="{state}"}}', 0) for state in ("hit", "miss")]

    hits, misses = counted()
    for _ in range(3):
        api("query KeptHere { shop { name } }")
    api("{ me { name } }")
    assert counted() == [hits + 2, misses + 1]


def test_clients_cannot_make_up_names_without_end(scrape, monkeypatch):
    monkeypatch.setattr(metrics, "names", set())
    for number in range(500):
        metrics.observe(operation=f"MadeUp{number}", status=200, seconds=0.01)
    made_up = [name for name in scrape() if name.startswith('commercia_request_seconds_count{operation="MadeUp')]
    assert len(made_up) == 200
    assert scrape()['commercia_request_seconds_count{operation="other",status="200"}'] >= 300


def test_orders_payments_and_what_is_owed_are_told_in_five_statements(placed_order, scrape, statements):
    placed_order({VariantFactory(): 1})
    OutboxMessage.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    outbox.put(kind="mail", payload={}, now=timezone.now())
    OutboxMessage.objects.filter(kind="mail").update(given_up_at=timezone.now())
    OutboxMessage.objects.filter(given_up_at=None).update(error="ConnectionRefusedError")
    with statements() as counted:
        found = scrape()
    assert found['commercia_orders{state="AWAITING_PAYMENT"}'] == 1
    assert [found[f"commercia_outbox_{it}"] for it in ("waiting", "failing", "dead")] == [1, 1, 1]
    assert 299 < found["commercia_outbox_oldest_seconds"] < 330
    assert len(counted) == 5


def test_clocks_tell_when_they_last_ran_well_and_whether_they_fail_now(scrape, monkeypatch):
    def broken(now):
        raise RuntimeError("no")

    assert scrape()['commercia_clock_age_seconds{clock="prune"}'] == float("inf")
    clocks.run(name="prune", now=timezone.now() - timedelta(minutes=5))
    with monkeypatch.context() as failing:
        failing.setitem(clocks.CLOCKS, "prune", clocks.Clock(timedelta(days=1), broken))
        with pytest.raises(RuntimeError):
            clocks.run(name="prune", now=timezone.now())
    found = scrape()
    assert 299 < found['commercia_clock_age_seconds{clock="prune"}'] < 330
    assert found['commercia_clock_failing{clock="prune"}'] == 1
    clocks.run(name="prune", now=timezone.now())
    found = scrape()
    assert found['commercia_clock_age_seconds{clock="prune"}'] < 30
    assert found['commercia_clock_failing{clock="prune"}'] == 0


def test_several_processes_count_together(tmp_path):
    """Two processes observe, a third one reads."""
    given = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "DEBUG": "true", "PYTHONPATH": str(ROOT)}
    start = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'commercia.settings'; django.setup();"
    observe = "from commercia import metrics; metrics.observe(operation='Front', status=200, seconds=0.2)"
    read = (
        "from prometheus_client import CollectorRegistry, generate_latest, multiprocess;"
        "it = CollectorRegistry(); multiprocess.MultiProcessCollector(it); print(generate_latest(it).decode())"
    )
    for code in (start + observe, start + observe, read):
        ended = subprocess.run(
            [sys.executable, "-c", code], env=given, cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert 'commercia_request_seconds_count{operation="Front",status="200"} 2.0' in ended.stdout
