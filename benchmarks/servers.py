"""Starts what is measured, on ports and databases of its own, and stops it again whatever happens."""

import getpass
import grp
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).parent.parent
VENDURE = ROOT / "benchmarks/vendure"
PROCESSES = 2
TABLES = {
    "product": "id int, slug text, title text, description_html text, vendor text, published_at timestamptz",
    "productvariant": "id int, product_id int, sku text, option1 text, option2 text, price numeric",
    "stock": "variant_id int, on_hand int",
    "image": "id int, product_id int, file text, alt text, width int, height int, position int",
    "category": "id int, parent_id int, slug text, name text, position int",
    "tag": "id int, name text",
    "product_categories": "product_id int, category_id int",
    "product_tags": "product_id int, tag_id int",
}
TERMS = """
from storefront.models import *
zone = ShippingZone.objects.create(name="Everywhere", countries=[])
ShippingMethod.objects.create(zone=zone, name="Standard", price="4.90")
TaxRate.objects.create(country_code="DE", percent=19)
"""


@dataclass(frozen=True)
class Server:
    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    path: str = "/graphql/"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def memory(self) -> tuple[float, float]:
        """MB that the largest of its workers holds: all of it, and its share where pages are shared with the others."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return max(_memory(pid) for pid in children)

    def total_memory(self) -> float:
        """MB of all its processes together, pages that they share counted once."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_memory(pid)[1] for pid in [str(self.process.pid), *children])


def _memory(pid: str) -> tuple[float, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024


@contextmanager
def running(name: str, command: list[str], *, port: int, work: Path, patience: float = 60, path: str = "/graphql/",
            folder: Path = ROOT, **environment: str) -> Iterator[Server]:  # fmt: skip
    """A process that answers at the port, in a group of its own with whatever it starts."""
    log = work / f"{name}.log"
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(work), **environment},
        )  # fmt: skip
    try:
        if port:
            _await(process, port, patience, log)
        yield Server(name, process, port, log, path)
        if process.poll() is not None:
            raise RuntimeError(f"{name} stopped meanwhile: {_last(log)}")
    finally:
        _stop(process)


def _await(process: subprocess.Popen[bytes], port: int, patience: float, log: Path) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError(f"{log.stem} did not start: {_last(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            if number == signal.SIGKILL:
                return


def _last(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def require(commands: list[str]) -> None:
    """Ends the run if one of these is not there."""
    os.environ["PATH"] += ":/usr/sbin"  # Where Debian has nginx.
    if missing := [command for command in commands if not shutil.which(command)]:
        sys.exit(f"Not installed: {', '.join(missing)}.")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def do(command: list[str | Path], *, seconds: float = 600, folder: Path = ROOT, **environment: str) -> None:
    """Runs a command to its end; what it says is shown only if it fails."""
    ran = subprocess.run(  # noqa: S603
        command, cwd=folder, env={**os.environ, **environment}, timeout=seconds, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if ran.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{ran.stdout[-3000:]}")


def settings(database: str, **changed: str) -> dict[str, str]:
    """Commercia as in production, but for TLS and for limits that one address would run into."""
    return {
        "DEBUG": "false",
        "HTTPS": "false",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "127.0.0.1",
        "STOREFRONT_URL": "https://shop.example",
        "EMAIL_URL": "dummymail://",
        "PAYMENT_PROVIDERS": "TEST",
        "DATABASE_URL": database,
        "REDIS_URL": "",
        "BROKER_URL": "",
        "IN_PROCESS_WORKER": "false",
        "SENTRY_DSN": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "MAX_COST_PER_MINUTE": "0",
        "WEB_CONCURRENCY": str(PROCESSES),
        "WEB_THREADS": os.environ.get("WEB_THREADS", "6"),
        **changed,
    }


def gunicorn(  # noqa: ANN201
    name: str, application: str, *, work: Path, path: str = "/graphql/", folder: Path = ROOT, **environment: str
):
    """Two workers by deploy/gunicorn.conf.py, except that none is replaced after so many requests."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}",
               "--max-requests", "0", application]  # fmt: skip
    return running(name, command, port=port, work=work, path=path, folder=folder, **environment)


def worker(*, work: Path, **environment: str):  # noqa: ANN201
    """Does what purchases owe, beside the servers."""
    return running("worker", [sys.executable, "manage.py", "worker"], port=0, work=work, **environment)


def redis(name: str, *, work: Path):  # noqa: ANN201
    port = free_port()
    command = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(work),
    ]
    return running(name, command, port=port, work=work)


def vendure(name: str, database: str, *, work: Path):  # noqa: ANN201
    port = free_port()
    command = ["node", str(VENDURE / "server.mjs")]
    return running(name, command, port=port, work=work, path="/shop-api", DATABASE_URL=database, PORT=str(port),
                   NODE_ENV="production", VENDURE_DISABLE_TELEMETRY="true")  # fmt: skip


@contextmanager
def nginx(shop: Server, answers: Path, *, work: Path) -> Iterator[tuple[Server, Server]]:
    """nginx twice: with the files of a folder, and in front of the shop by deploy/nginx/commercia.conf."""
    static_port, port = free_port(), free_port()
    ours = (ROOT / "deploy/nginx/commercia.conf").read_text()
    for theirs, here in {
        "/var/cache/nginx/commercia": f"{work}/nginx-cache",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{shop.port};",
        "listen 80;": f"listen 127.0.0.1:{port};",
    }.items():
        if theirs not in ours:
            raise RuntimeError(f"deploy/nginx/commercia.conf says {theirs} no more.")
        ours = ours.replace(theirs, here)
    (work / "commercia.conf").write_text(ours)
    names = {"user": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
    text = (ROOT / "benchmarks/nginx.conf").read_text()
    (work / "nginx.conf").write_text(text.format(work=work, static_port=static_port, answers=answers, **names))
    command = ["nginx", "-c", str(work / "nginx.conf"), "-p", str(work)]
    with running("nginx", command, port=port, work=work) as started:
        yield Server("static", started.process, static_port, started.log, "/W1"), started


def create(server: str, name: str) -> str:
    """An empty database of that name; the address of it."""
    drop(server, name)
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server}/{name}"


def drop(server: str, name: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def fill_commercia(database: str, products: int) -> None:
    given = settings(database, DEBUG="true")
    do([sys.executable, "benchmarks/catalogue.py", str(products)], seconds=3600, **given)
    do([sys.executable, "manage.py", "shell", "-c", TERMS], **given)


def install_vendure() -> None:
    """By npm, once."""
    installed = VENDURE / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (VENDURE / "package-lock.json").stat().st_mtime:
        do(["npm", "ci", "--no-audit", "--no-fund"], seconds=900, folder=VENDURE)


def fill_vendure(database: str, source: str) -> None:
    """Vendure's tables by itself, the products by vendure/catalogue.sql from those of Commercia's database."""
    environment = {
        "DATABASE_URL": database,
        "SYNCHRONIZE": "true",
        "PORT": str(free_port()),
        "VENDURE_DISABLE_TELEMETRY": "true",
    }
    do(["node", VENDURE / "prepare.mjs"], seconds=300, **environment)
    with psycopg.connect(source) as ours, psycopg.connect(database, autocommit=True) as theirs:
        theirs.execute("CREATE SCHEMA staged")
        for table, columns in TABLES.items():
            names = ", ".join(column.split()[0] for column in columns.split(", "))
            theirs.execute(f"CREATE TABLE staged.{table} ({columns})")
            with (
                ours.cursor().copy(f"COPY storefront_{table} ({names}) TO STDOUT") as reading,
                theirs.cursor().copy(f"COPY staged.{table} ({names}) FROM STDIN") as writing,
            ):
                for data in reading:
                    writing.write(data)
            theirs.execute(f"ANALYZE staged.{table}")
        theirs.execute((VENDURE / "catalogue.sql").read_text())
        theirs.execute("VACUUM ANALYZE")
