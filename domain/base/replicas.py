"""Chooses the database for reads: the primary, or inside `read` one of its replicas, which may lag behind.

If a replica does not answer, the primary is read instead, and this process avoids the replica for some seconds.
Writes, and reads inside a transaction, always use the primary.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db import Error as DatabaseFailure
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

PRIMARY = DEFAULT_DB_ALIAS
_RETRY_AFTER_SECONDS = 5.0
unavailable_until: dict[str, float] = {}
_rotation = itertools.count()
_current: ContextVar[str] = ContextVar("database", default=PRIMARY)


def read(*, query: Callable[[], Result]) -> Result:
    """Runs `query` on a replica, or on the primary if no replica answers. Returns its result.

    If the replica fails during `query`, the rest of it reads the primary, and then all of it runs again there.
    """
    name = _next_replica()
    if name is not None:
        replica = connections[name]
        replica.errors_occurred = False
        with _reading_from(name), suppress(DatabaseFailure):
            found = query()
            if not replica.errors_occurred:
                return found
        _after_failure(name, replica)
    return query()


def current() -> str:
    """The alias of the database to read from now."""
    name = _current.get()
    if name == PRIMARY or transaction.get_connection().in_atomic_block:
        return PRIMARY
    if _is_unavailable(name) or connections[name].errors_occurred:
        _current.set(PRIMARY)  # Until `read` ends: a later read must not return older data than an earlier one.
        return PRIMARY
    return name


def connection() -> BaseDatabaseWrapper:
    """The connection for raw SQL that reads."""
    return connections[current()]


class Router:
    """The same choice as a Django database router."""

    def db_for_read(self, _model: Any, **_hints: Any) -> str:
        return current()

    def db_for_write(self, _model: Any, **_hints: Any) -> str:
        return PRIMARY

    def allow_relation(self, _one: Any, _other: Any, **_hints: Any) -> bool:
        return True

    def allow_migrate(self, name: str, _app: str, **_hints: Any) -> bool:
        return name == PRIMARY


def _next_replica() -> str | None:
    """The next available replica, in rotation. None if there is none."""
    answering = [name for name in settings.DATABASE_REPLICAS if not _is_unavailable(name)]
    return answering[next(_rotation) % len(answering)] if answering else None


@contextmanager
def _reading_from(name: str) -> Iterator[None]:
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def _is_unavailable(name: str) -> bool:
    return time.monotonic() < unavailable_until.get(name, 0.0)


def _after_failure(name: str, replica: BaseDatabaseWrapper) -> None:
    """Avoids the replica for a while if its connection is broken. A single cancelled statement does not count."""
    if not replica.is_usable():
        unavailable_until[name] = time.monotonic() + _RETRY_AFTER_SECONDS
        logger.warning("Database %s does not answer. Not reading from it for %s s.", name, int(_RETRY_AFTER_SECONDS))
        replica.close()
