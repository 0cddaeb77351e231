"""How fast reads are that no cache answers: this checkout's, and beside it another's, in turns on the same database.

    DATABASE_URL=postgres://… .venv/bin/python benchmarks/misses.py [--against ../before] [--rounds 5] [W1 W2 …]

Fill the database first: benchmarks/catalogue.py. Each checkout is served by gunicorn with two processes; wrk (which has
to be there) asks over 16 connections. Prints the medians of the rounds, and of their ratios, since a machine that does
something else too is slow for both.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
OPERATIONS = HERE / "operations"
SECONDS = 3
SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
"""
CATEGORY = {"categorySlug": "shirt-linen", "price": {"gte": "20", "lte": "200"}}


def work_items(port: int) -> dict[str, str]:
    """The bodies of the requests, by name. What they need of the database is asked of the shop."""

    def body(file: str, **variables: Any) -> str:
        return json.dumps({"query": (OPERATIONS / f"{file}.graphql").read_text(), "variables": variables})

    found = ask(port, body("w1-list"))["data"]["products"]
    deep = found
    for _ in range(999):
        if not deep["pageInfo"]["hasNextPage"]:
            break
        deep = ask(port, body("w1-list", after=deep["pageInfo"]["endCursor"]))["data"]["products"]
    return {
        "W1": body("w1-list"),
        "W2": body("w2-product", slug=found["nodes"][0]["slug"]),
        "W5": body("w5-search", words="shirt"),
        "W6 deep": body("w1-list", after=deep["pageInfo"]["endCursor"] if deep is not found else None),
        "W6 filtered": body("w1-list", filter=CATEGORY),
        "W6 searched": body("w6-search", words="harbour linen shirt"),
    }


def ask(port: int, body: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql/", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


class Server:
    def __init__(self, checkout: Path, port: int) -> None:
        self.port = port
        env = {
            **os.environ,
            "DEBUG": "true",
            "LOG_FORMAT": "json",
            "IN_PROCESS_WORKER": "false",
            "WEB_CONCURRENCY": "2",
        }
        command = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--worker-class", "sync"]
        self._process = subprocess.Popen(  # noqa: S603
            [*command, "--bind", f"127.0.0.1:{port}", "commercia.wsgi"],
            cwd=checkout,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/livez")
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"{checkout} does not start.")

    def per_second(self, script: Path) -> float:
        command = ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "-s", script, f"http://127.0.0.1:{self.port}/graphql/"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
        assert "Non-2xx" not in told, told
        return float(told.partition("Requests/sec:")[2].split()[0])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def main(given: argparse.Namespace) -> None:
    servers = {"here": Server(HERE.parent, 8131)}
    if given.against:
        servers["there"] = Server(given.against.resolve(), 8132)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, body in work_items(8131).items():
                if given.items and name not in given.items:
                    continue
                script = Path(folder) / "post.lua"
                script.write_text(SCRIPT % body)
                for server in servers.values():
                    server.per_second(script)  # Each process has its first request behind it then.
                runs = [{each: it.per_second(script) for each, it in servers.items()} for _ in range(given.rounds)]
                told = ", ".join(f"{each} {median(run[each] for run in runs):.0f}/s" for each in servers)
                if given.against:
                    told += f", ratio {median(run['here'] / run['there'] for run in runs):.2f}"
                print(f"{name}: {told}", flush=True)
    finally:
        for server in servers.values():
            server.stop()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("items", nargs="*")
    arguments.add_argument("--against", type=Path)
    arguments.add_argument("--rounds", type=int, default=5)
    main(arguments.parse_args())
