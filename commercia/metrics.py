"""Prometheus metrics at `/metrics`: counters of this process, and gauges from the database.

With the directory PROMETHEUS_MULTIPROC_DIR, the counters of several processes are added up:
https://prometheus.github.io/client_python/multiprocess/
"""

import math
import os
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from domain.jobs.clocks import CLOCKS
from storefront.models import ClockRun, Order, OutboxMessage, Payment

REQUESTS = Histogram(
    "commercia_request_seconds",
    "Requests, by the name of the GraphQL operation (or the path's first part) and the status.",
    ["operation", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ANSWERS = Counter(
    "commercia_public_answers",
    "Public responses by cache state: cached (hit), cached while a newer one is computed (stale), computed (miss).",
    ["cache"],
)
# Clients choose operation names, so this limits the number of labels. Further names become "other".
_MAX_NAMES = 200
names: set[str] = set()


def observe(*, operation: str, status: int, seconds: float, cache: str | None = None) -> None:
    if cache:
        ANSWERS.labels(cache).inc()
    if operation not in names and len(names) >= _MAX_NAMES:
        operation = "other"
    names.add(operation)
    REQUESTS.labels(operation, str(status)).observe(seconds)


class Shop(Collector):
    """Gauges of the shop's state, read at each scrape with five SQL statements."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterable[Metric]:
        yield self._by_state("commercia_orders", "Orders by state.", Order)
        yield self._by_state("commercia_payments", "Payments by state.", Payment)
        waiting = OutboxMessage.objects.filter(delivered_at=None, given_up_at=None)
        failing = Count("pk", filter=~Q(error=""))
        totals = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"), failing=failing)
        yield GaugeMetricFamily("commercia_outbox_waiting", "Messages not delivered yet.", totals["number"])
        age = (self._now - totals["oldest"]).total_seconds() if totals["oldest"] else 0
        yield GaugeMetricFamily("commercia_outbox_oldest_seconds", "Age of the oldest undelivered message.", age)
        yield GaugeMetricFamily(
            "commercia_outbox_failing", "Undelivered messages that failed before.", totals["failing"]
        )
        dead = OutboxMessage.objects.filter(delivered_at=None).exclude(given_up_at=None).count()
        yield GaugeMetricFamily("commercia_outbox_dead", "Messages given up after too many failures.", dead)
        yield from self._clocks()

    def _clocks(self) -> Iterable[Metric]:
        """Age and failure of each periodic job. The age of a job that never succeeded is infinite."""
        runs = {run.clock: run for run in ClockRun.objects.all()}
        age = GaugeMetricFamily("commercia_clock_age_seconds", "Time since a job's last success.", labels=["clock"])
        failing = GaugeMetricFamily("commercia_clock_failing", "Whether a job's last run failed.", labels=["clock"])
        for name in CLOCKS:
            run = runs.get(name, ClockRun())
            succeeded = run.succeeded_at
            age.add_metric([name], (self._now - succeeded).total_seconds() if succeeded else math.inf)
            failed_last = run.failed_at and (succeeded is None or run.failed_at > succeeded)
            failing.add_metric([name], int(bool(failed_last)))
        yield from (age, failing)

    def _by_state(self, name: str, documentation: str, model: type[Order] | type[Payment]) -> Metric:
        family = GaugeMetricFamily(name, documentation, labels=["state"])
        for state, number in model._default_manager.order_by().values_list("state").annotate(Count("pk")):
            family.add_metric([state], number)
        return family


def metrics(request: HttpRequest) -> HttpResponse:
    """Requires METRICS_TOKEN as a bearer token. Answers 404 without it, or if the setting is empty."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not constant_time_compare(token, settings.METRICS_TOKEN):
        return HttpResponseNotFound()
    registry: CollectorRegistry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    shop = CollectorRegistry()
    shop.register(Shop(timezone.now()))
    return HttpResponse(generate_latest(registry) + generate_latest(shop), content_type=CONTENT_TYPE_LATEST)
