"""gunicorn: one process with threads on the embedded default; WEB_CONCURRENCY processes in production."""

import os
import sys

# A request that works out much lets go of the interpreter so often, in seconds, that the others beside it hardly wait:
# docs/performance.md.
sys.setswitchinterval(0.001)

# PostgreSQL takes as many processes as there are cores for; SQLite has one writer, so one process is enough.
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
# By default all but two may wait for gateways (GATEWAY_THREADS). Each thread keeps a connection to the database. The
# default was measured: docs/performance.md.
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
    """Without a broker, each serving process does what is owed, beside answering."""
    from django.conf import settings  # noqa: PLC0415 (loaded with the app, not with this file)

    from storefront.management.commands.worker import Worker  # noqa: PLC0415

    if settings.IN_PROCESS_WORKER:
        Worker().start()
