"""The worker without a broker: delivers what is due, runs the clocks, survives failures, and stops when told to."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from domain.base import outbox
from storefront.management.commands.worker import Worker
from storefront.models import Cart, CartState, OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("It did not happen within five seconds.")


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.stop()
    if worker.ident is not None:
        worker.join(5)
    assert not worker.is_alive()


def owe(to="ada@example.com"):
    outbox.put(kind="account_known", payload={"to": to}, now=timezone.now())


def test_what_is_owed_goes_out_at_once(worker, mailoutbox, monkeypatch):
    monkeypatch.setattr(Worker, "PAUSE", 60)  # It is woken, it does not look.
    worker.start()
    owe()
    wait_until(lambda: [mail.to for mail in mailoutbox] == [["ada@example.com"]])


def test_what_another_process_owes_is_found_too(worker, mailoutbox, monkeypatch):
    monkeypatch.setattr(Worker, "PAUSE", 0.05)
    worker.start()
    now = timezone.now()
    OutboxMessage.objects.create(kind="account_known", payload={"to": "bob@example.com"}, created_at=now, due_at=now)
    wait_until(lambda: len(mailoutbox) == 1)


def test_clocks_run_when_they_are_due(worker):
    cart = Cart.objects.create(updated_at=timezone.now() - timedelta(days=400))
    worker.work()
    cart.refresh_from_db()
    assert cart.state == CartState.ABANDONED
    other = Cart.objects.create(updated_at=timezone.now() - timedelta(days=400))
    worker.work()
    other.refresh_from_db()
    assert other.state == CartState.ACTIVE


def test_a_failure_stops_nothing(worker, mailoutbox, monkeypatch, caplog):
    monkeypatch.setattr(Worker, "PAUSE", 0.05)
    fails = iter([True, True])
    work = worker.work

    def sometimes():
        if next(fails, False):
            raise RuntimeError("the database is away")
        work()

    monkeypatch.setattr(worker, "work", sometimes)
    worker.start()
    owe()
    wait_until(lambda: len(mailoutbox) == 1)
    assert caplog.text.count("The worker failed and continues.") == 2
