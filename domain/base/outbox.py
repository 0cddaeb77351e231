"""The outbox: side effects (mails, webhooks) that a transaction stores and a worker delivers later, at least once.

See docs/adr/0016.
"""

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

# Called with the payload, an idempotency key (the same for each attempt of a message), and the time.
Handler: TypeAlias = Callable[[Mapping[str, Any], str, datetime], None]

MAX_ATTEMPTS = 12
_RETENTION = timedelta(days=14)

# Set when this process has stored a message. Wakes its in-process worker, if it has one.
new_messages = Event()


def put(*, kind: str, payload: Mapping[str, Any], now: datetime, priority: int = 0) -> None:
    """Stores a message in the caller's transaction. Messages with a lower `priority` are delivered first."""
    message = OutboxMessage(
        kind=kind,
        payload=dict(payload),
        priority=priority,
        request_id=get_contextvars().get("request_id", ""),
        created_at=now,
        due_at=now,
    )
    insert(message)
    transaction.on_commit(new_messages.set)


def lease() -> timedelta:
    """How long a worker has a claimed message to itself. It must be longer than any handler takes."""
    return timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)


def back_off(*, attempts: int) -> timedelta:
    """The wait after this many failed attempts: 30 seconds, doubled each time, at most six hours."""
    return timedelta(seconds=min(30 * 2 ** (attempts - 1), 6 * 3600))


def relay(*, handlers: Mapping[str, Handler], clock: Callable[[], datetime], limit: int = 1_000) -> int:
    """Delivers due messages one by one, at most `limit`. Returns how many it tried.

    Several workers may call it at once: each claims a message for the duration of a lease. After the duration of one
    lease it starts no further message, so that it ends within the time limit of a task.
    """
    tried, until = 0, clock() + lease()
    while tried < limit and clock() < until and _due(clock()).exists() and (message := _claim(now=clock())) is not None:
        tried += 1
        with bound_contextvars(request_id=message.request_id):
            _deliver(message, handlers, clock)
    return tried


def _deliver(message: OutboxMessage, handlers: Mapping[str, Handler], clock: Callable[[], datetime]) -> None:
    try:
        if message.attempts > MAX_ATTEMPTS:
            raise RuntimeError("Each worker that claimed this message has died.")
        handlers[message.kind](message.payload, f"outbox-{message.pk}", clock())
    except Exception as error:  # One failing message must not block the others.
        logger.warning("Outbox message %s failed (attempt %s).", message, message.attempts, exc_info=True)
        _record_failure(message=message, error=f"{type(error).__name__}: {error}", now=clock())
    else:
        OutboxMessage.objects.filter(pk=message.pk).update(delivered_at=clock(), error="")


def _due(now: datetime) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(due_at__lte=now, delivered_at=None, given_up_at=None)


@transaction.atomic(durable=True)
def _claim(*, now: datetime) -> OutboxMessage | None:
    message = locks.due_message(candidates=_due(now))
    if message is not None:
        message.attempts += 1
        message.due_at = now + lease()
        message.save(update_fields=["attempts", "due_at"])
    return message


def _record_failure(*, message: OutboxMessage, error: str, now: datetime) -> None:
    over = message.attempts >= MAX_ATTEMPTS
    OutboxMessage.objects.filter(pk=message.pk, delivered_at=None).update(
        due_at=now + back_off(attempts=message.attempts), given_up_at=now if over else None, error=error[:2000]
    )


@transaction.atomic(durable=True)
def requeue(*, messages: list[int], now: datetime) -> int:
    """Queues failed messages (those given up) again, with the attempts reset. Returns how many of these keys were."""
    dead = OutboxMessage.objects.filter(pk__in=messages).exclude(given_up_at=None)
    transaction.on_commit(new_messages.set)
    return dead.update(given_up_at=None, attempts=0, due_at=now)


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes messages that were delivered more than 14 days ago. Returns how many."""
    return OutboxMessage.objects.filter(delivered_at__lte=now - _RETENTION).delete()[0]
