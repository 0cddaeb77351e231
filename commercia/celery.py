"""Celery on RabbitMQ: `celery -A commercia worker`, and one `celery -A commercia beat`.

Requests never use the broker: they write to the outbox, and beat makes workers deliver it. So a broker that is down
only delays deliveries.
"""

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commercia.settings")

app = Celery("commercia")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["commercia"])


@app.on_after_finalize.connect
def _schedule(sender: Any, **_: Any) -> None:
    """Beat's schedule. Late tasks expire, because the next one does the same."""
    from commercia import tasks  # noqa: PLC0415 (it needs Django to be set up)
    from domain.jobs.clocks import CLOCKS  # noqa: PLC0415

    sender.add_periodic_task(2, tasks.relay.s(), name="relay", expires=10)
    for name, clock in CLOCKS.items():
        seconds = clock.every.total_seconds()
        sender.add_periodic_task(seconds, tasks.run_clock.s(name), name=name, expires=seconds)
