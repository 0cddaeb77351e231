"""Which database is read: the primary, or while something says so a copy of it, that may be a moment behind.

A replica that does not answer costs whoever asks nothing but a moment: the primary is asked instead, and for some
seconds this process leaves the replica alone. What is written goes to the primary, and so does what is read while it
has a transaction.
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

Found = TypeVar("Found")

PRIMARY = DEFAULT_DB_ALIAS
_LEFT_ALONE = 5.0
# Until when a replica that did not answer is left alone, by its name.
away_until: dict[str, float] = {}
_turns = itertools.count()
_chosen: ContextVar[str] = ContextVar("database", default=PRIMARY)


def read(*, ask: Callable[[], Found]) -> Found:
    """What `ask` finds in one of the replicas, or in the primary where none answers.

    When a replica fails on the way, the rest is read from the primary, and then all of it once more.
    """
    name = _next()
    if name is not None:
        replica = connections[name]
        replica.errors_occurred = False
        with _reading_from(name), suppress(DatabaseFailure):
            found = ask()
            if not replica.errors_occurred:
                return found
        _after_failure(name, replica)
    return ask()


def current() -> str:
    """The name of the database that is read now."""
    name = _chosen.get()
    if name == PRIMARY or transaction.get_connection().in_atomic_block:
        return PRIMARY
    if _is_away(name) or connections[name].errors_occurred:
        _chosen.set(PRIMARY)  # To the end: what is read next must not be older than what was.
        return PRIMARY
    return name


def connection() -> BaseDatabaseWrapper:
    """For statements that read and are no queryset's."""
    return connections[current()]


class Router:
    """Tells Django the same."""

    def db_for_read(self, _model: Any, **_hints: Any) -> str:
        return current()

    def db_for_write(self, _model: Any, **_hints: Any) -> str:
        return PRIMARY

    def allow_relation(self, _one: Any, _other: Any, **_hints: Any) -> bool:
        return True

    def allow_migrate(self, name: str, _app: str, **_hints: Any) -> bool:
        return name == PRIMARY


def _next() -> str | None:
    """They take turns."""
    answering = [name for name in settings.DATABASE_REPLICAS if not _is_away(name)]
    return answering[next(_turns) % len(answering)] if answering else None


@contextmanager
def _reading_from(name: str) -> Iterator[None]:
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def _is_away(name: str) -> bool:
    return time.monotonic() < away_until.get(name, 0.0)


def _after_failure(name: str, replica: BaseDatabaseWrapper) -> None:
    """A statement that it gave up, as replicas do with long ones, or does not know yet says nothing of the next."""
    if not replica.is_usable():
        away_until[name] = time.monotonic() + _LEFT_ALONE
        logger.warning("%s does not answer: for %s seconds this process reads elsewhere.", name, int(_LEFT_ALONE))
        replica.close()
