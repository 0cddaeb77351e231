"""Django's PostgreSQL, which asks a connection once a second at most whether it is still good, not for each request."""

import select
import time
from typing import Any

from django.db.backends.postgresql import base

_SECONDS = 1.0


class DatabaseWrapper(base.DatabaseWrapper):
    _good_until = 0.0

    def is_usable(self) -> bool:
        """One that was good a moment ago still is, unless the server has said something since: most likely, that it
        goes. A connection that breaks unnoticed is found out by the statement that it breaks under, as ever."""
        now = time.monotonic()
        if now < self._good_until and not _has_news(self.connection):
            return True
        is_good: bool = super().is_usable()
        self._good_until = now + _SECONDS if is_good else 0.0
        return is_good


def _has_news(connection: Any) -> bool:
    if connection is None or connection.closed:
        return True
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))
