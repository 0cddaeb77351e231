"""Rate limits: counts attempts for all processes together, in Redis or else in the database."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from redis.exceptions import RedisError

from domain.base import locks, shared_cache
from domain.base.errors import DomainError
from storefront.models import Attempts

logger = logging.getLogger(__name__)


class RateLimited(DomainError):
    """There were too many attempts. New ones are possible in `retry_after` seconds."""

    code: ClassVar[str] = "RATE_LIMITED"

    def __init__(self, *, retry_after: int) -> None:
        number, unit = (retry_after, "second") if retry_after < 60 else (-(-retry_after // 60), "minute")
        super().__init__(f"Too many attempts. Try again in {number} {unit}{'' if number == 1 else 's'}.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limit:
    """The allowed attempts in a window of `seconds`: from one address, on one account, and on one account from one
    address. The last is the lowest, so that a stranger at another address cannot lock the owner out.
    """

    seconds: int
    address: int
    account: int = 0
    account_from_address: int = 0


LIMITS = {
    "login": Limit(seconds=900, account_from_address=10, account=50, address=100),
    "register": Limit(seconds=3600, account_from_address=5, account=10, address=50),
    "reset": Limit(seconds=3600, account_from_address=5, account=10, address=50),
    "cart": Limit(seconds=900, address=60),
    "discount": Limit(seconds=900, address=60),
}

# The window for `spend`, in seconds.
_COST_SECONDS = 10


def count(*, action: str, address: str, account: str = "", now: datetime) -> None:
    """Counts an attempt at an action of LIMITS. Raises RateLimited if there were too many.

    `address` is the client's network address, `account` identifies the account. Only digests of them are stored.
    After a success, call `reset`. Never call this in a transaction that may be rolled back.
    """
    limit = LIMITS[action]
    allowed = {_key(action, subject, limit, now): most for subject, most in _subjects(limit, address, account)}
    counts = _counted(sorted(allowed), limit, now)
    if any(counts[key] > most for key, most in allowed.items()):
        raise _limited(limit, now)


def check(*, action: str, address: str, now: datetime) -> None:
    """Raises RateLimited if the address has no attempts left. Does not count one."""
    limit = LIMITS[action]
    if _current_count(_key(action, ("", address), limit, now)) >= limit.address:
        raise _limited(limit, now)


def _limited(limit: Limit, now: datetime) -> RateLimited:
    return RateLimited(retry_after=limit.seconds - int(now.timestamp()) % limit.seconds)


def reset(*, action: str, address: str, account: str, now: datetime) -> None:
    """Resets an account's attempts after its owner has logged in. The address's attempts stay counted."""
    limit = LIMITS[action]
    keys = [_key(action, subject, limit, now) for subject, _ in _subjects(limit, address, account) if subject[0]]
    try:
        if settings.REDIS_URL:
            cache.delete_many(keys)
    except RedisError:
        logger.warning("Redis does not answer. Counting attempts in the database.")
    for key in keys:  # One by one, so that concurrent resets cannot deadlock.
        Attempts.objects.filter(key=key).update(count=0)


class _ProcessCounter(Counter[str]):
    """This process's own counters of one time window. Cleared if there are too many."""

    most = 50_000
    stretch = 0

    def add(self, key: str, units: int, stretch: int) -> int:
        if stretch != self.stretch or len(self) > self.most:
            self.clear()
            self.stretch = stretch
        self[key] += units
        return self[key]


spent = _ProcessCounter()


def spend(*, units: int, by: str, now: datetime) -> None:
    """Counts units of cost for a viewer or an address (`by`). Raises RateLimited above MAX_COST_PER_MINUTE.

    The limit applies in windows of 10 seconds, so that no one can spend a minute's budget at once. Counts in Redis, or
    else in each process; never in the database.
    """
    if not settings.MAX_COST_PER_MINUTE:
        return
    part = settings.MAX_COST_PER_MINUTE * _COST_SECONDS // 60
    limit = Limit(seconds=_COST_SECONDS, address=max(part, settings.MAX_QUERY_COST))
    key = _key("cost", ("", by), limit, now)
    counted = shared_cache.increment(key=key, by=units, seconds=limit.seconds)
    if counted is None:
        counted = spent.add(key, units, int(now.timestamp()) // limit.seconds)
    if counted > limit.address:
        raise _limited(limit, now)


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes counters that expired more than an hour ago, so that none is in use. Returns how many."""
    return Attempts.objects.filter(expires_at__lte=now - timedelta(hours=1)).delete()[0]


def _subjects(limit: Limit, address: str, account: str) -> Iterable[tuple[tuple[str, str], int]]:
    """The counted subjects, as (account, address), with their limits."""
    yield ("", address), limit.address
    if account:
        yield (account, ""), limit.account
        yield (account, address), limit.account_from_address


def _key(action: str, subject: tuple[str, str], limit: Limit, now: datetime) -> str:
    """The counter's key. It differs in each time window, so that a lockout ends by itself."""
    stretch = int(now.timestamp()) // limit.seconds
    return hashlib.sha256("\n".join((action, *subject, str(stretch))).encode()).hexdigest()


def _counted(keys: list[str], limit: Limit, now: datetime) -> dict[str, int]:
    try:
        if settings.REDIS_URL:
            return {key: _counted_in_cache(key, limit.seconds) for key in keys}
    except RedisError:
        logger.warning("Redis does not answer. Counting attempts in the database.")
    return _counted_in_database(keys, limit, now)


def _current_count(key: str) -> int:
    try:
        if settings.REDIS_URL:
            return int(cache.get(key, 0))
    except RedisError:
        logger.warning("Redis does not answer. Counting attempts in the database.")
    return Attempts.objects.filter(key=key).values_list("count", flat=True).first() or 0


def _counted_in_cache(key: str, seconds: int) -> int:
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # It expired between the two.
        return 1


@transaction.atomic(durable=True)
def _counted_in_database(keys: list[str], limit: Limit, now: datetime) -> dict[str, int]:
    ends = datetime.fromtimestamp((int(now.timestamp()) // limit.seconds + 1) * limit.seconds, UTC)
    Attempts.objects.bulk_create([Attempts(key=key, count=0, expires_at=ends) for key in keys], ignore_conflicts=True)
    before = {row.key: row.count for row in locks.attempts(keys=keys)}
    Attempts.objects.filter(key__in=keys).update(count=F("count") + 1)
    return {key: count + 1 for key, count in before.items()}
