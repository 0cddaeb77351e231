"""Django's PostgreSQL, which asks a connection now and then whether it is still good, not for each request."""

import time

import psycopg
from django.db.backends.postgresql import base

_SECONDS = 5.0


class DatabaseWrapper(base.DatabaseWrapper):
    _good_until = 0.0

    def is_usable(self) -> bool:
        """One that was good a moment ago still is, unless the server has closed it, which the socket tells. One that
        breaks unnoticed is found out by the statement that it breaks under, as ever."""
        now = time.monotonic()
        if now < self._good_until and self._is_open():
            return True
        is_good: bool = super().is_usable()
        self._good_until = now + _SECONDS if is_good else 0.0
        return is_good

    def _is_open(self) -> bool:
        if self.connection is None:
            return False
        try:
            for _ in range(2):  # Why it goes, then that it has gone.
                self.connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return not self.connection.closed
