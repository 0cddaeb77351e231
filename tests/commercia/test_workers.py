"""Real workers, in processes of their own, with a real mail server: nothing promised is forgotten or told twice.

Where BROKER_URL names a RabbitMQ, the same is shown of Celery, through a proxy that can be switched off.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings as configured
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from domain.importing import imports
from domain.sales import cart as carts
from domain.sales import orders
from storefront.models import Import, ImportKind, ImportState, OutboxMessage, Product, StockMovement
from tests.factories import ShippingMethodFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
KILLS = int(os.environ.get("KILLS", "4"))
WORKER = [sys.executable, "manage.py", "worker"]
CELERY = [str(BIN / "celery"), "-A", "commercia", "worker", "--beat", "--concurrency", "2", "--loglevel", "WARNING"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(f"It did not happen within {seconds} seconds.")


class Mailbox:
    """A mail server that may take its time before it talks, and remembers what it took."""

    def __init__(self):
        self.ids, self.delay = [], 0.0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802 (aiosmtpd's name)
        await asyncio.sleep(self.delay)
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        head = envelope.content.decode().partition("\r\n\r\n")[0]
        self.ids.append(next(line for line in head.splitlines() if line.startswith("Message-ID")))
        return "250 OK"


@pytest.fixture
def mailbox():
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    box.port = server.port
    yield box
    server.stop()


@pytest.fixture
def start(mailbox, tmp_path):
    """`start(WORKER)`: a worker on the test's database, which is killed, with all its children, at the end at last."""
    running = []
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"

    def launch(command, **env):
        environment = os.environ | {
            "DEBUG": "true",
            "DATABASE_URL": url,
            "REDIS_URL": "",
            "EMAIL_URL": f"smtp://127.0.0.1:{mailbox.port}",
            "OUTBOX_LEASE_SECONDS": "2",
            "TASK_QUEUE": f"test-{Path(database['NAME']).name}",
            **env,
        }
        schedule = ["--schedule", str(tmp_path / f"beat-{len(running)}")] if command is CELERY else []
        with (tmp_path / f"worker-{len(running)}.log").open("w") as log:
            process = subprocess.Popen(
                [*command, *schedule], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        running.append(process)
        return process

    yield launch
    for process in running:
        kill(process)


def kill(process):
    """As the kernel does it when memory is short: at once, and its children with it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def place(ready_cart):
    """`place(50)`: so many orders, each with its confirmation owed."""

    def buy(number):
        variant, shipping = VariantFactory(stock__on_hand=1_000), ShippingMethodFactory()
        for _ in range(number):
            cart = ready_cart({variant: 1}, shipping=shipping)
            now = timezone.now()
            orders.place(key=carts.CartKey(code=cart.code), expected_total=totals(cart).total, now=now)

    return buy


def all_delivered():
    return not OutboxMessage.objects.filter(delivered_at=None).exists()


def attempts():
    return OutboxMessage.objects.aggregate(Sum("attempts", default=0))["attempts__sum"]


def killed_in_mid_task(start, command):
    """Starts a worker and kills it as soon as it has taken a message, while the mail server keeps it waiting."""
    before = attempts()
    worker = start(command)
    wait_until(lambda: attempts() > before)
    kill(worker)


def each_once(mailbox, number):
    wait_until(all_delivered)
    assert Counter(mailbox.ids).most_common(1)[0][1] == 1
    assert len(mailbox.ids) == number


def test_what_was_owed_by_a_process_that_died_goes_out(start, place, mailbox):
    place(5)  # By this process, which has no worker: as if it had died between the commit and the delivery.
    start(WORKER)
    each_once(mailbox, 5)


def test_a_worker_that_is_killed_in_the_middle_again_and_again_loses_and_repeats_no_mail(start, place, mailbox):
    place(10)
    mailbox.delay = 0.4
    for _ in range(KILLS):
        killed_in_mid_task(start, WORKER)
    mailbox.delay = 0
    start(WORKER)
    each_once(mailbox, 10)
    assert attempts() == 10 + KILLS


def test_a_worker_that_is_asked_to_stop_ends_what_it_does_first(start, place, mailbox):
    place(3)
    mailbox.delay = 0.4
    worker = start(WORKER)
    wait_until(lambda: attempts() > 0)
    worker.terminate()
    assert worker.wait(20) == 0
    assert len(mailbox.ids) == OutboxMessage.objects.exclude(delivered_at=None).count() > 0


def test_an_import_is_taken_whole_however_often_its_worker_is_killed(start):
    lines = "".join(f"mug-{number},Mug,shopify,5,14.50\n" for number in range(600))
    header = "Handle,Title,Variant Inventory Tracker,Variant Inventory Qty,Variant Price\n"
    row = imports.begin(
        kind=ImportKind.PRODUCTS,
        file=ContentFile((header + lines).encode(), "mugs.csv"),
        dry_run=False,
        actor=None,
        now=timezone.now(),
    )
    for taken in (100, 400, 550):
        worker = start(WORKER)
        wait_until(lambda taken=taken: Product.objects.count() > taken)
        kill(worker)
    start(WORKER)
    wait_until(lambda: Import.objects.get().state == ImportState.DONE)
    row.refresh_from_db()
    assert (row.done, row.failed, row.updated, row.created + row.unchanged) == (601, 0, 0, 600)
    assert Product.objects.count() == StockMovement.objects.count() == 600


def test_mails_wait_for_a_mail_server_that_is_away(start, place, mailbox):
    place(2)
    vain = start(WORKER, EMAIL_URL=f"smtp://127.0.0.1:{free_port()}")
    wait_until(lambda: OutboxMessage.objects.filter(error__startswith="ConnectionRefusedError").count() == 2)
    kill(vain)
    OutboxMessage.objects.update(due_at=timezone.now())
    start(WORKER)
    wait_until(lambda: len(mailbox.ids) == 2)


# ── with a broker ────────────────────────────────────────────────────────────────────────────────────


class Proxy:
    """Stands between Celery and RabbitMQ, and can be switched off and on as the broker could. It is off at first."""

    def __init__(self, target):
        self._target, self.port = target, free_port()
        self._open, self._threads = [], []

    def on(self):
        listener = socket.create_server(("127.0.0.1", self.port))
        self._open.append(listener)
        self._start(self._accept, listener)

    def off(self):
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)
        self._open, self._threads = [], []

    def _start(self, run, *given):
        thread = Thread(target=run, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener):
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection(self._target)
                self._open += [near, far]
                self._start(self._pump, near, far)
                self._start(self._pump, far, near)

    def _pump(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


if configured.BROKER_URL:

    @pytest.fixture
    def broker():
        """RabbitMQ as the workers see it, by `broker.url`."""
        parts = urlsplit(configured.BROKER_URL)
        proxy = Proxy((parts.hostname, parts.port or 5672))
        user = f"{parts.username}:{parts.password}@" if parts.username else ""
        proxy.url = f"amqp://{user}127.0.0.1:{proxy.port}{parts.path}"
        yield proxy
        proxy.off()

    def test_orders_are_placed_without_a_broker_and_each_is_confirmed_once_when_it_is_back(
        start, place, mailbox, broker
    ):
        start(CELERY, BROKER_URL=broker.url)
        place(50)
        time.sleep(2)
        assert mailbox.ids == []
        broker.on()
        began = time.monotonic()
        wait_until(lambda: len(mailbox.ids) >= 50, seconds=60)
        each_once(mailbox, 50)
        assert time.monotonic() - began < 60
        broker.off()
        place(5)
        broker.on()
        wait_until(lambda: len(mailbox.ids) >= 55, seconds=60)
        each_once(mailbox, 55)

    def test_a_celery_worker_that_is_killed_in_mid_task_loses_and_repeats_no_mail(start, place, mailbox):
        place(10)
        mailbox.delay = 0.4
        for _ in range(KILLS):
            killed_in_mid_task(start, CELERY)
        mailbox.delay = 0
        start(CELERY)
        each_once(mailbox, 10)
