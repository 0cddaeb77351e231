"""A cache that all processes share, in Redis. Without Redis, or while it fails, each function returns its default.

After a failure this process does not call Redis for some seconds, so that no request waits for it.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_RETRY_AFTER_SECONDS = 5.0
_unavailable_until = 0.0


def get(*, key: str) -> Any:
    """The stored value; None if there is none."""
    return _call(lambda: cache.get(key), None)


def store(*, key: str, value: Any, seconds: float) -> None:
    _call(lambda: cache.set(key, value, int(seconds)), None)


def claim(*, key: str, seconds: int) -> bool:
    """Whether this caller is the first to claim the key within `seconds`. True without Redis."""
    return _call(lambda: cache.add(key, 1, seconds), True)  # noqa: FBT003 (the default)


def delete(*, key: str) -> None:
    _call(lambda: cache.delete(key), None)


def increment(*, key: str, by: int, seconds: int) -> int | None:
    """Adds to a counter that expires after `seconds`, and returns its new value; None without Redis."""

    def counted() -> int:
        cache.add(key, 0, seconds)
        try:
            return cache.incr(key, by)
        except ValueError:  # It expired between the two.
            return by

    return _call(counted, None)


def retry_now() -> None:
    """Lets the next call ask Redis again, even if it has just failed."""
    global _unavailable_until  # noqa: PLW0603 (there is one Redis)
    _unavailable_until = 0.0


def _call(ask: Callable[[], Result], otherwise: Result) -> Result:
    global _unavailable_until  # noqa: PLW0603 (there is one Redis)
    if not settings.REDIS_URL or time.monotonic() < _unavailable_until:
        return otherwise
    try:
        return ask()
    except RedisError:
        _unavailable_until = time.monotonic() + _RETRY_AFTER_SECONDS
        logger.warning("Redis does not answer. Not calling it for %s s.", int(_RETRY_AFTER_SECONDS))
        return otherwise
