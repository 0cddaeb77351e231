"""What Prometheus reads at `/metrics`: what the processes counted, and how the shop stands, asked of the database.

Several processes count together where PROMETHEUS_MULTIPROC_DIR names a directory:
https://prometheus.github.io/client_python/multiprocess/
"""

import os
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from storefront.models import Order, OutboxMessage, Payment

REQUESTS = Histogram(
    "commercia_request_seconds",
    "Requests, by the name of the GraphQL operation (or the path's first part) and the status.",
    ["operation", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Clients choose the names of operations: past so many, they are one.
_MOST_NAMES = 200
_names: set[str] = set()


def observe(*, operation: str, status: int, seconds: float) -> None:
    if operation not in _names and len(_names) >= _MOST_NAMES:
        operation = "other"
    _names.add(operation)
    REQUESTS.labels(operation, str(status)).observe(seconds)


class Shop(Collector):
    """How the shop stands: asked at each scrape, in four statements."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterable[Metric]:
        yield self._by_state("commercia_orders", "Orders by state.", Order)
        yield self._by_state("commercia_payments", "Payments by state.", Payment)
        waiting = OutboxMessage.objects.filter(delivered_at=None, given_up_at=None)
        found = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"))
        yield GaugeMetricFamily("commercia_outbox_waiting", "Messages not delivered yet.", found["number"])
        age = (self._now - found["oldest"]).total_seconds() if found["oldest"] else 0
        yield GaugeMetricFamily("commercia_outbox_oldest_seconds", "Age of the oldest of them.", age)
        dead = OutboxMessage.objects.filter(delivered_at=None).exclude(given_up_at=None).count()
        yield GaugeMetricFamily("commercia_outbox_dead", "Messages that were given up.", dead)

    def _by_state(self, name: str, documentation: str, model: type[Order] | type[Payment]) -> Metric:
        family = GaugeMetricFamily(name, documentation, labels=["state"])
        for state, number in model._default_manager.order_by().values_list("state").annotate(Count("pk")):
            family.add_metric([state], number)
        return family


def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever has METRICS_TOKEN; without one set, for nobody."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not constant_time_compare(given, settings.METRICS_TOKEN):
        return HttpResponseNotFound()
    counted: CollectorRegistry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    shop = CollectorRegistry()
    shop.register(Shop(timezone.now()))
    return HttpResponse(generate_latest(counted) + generate_latest(shop), content_type=CONTENT_TYPE_LATEST)
