"""What the processes of a shop tell each other by Redis. Without one, or while it is away, nothing is known of it, and
nobody waits: after a failure it is left alone for some seconds."""

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
    """What was kept; None when there is nothing."""
    return _call(lambda: cache.get(key), None)


def store(*, key: str, value: Any, seconds: float) -> None:
    _call(lambda: cache.set(key, value, int(seconds)), None)


def claim(*, key: str, seconds: int) -> bool:
    """Whether nobody else has claimed it; true, too, where there is nobody to ask."""
    return _call(lambda: cache.add(key, 1, seconds), True)  # noqa: FBT003 (what to answer without Redis)


def delete(*, key: str) -> None:
    _call(lambda: cache.delete(key), None)


def increment(*, key: str, by: int, seconds: int) -> int | None:
    """The sum of what was counted so far and the number; None where nobody counts."""

    def counted() -> int:
        cache.add(key, 0, seconds)
        try:
            return cache.incr(key, by)
        except ValueError:  # It expired between the two.
            return by

    return _call(counted, None)


def _call(ask: Callable[[], Result], otherwise: Result) -> Result:
    global _unavailable_until  # noqa: PLW0603 (one Redis, one word on whether it answers)
    if not settings.REDIS_URL or time.monotonic() < _unavailable_until:
        return otherwise
    try:
        return ask()
    except RedisError:
        _unavailable_until = time.monotonic() + _RETRY_AFTER_SECONDS
        logger.warning("Redis does not answer: for %s seconds this process goes without.", int(_RETRY_AFTER_SECONDS))
        return otherwise
