"""A shop under load whose Redis, and whose PostgreSQL, go and come back: real servers of its own, a real gunicorn.

Where BROKER_URL names a RabbitMQ, as in CI, the other servers are installed too.
"""

import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Event, Thread

import pytest
import redis
from django.conf import settings as configured

from tests.commercia.test_workers import free_port, wait_until

ROOT = Path(__file__).parent.parent.parent
OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "2"))
CATALOGUE = "{ products(first: 12) { nodes { title priceRange { min { amount } } } } }"
ADD = (
    'mutation { addToCart(input: {lines: [{variantId: "%s"}]}) { cart { code total { amount } } userErrors { code } } }'
)
CHECKOUT = """mutation { checkout(input: {email: "a@example.com", cartCode: "%s"}) {
  cart { checkout { email } } userErrors { code } } }"""
LOGIN = 'mutation { login(input: {email: "%s@example.com", password: "wrong one"}) { userErrors { code } } }'


class Redis:
    def __init__(self):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
        client = redis.from_url(self.url)
        wait_until(lambda: _answers(client.ping))
        client.close()

    def stop(self):
        self._process.kill()
        self._process.wait()


class Postgres:
    """A cluster in a directory of its own; as the user postgres where we are root, who may not run one."""

    def __init__(self):
        self._bin = Path(max(Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name)) / "bin")
        self._as = []
        self._home = Path(tempfile.mkdtemp(prefix="outage-"))
        if os.geteuid() == 0:
            self._as = ["runuser", "-u", "postgres", "--"]
            os.chown(self._home, pwd.getpwnam("postgres").pw_uid, -1)
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-D", str(self._home / "data"), "-U", "postgres", "-A", "trust", "--no-sync")

    def _run(self, program, *given):
        command = [*self._as, str(self._bin / program), *given]
        return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._home)

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._home} -c fsync=off"
        log = str(self._home / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self._home / "data"), "-o", options, "-l", log)

    def stop(self):
        """As when its machine goes."""
        self._run("pg_ctl", "stop", "-D", str(self._home / "data"), "-m", "immediate")

    def remove(self):
        shutil.rmtree(self._home)


def _answers(call):
    try:
        call()
    except (OSError, redis.RedisError):
        return False
    return True


class Shop:
    """gunicorn with two processes, and what it answers."""

    def __init__(self, environment, port, log):
        self.port = port
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", f"127.0.0.1:{port}"]
        self._process = subprocess.Popen(
            [*command, "commercia.wsgi"], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )

    def ask(self, query, path="/graphql/"):
        """Status and body; ConnectionError or TimeoutError without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            if query is None:
                connection.request("GET", path)
            else:
                headers = {"content-type": "application/json", "accept": "application/graphql-response+json"}
                connection.request("POST", path, json.dumps({"query": query}), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def data(self, query):
        status, body = self.ask(query)
        assert (status, "errors" in body) == (200, False), body
        return body["data"]

    def processes(self):
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return sorted(children.split())

    def stop(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Load:
    """Buyers who look, put something into a cart and state their e-mail, over and over; `answers` of (time, kind)."""

    def __init__(self, shop, variant, buyers=4):
        self._shop, self._variant, self._end = shop, variant, Event()
        self.answers, self.slowest = [], 0.0
        self._threads = [Thread(target=self._buy, daemon=True) for _ in range(buyers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def _buy(self):
        while not self._end.is_set():
            self._ask(CATALOGUE)
            added = self._ask(ADD % self._variant)
            if added:
                self._ask(CHECKOUT % added["addToCart"]["cart"]["code"])

    def _ask(self, query):
        began, data = time.monotonic(), None
        try:
            status, body = self._shop.ask(query)
            if "errors" in body:
                kind = f"{status} {body['errors'][0]['extensions']['code']}"
            else:
                kind, data = "ok", body["data"]
        except (OSError, http.client.HTTPException, ValueError) as error:
            kind = type(error).__name__
        self.answers.append((time.monotonic(), kind))
        self.slowest = max(self.slowest, time.monotonic() - began)
        return data

    def since(self, moment):
        return Counter(kind for at, kind in self.answers if at >= moment)


if configured.BROKER_URL:

    @pytest.fixture(scope="module")
    def servers():
        cache, database = Redis(), Postgres()
        cache.start()
        database.start()
        yield cache, database
        cache.stop()
        database.stop()
        database.remove()

    @pytest.fixture(scope="module")
    def shop(servers, tmp_path_factory):
        cache, database = servers
        port, directory = free_port(), tmp_path_factory.mktemp("shop")
        environment = os.environ | {
            "DEBUG": "true",
            "DATABASE_URL": database.url,
            "REDIS_URL": cache.url,
            "BROKER_URL": "",
            "MEDIA_ROOT": str(directory),
            "WEB_CONCURRENCY": "2",
        }
        for command in ("migrate", "demo"):
            given = [sys.executable, "manage.py", command, "--verbosity", "0"]
            subprocess.run(given, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        with (directory / "log").open("w") as log:
            shop = Shop(environment, port, log)
        wait_until(lambda: _answers(lambda: shop.ask("{ __typename }")))
        yield shop
        shop.stop()

    @pytest.fixture
    def variant(shop):
        found = shop.data(
            "{ products(first: 12, filter: {available: true}) { nodes { variants { id availability } } } }"
        )
        every = [variant for product in found["products"]["nodes"] for variant in product["variants"]]
        return next(variant["id"] for variant in every if variant["availability"] == "IN_STOCK")

    def refusals(shop, name, times):
        tried = [shop.data(LOGIN % name)["login"]["userErrors"][0]["code"] for _ in range(times)]
        return Counter(tried)["RATE_LIMITED"]

    def test_without_redis_the_shop_sells_and_throttles_and_finds_it_again_by_itself(servers, shop, variant):
        cache, _ = servers
        with Load(shop, variant) as load:
            cache.stop()
            gone = time.monotonic()
            assert refusals(shop, "while-away", 15) > 0
            status, told = shop.ask(None, "/readyz")
            assert (status, told["cache"]) == (200, "away")
            time.sleep(OUTAGE)
            cache.start()
            back = time.monotonic()
            wait_until(lambda: shop.ask(None, "/readyz")[1]["cache"] == "ok", seconds=10)
            assert refusals(shop, "when-back", 15) > 0
        assert set(load.since(0)) == {"ok"}, load.since(0)
        assert load.since(gone)["ok"] - load.since(back)["ok"] > 10
        assert load.slowest < 5
        client = redis.from_url(cache.url)
        assert client.dbsize() > 0
        client.close()

    def test_when_postgres_is_back_so_is_the_shop_without_a_restart_of_ours(servers, shop, variant):
        _, database = servers
        before = shop.processes()
        with Load(shop, variant) as load:
            assert set(load.since(0)) == {"ok"}
            database.stop()
            time.sleep(2)  # CATALOG_STALE_SECONDS: so long the catalogue is answered from what was right just now.
            away = time.monotonic()
            time.sleep(OUTAGE)
            assert shop.ask(None, "/readyz") == (503, {"database": "away", "cache": "ok"})
            assert shop.ask(None, "/livez")[0] == 200
            starting = time.monotonic()
            database.start()
            back = time.monotonic()
            wait_until(lambda: load.since(back)["ok"] > 0, seconds=5)
            time.sleep(2)
            settled = time.monotonic()
            time.sleep(2)
        meanwhile = load.since(away) - load.since(starting)
        # Each answered, as GraphQL, with an error that says nothing of the database.
        assert meanwhile.keys() <= {"200 INTERNAL_SERVER_ERROR", "500 INTERNAL_SERVER_ERROR"}, meanwhile
        assert sum(meanwhile.values()) > 10
        assert set(load.since(settled)) == {"ok"}, load.since(settled)
        assert load.slowest < 10
        first = min(at for at, kind in load.answers if at >= back and kind == "ok") - back
        assert first < 5
        assert shop.processes() == before
