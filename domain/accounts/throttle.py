"""How often somebody may try something, counted per attempt, for all processes together."""

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
    """Too many attempts; in `retry_after` seconds there will be new ones."""

    code: ClassVar[str] = "RATE_LIMITED"

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {-(-retry_after // 60)} minutes.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limit:
    """Attempts in so many seconds: on one account from one address, on one account, and from one address.

    The first is the small one, so that a stranger at another address does not keep the owner out.
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

# What is spent is counted in stretches as long as this.
_COST_SECONDS = 10


def count(*, action: str, address: str, account: str = "", now: datetime) -> None:
    """Counts an attempt at one of LIMITS. Raises RateLimited if there were too many.

    `address` is the client's network address, `account` what names the account. Both are kept as digests only.
    A success is taken back by `forgive`. Never call it in a transaction that may be rolled back.
    """
    limit = LIMITS[action]
    allowed = {_key(action, subject, limit, now): most for subject, most in _subjects(limit, address, account)}
    counts = _counted(sorted(allowed), limit, now)
    if any(counts[key] > most for key, most in allowed.items()):
        raise _limited(limit, now)


def check(*, action: str, address: str, now: datetime) -> None:
    """Raises RateLimited if no attempt from the address is left; counts none."""
    limit = LIMITS[action]
    if _so_far(_key(action, ("", address), limit, now)) >= limit.address:
        raise _limited(limit, now)


def _limited(limit: Limit, now: datetime) -> RateLimited:
    return RateLimited(retry_after=limit.seconds - int(now.timestamp()) % limit.seconds)


def forgive(*, action: str, address: str, account: str, now: datetime) -> None:
    """Forgets the attempts on an account, since its owner has come. Those from the address stay counted."""
    limit = LIMITS[action]
    keys = [_key(action, subject, limit, now) for subject, _ in _subjects(limit, address, account) if subject[0]]
    try:
        if settings.REDIS_URL:
            cache.delete_many(keys)
    except RedisError:
        logger.warning("Attempts are counted in the database: Redis does not answer.")
    for key in keys:  # One by one: two who are forgiven at once do not wait for each other.
        Attempts.objects.filter(key=key).update(count=0)


class _Spent(Counter[str]):
    """What this process alone has counted in one stretch of time; too many to count begin anew."""

    most = 50_000
    stretch = 0

    def take(self, key: str, units: int, stretch: int) -> int:
        if stretch != self.stretch or len(self) > self.most:
            self.clear()
            self.stretch = stretch
        self[key] += units
        return self[key]


spent = _Spent()


def spend(*, units: int, by: str, now: datetime) -> None:
    """Takes units from what a viewer or an address may cost a minute. Raises RateLimited if they are used up.

    They are given out in parts, so that nobody spends a minute's at once, beside whom all others would wait. Counted in
    Redis, or by each process for itself: never by a statement.
    """
    if not settings.MAX_COST_PER_MINUTE:
        return
    part = settings.MAX_COST_PER_MINUTE * _COST_SECONDS // 60
    limit = Limit(seconds=_COST_SECONDS, address=max(part, settings.MAX_QUERY_COST))
    key = _key("cost", ("", by), limit, now)
    counted = shared_cache.count(key=key, number=units, seconds=limit.seconds)
    if counted is None:
        counted = spent.take(key, units, int(now.timestamp()) // limit.seconds)
    if counted > limit.address:
        raise _limited(limit, now)


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes the counters whose time has been over for an hour, so that none is being counted; says how many."""
    return Attempts.objects.filter(expires_at__lte=now - timedelta(hours=1)).delete()[0]


def _subjects(limit: Limit, address: str, account: str) -> Iterable[tuple[tuple[str, str], int]]:
    """Whose attempts are counted, as (account, address), and how many each has."""
    yield ("", address), limit.address
    if account:
        yield (account, ""), limit.account
        yield (account, address), limit.account_from_address


def _key(action: str, subject: tuple[str, str], limit: Limit, now: datetime) -> str:
    """A key of its own for each stretch of time: a lockout ends by itself."""
    stretch = int(now.timestamp()) // limit.seconds
    return hashlib.sha256("\n".join((action, *subject, str(stretch))).encode()).hexdigest()


def _counted(keys: list[str], limit: Limit, now: datetime) -> dict[str, int]:
    try:
        if settings.REDIS_URL:
            return {key: _counted_in_cache(key, limit.seconds) for key in keys}
    except RedisError:
        logger.warning("Attempts are counted in the database: Redis does not answer.")
    return _counted_in_database(keys, limit, now)


def _so_far(key: str) -> int:
    try:
        if settings.REDIS_URL:
            return int(cache.get(key, 0))
    except RedisError:
        logger.warning("Attempts are counted in the database: Redis does not answer.")
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
