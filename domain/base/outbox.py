"""What is owed after an answer: written with its cause, delivered after it, at least once (docs/adr/0016)."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Event
from typing import Any, TypeAlias

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from structlog.contextvars import bound_contextvars, get_contextvars

from domain.base import locks
from domain.base.prepared_queries import insert
from storefront.models import OutboxMessage

logger = logging.getLogger(__name__)

# A handler gets the payload, a key that stays the same however often it is called with this message, and the time.
Handler: TypeAlias = Callable[[Mapping[str, Any], str, datetime], None]

MAX_ATTEMPTS = 12
_KEPT = timedelta(days=14)

# Set when this process has written something: wakes its own worker, if it has one.
news = Event()


def put(*, kind: str, payload: Mapping[str, Any], now: datetime, priority: int = 0) -> None:
    """Owes something from now on, if the transaction around it ends well. The lower the priority, the sooner."""
    message = OutboxMessage(
        kind=kind,
        payload=dict(payload),
        priority=priority,
        request_id=get_contextvars().get("request_id", ""),
        created_at=now,
        due_at=now,
    )
    insert(message)
    transaction.on_commit(news.set)


def lease() -> timedelta:
    """How long whoever took a message has it: longer than any handler waits for anybody."""
    return timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)


def back_off(*, attempts: int) -> timedelta:
    """How long to wait after so many failures: half a minute, doubled each time, six hours at most."""
    return timedelta(seconds=min(30 * 2 ** (attempts - 1), 6 * 3600))


def relay(*, handlers: Mapping[str, Handler], clock: Callable[[], datetime], most: int = 1_000) -> int:
    """Delivers what is due, one message after the other, and says how many it tried.

    Several may relay at once, in threads, processes or on hosts: each message is one's own while its lease lasts.
    It begins none when a lease's time is over: whoever calls it may have to end in time.
    """
    tried, until = 0, clock() + lease()
    while tried < most and clock() < until and _due(clock()).exists() and (message := _take(now=clock())) is not None:
        tried += 1
        with bound_contextvars(request_id=message.request_id):
            _deliver(message, handlers, clock)
    return tried


def _deliver(message: OutboxMessage, handlers: Mapping[str, Handler], clock: Callable[[], datetime]) -> None:
    try:
        if message.attempts > MAX_ATTEMPTS:
            raise RuntimeError("Nobody who took it came back.")
        handlers[message.kind](message.payload, f"outbox-{message.pk}", clock())
    except Exception as error:  # Whatever it is, the others have to go out.
        logger.warning("Message %s was not delivered (attempt %s)", message, message.attempts, exc_info=True)
        _failed(message=message, error=f"{type(error).__name__}: {error}", now=clock())
    else:
        OutboxMessage.objects.filter(pk=message.pk).update(delivered_at=clock(), error="")


def _due(now: datetime) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(due_at__lte=now, delivered_at=None, given_up_at=None)


@transaction.atomic(durable=True)
def _take(*, now: datetime) -> OutboxMessage | None:
    message = locks.due_message(candidates=_due(now))
    if message is not None:
        message.attempts += 1
        message.due_at = now + lease()
        message.save(update_fields=["attempts", "due_at"])
    return message


def _failed(*, message: OutboxMessage, error: str, now: datetime) -> None:
    over = message.attempts >= MAX_ATTEMPTS
    OutboxMessage.objects.filter(pk=message.pk, delivered_at=None).update(
        due_at=now + back_off(attempts=message.attempts), given_up_at=now if over else None, error=error[:2000]
    )


@transaction.atomic(durable=True)
def requeue(*, messages: list[int], now: datetime) -> int:
    """Has dead letters be tried again, from the first attempt on; says how many there were among these keys."""
    dead = OutboxMessage.objects.filter(pk__in=messages).exclude(given_up_at=None)
    transaction.on_commit(news.set)
    return dead.update(given_up_at=None, attempts=0, due_at=now)


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes what was delivered a fortnight ago; says how many."""
    return OutboxMessage.objects.filter(delivered_at__lte=now - _KEPT).delete()[0]
