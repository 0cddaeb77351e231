"""Few threads of a server work at once; whoever waits for somebody outside keeps nobody from working."""

import http.client
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from commercia.threads import PATIENCE, Threads
from tests.commercia.test_workers import free_port, wait_until

ROOT = Path(__file__).parent.parent.parent


class Work:
    """Jobs that last until they are let go, and how many of them were at it at once."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0
        self.go = threading.Event()

    @contextmanager
    def counted(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield
        with self.lock:
            self.now -= 1

    def short(self):
        with self.counted():
            time.sleep(0.001)

    def until_let_go(self):
        with self.counted():
            assert self.go.wait(10)


def finish(results):
    return [result.result(10) for result in results]


def test_two_work_at_once_however_many_there_are():
    threads, work = Threads(8), Work()
    results = [threads.submit(work.short) for _ in range(200)]
    assert [result.result(10) for result in results] == [None] * 200
    assert work.most == 2


def test_what_is_submitted_first_is_begun_first():
    threads, begun = Threads(8, working=1), []
    finish([threads.submit(begun.append, number) for number in range(100)])
    assert begun == list(range(100))


def test_an_error_is_that_of_the_job_alone():
    threads = Threads(1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(10)
    assert threads.submit(lambda: 1).result(10) == 1


def test_whoever_waits_for_somebody_gives_its_place_away_and_gets_one_back():
    threads, work = Threads(8), Work()
    outside, back = threading.Event(), []

    def pay(number):
        with work.counted():
            pass
        with threads.aside():
            assert outside.wait(10)
        with work.counted():
            back.append(number)
            time.sleep(0.001)

    waiting = [threads.submit(pay, number) for number in range(5)]
    began = time.monotonic()
    finish([threads.submit(work.short) for _ in range(100)])
    assert time.monotonic() - began < 5
    assert not back
    outside.set()
    finish(waiting)
    assert sorted(back) == [0, 1, 2, 3, 4]
    assert work.most <= 3  # One more may have got a place while the others were starting.


def test_those_who_come_back_while_others_have_nothing_to_do_get_a_place():
    threads = Threads(4)
    for _ in range(50):
        ready, go = threading.Barrier(3), threading.Event()

        def wait(ready=ready, go=go):
            with threads.aside():
                ready.wait(10)
                go.wait(10)
            return True

        waiting = [threads.submit(wait) for _ in range(2)]
        ready.wait(10)
        assert [threads.submit(int).result(10) for _ in range(4)] == [0] * 4
        go.set()
        assert [result.result(10) for result in waiting] == [True] * 2


def test_a_thread_that_is_none_of_them_has_no_place_to_give_away():
    threads, work = Threads(2, working=1), Work()
    with threads.aside(), threads.aside():
        finish([threads.submit(work.short) for _ in range(20)])
    assert work.most == 1


def test_who_works_at_one_thing_for_long_loses_its_place_to_others():
    threads, work = Threads(8), Work()
    stuck = [threads.submit(work.until_let_go) for _ in range(2)]
    wait_until(lambda: work.now == 2)
    other = Work()
    began = time.monotonic()
    finish([threads.submit(other.short) for _ in range(100)])
    assert time.monotonic() - began < 5
    assert other.most == 2
    work.go.set()
    finish(stuck)
    work.most = 0
    finish([threads.submit(work.short) for _ in range(50)])
    assert work.most == 2


def test_there_are_never_more_than_there_may_be():
    threads, work = Threads(3), Work()
    results = [threads.submit(work.until_let_go) for _ in range(6)]
    wait_until(lambda: work.now == 3)
    time.sleep(4 * PATIENCE)
    assert work.now == 3
    work.go.set()
    finish(results)
    assert work.most == 3


class Slow(BaseHTTPRequestHandler):
    """A gateway that takes its time."""

    def do_POST(self):
        time.sleep(6)
        self.send_error(503)

    def log_message(self, *_):
        pass


def test_buyers_who_wait_for_a_gateway_keep_nobody_from_the_shop(tmp_path):
    """PayPal is asked about twelve webhooks by the one process there is, and does not answer in time."""
    gateway = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    port = free_port()
    environment = os.environ | {
        "DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3",
        "IN_PROCESS_WORKER": "false",
        "REDIS_URL": "",
        "BROKER_URL": "",
        "WEB_CONCURRENCY": "1",
        "PAYMENT_PROVIDERS": "TEST PAYPAL",
        "PAYPAL_CLIENT_ID": "id",
        "PAYPAL_SECRET": "secret",
        "PAYPAL_WEBHOOK_ID": "id",
        "PAYPAL_API_BASE": f"http://127.0.0.1:{gateway.server_port}",
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", f"127.0.0.1:{port}"]
    shop = subprocess.Popen(
        [*command, "commercia.wsgi"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def ask(method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"content-type": "application/json", "paypal-transmission-time": datetime.now(UTC).isoformat()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def tell():
        told.append(ask("POST", "/webhooks/paypal/", '{"id": "WH-1", "event_type": "PAYMENT", "resource": {}}'))

    told = []
    try:
        wait_until(lambda: _answers(lambda: ask("GET", "/livez") == 200))
        tellers = [threading.Thread(target=tell) for _ in range(12)]
        for teller in tellers:
            teller.start()
        time.sleep(0.5)
        waits = []
        for _ in range(10):
            began = time.monotonic()
            assert ask("GET", "/graphql/?query=%7Bshop%7Bname%7D%7D") == 200
            waits.append(time.monotonic() - began)
        assert not told, "the gateway has answered too early for this to say anything"
        assert sorted(waits)[-2] < 1
        for teller in tellers:
            teller.join()
        assert len(told) == 12
    finally:
        shop.terminate()
        shop.wait(20)
        gateway.shutdown()
        gateway.server_close()


def _answers(ask):
    try:
        return ask()
    except OSError:
        return False
