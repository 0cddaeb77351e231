"""gunicorn: one process with threads for SQLite, WEB_CONCURRENCY processes in production."""

import os
import sys

# Seconds after which a CPU-bound thread must release the GIL. Short, so that other requests hardly wait:
# docs/performance.md.
sys.setswitchinterval(0.001)

# With PostgreSQL, use one process per core. SQLite has one writer, so one process is enough.
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
# By default, all but two may wait for gateways (GATEWAY_THREADS). Each thread keeps a database connection.
# The default was measured: docs/performance.md.
threads = int(os.environ.get("WEB_THREADS", "6"))
worker_class = "gthread"
preload_app = True
timeout = 30
graceful_timeout = 30
keepalive = 5
max_requests = 10_000
max_requests_jitter = 1_000
accesslog = None
errorlog = "-"
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "warning")


def post_worker_init(_: object) -> None:
    """Without a broker, each web process also runs the background jobs."""
    from django.conf import settings  # noqa: PLC0415 (loaded with the app, not with this file)

    from storefront.management.commands.worker import Worker  # noqa: PLC0415

    if settings.IN_PROCESS_WORKER:
        Worker().start()
