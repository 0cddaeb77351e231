"""What is owed is delivered, whatever fails, and by one of many at a time."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction

from domain.base import outbox
from storefront.models import OutboxMessage
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def forward(self, much):
        self.now += much


@pytest.fixture
def clock():
    return Clock()


class Handler:
    """Remembers what it delivered, and fails as often as it is told to."""

    def __init__(self):
        self.delivered, self.failures = [], 0

    def __call__(self, payload, key, now):
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("nobody is there")
        self.delivered.append((payload["n"], key))


@pytest.fixture
def handler():
    return Handler()


def owe(number=1, kind="mail"):
    for n in range(number):
        outbox.put(kind=kind, payload={"n": n}, now=NOW)


def test_what_is_owed_is_delivered_once_in_its_order(handler, clock):
    owe(3)
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 3
    assert [n for n, _ in handler.delivered] == [0, 1, 2]
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 0


def test_what_a_transaction_takes_back_is_not_owed(handler, clock):
    with transaction.atomic():
        owe()
        transaction.set_rollback(True)
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 0


def test_a_worker_is_woken_by_what_is_owed_and_not_before(handler):
    outbox.new_messages.clear()
    with transaction.atomic():
        owe()
        assert not outbox.new_messages.is_set()
    assert outbox.new_messages.is_set()


def test_a_failure_is_tried_again_later_and_later_with_the_same_key(handler, clock):
    owe()
    handler.failures = 3
    waits = []
    while not handler.delivered:
        outbox.relay(handlers={"mail": handler}, clock=clock)
        message = OutboxMessage.objects.get()
        waits.append(message.due_at - clock.now)
        clock.forward(waits[-1])
    assert waits[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert handler.delivered == [(0, f"outbox-{message.pk}")]
    assert (message.attempts, message.error) == (4, "")


def test_one_that_fails_holds_up_no_other(handler, clock):
    owe(3)
    handler.failures = 1
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 3
    assert [n for n, _ in handler.delivered] == [1, 2]


def test_waits_are_half_a_day_in_all_and_then_it_is_a_dead_letter_that_can_be_requeued(handler, clock):
    owe()
    handler.failures = outbox.MAX_ATTEMPTS
    for _ in range(outbox.MAX_ATTEMPTS):
        outbox.relay(handlers={"mail": handler}, clock=clock)
        clock.now = OutboxMessage.objects.get().due_at
    message = OutboxMessage.objects.get()
    assert message.error == "ConnectionRefusedError: nobody is there"
    assert message.given_up_at - NOW > timedelta(hours=8)
    clock.forward(timedelta(days=30))
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 0
    assert outbox.requeue(messages=[message.pk], now=clock.now) == 1
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 1
    assert outbox.requeue(messages=[message.pk], now=clock.now) == 0
    assert len(handler.delivered) == 1


def test_a_kind_that_nobody_knows_is_kept_until_somebody_does(handler, clock):
    owe(kind="new")
    outbox.relay(handlers={"mail": handler}, clock=clock)
    clock.forward(timedelta(hours=1))
    outbox.relay(handlers={"new": handler}, clock=clock)
    assert len(handler.delivered) == 1


def test_whoever_died_with_a_message_leaves_it_to_others_after_a_while(clock, handler):
    owe()

    def die(payload, key, now):
        raise SystemExit  # As a process that is killed: nothing is noted.

    with pytest.raises(SystemExit):
        outbox.relay(handlers={"mail": die}, clock=clock)
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 0
    clock.forward(outbox.lease())
    assert outbox.relay(handlers={"mail": handler}, clock=clock) == 1


def test_a_message_that_kills_whoever_takes_it_is_a_dead_letter_in_the_end(clock):
    owe()

    def die(payload, key, now):
        raise SystemExit

    for _ in range(outbox.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            outbox.relay(handlers={"mail": die}, clock=clock)
        clock.forward(outbox.lease())
    assert outbox.relay(handlers={"mail": die}, clock=clock) == 1
    message = OutboxMessage.objects.get()
    assert (message.given_up_at, message.error) == (
        clock.now,
        "RuntimeError: Each worker that claimed this message has died.",
    )


def test_many_who_relay_at_once_deliver_each_message_once(handler, clock):
    owe(60)

    def relay(_):
        try:
            return outbox.relay(handlers={"mail": handler}, clock=clock)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        tried = sum(threads.map(relay, range(6)))
    assert tried == 60
    assert Counter(n for n, _ in handler.delivered) == dict.fromkeys(range(60), 1)


def test_what_was_delivered_is_kept_for_a_fortnight(handler, clock):
    owe(2)
    handler.failures = 1
    outbox.relay(handlers={"mail": handler}, clock=clock)
    assert outbox.prune(now=NOW + timedelta(days=13)) == 0
    assert outbox.prune(now=NOW + timedelta(days=14)) == 1
    assert OutboxMessage.objects.get().delivered_at is None


def test_nothing_due_costs_one_statement_and_no_lock(handler, clock, statements):
    with statements() as counted:
        outbox.relay(handlers={"mail": handler}, clock=clock)
    assert len(counted) == 1
