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

Found = TypeVar("Found")

_LEFT_ALONE = 5.0
_away_until = 0.0


def get(*, key: str) -> Any:
    """What was kept; None when there is nothing."""
    return _asked(lambda: cache.get(key), None)


def keep(*, key: str, value: Any, seconds: float) -> None:
    _asked(lambda: cache.set(key, value, int(seconds)), None)


def claim(*, key: str, seconds: int) -> bool:
    """Whether nobody else has claimed it; true, too, where there is nobody to ask."""
    return _asked(lambda: cache.add(key, 1, seconds), True)  # noqa: FBT003 (what to answer without Redis)


def forget(*, key: str) -> None:
    _asked(lambda: cache.delete(key), None)


def count(*, key: str, number: int, seconds: int) -> int | None:
    """The sum of what was counted so far and the number; None where nobody counts."""

    def counted() -> int:
        cache.add(key, 0, seconds)
        try:
            return cache.incr(key, number)
        except ValueError:  # It expired between the two.
            return number

    return _asked(counted, None)


def ask_again() -> None:
    """Has Redis be asked by the next that needs it, whatever it answered last."""
    global _away_until  # noqa: PLW0603
    _away_until = 0.0


def _asked(ask: Callable[[], Found], otherwise: Found) -> Found:
    global _away_until  # noqa: PLW0603 (one Redis, one word on whether it answers)
    if not settings.REDIS_URL or time.monotonic() < _away_until:
        return otherwise
    try:
        return ask()
    except RedisError:
        _away_until = time.monotonic() + _LEFT_ALONE
        logger.warning("Redis does not answer: for %s seconds this process goes without.", int(_LEFT_ALONE))
        return otherwise
