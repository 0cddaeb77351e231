"""What is asked of a shop, as flows of requests, and the load that wrk makes of them."""

import json
import os
import random
import re
import subprocess
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from graphql import parse, print_ast

CONNECTIONS = 16


@dataclass(frozen=True)
class Step:
    """One request. `%{name}` in a variable stands for one of the plan's values, or for what an earlier step has picked
    out of its answer: `pick` says by which key of the JSON. An answer that does not hold `expect` is a failure."""

    document: str
    variables: dict[str, Any] = field(default_factory=dict)
    pick: dict[str, str] = field(default_factory=dict)
    expect: str = '"data"'

    @property
    def body(self) -> str:
        return json.dumps({"query": self.document, "variables": self.variables})


@dataclass(frozen=True)
class Flow:
    name: str
    steps: list[Step]
    weight: float = 1


@dataclass(frozen=True)
class Plan:
    """Flows are gone through by chance, according to their weights, by 16 buyers at once; without any, `url` is got.

    An answer that holds one of `refusals` is a failure. `token` is the header that says who one is from now on."""

    url: str
    flows: list[Flow] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    token: str = ""


@dataclass(frozen=True)
class Result:
    """Flows a second, or requests for a plan without; milliseconds of requests; each flow's count and microseconds."""

    rate: float
    p50: float
    p99: float
    flows: dict[str, dict[str, int]]


def documents(path: Path) -> dict[str, str]:
    """The operations of a file, each alone, as a client would send it."""
    return {part.name.value: print_ast(part) for part in parse(path.read_text()).definitions}


def run(plan: Plan, *, seconds: float, seed: int, work: Path) -> Result:
    """Raises RuntimeError if any request failed."""
    (work / "plan.lua").write_text(f"return {_lua(_told(plan, seed))}\n")
    script = Path(__file__).with_name("load.lua")
    threads = CONNECTIONS if plan.flows else 2
    # What is not answered when the time is over is no failure; it just does not count.
    timing = [f"-d{seconds:.0f}s", "--timeout", f"{seconds + 60:.0f}s"]
    command = ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", *timing, "-s", script, plan.url]
    ran = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=seconds + 60, check=False,
        env={"PATH": os.environ["PATH"], "PLAN": str(work / "plan.lua")},
    )  # fmt: skip
    try:
        told = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise RuntimeError(f"wrk ended with {ran.returncode}: {ran.stdout}{ran.stderr}") from None
    if told["failed"] or told["broken"]:
        raise RuntimeError(f"{told['failed']} answers failed, {told['broken']} connections broke: {told['failure']}")
    flows = {name: flow for name, flow in told["flows"].items() if flow["count"]}
    number = sum(flow["count"] for flow in flows.values()) if plan.flows else told["requests"]
    return Result(number / told["seconds"], told["p50"] / 1000, told["p99"] / 1000, flows)


def walk(plan: Plan, flow: Flow) -> list[tuple[bytes, dict[str, str]]]:
    """Goes through a flow once, alone; the answers, with their headers. Raises RuntimeError if one was refused."""
    told: dict[str, str] = {"buyer": f"alone-{random.random()}"}  # noqa: S311
    host, path = re.fullmatch(r"http://([^/]+)(/.*)", plan.url).groups()
    headers, answers = {"Content-Type": "application/json"}, []
    connection = HTTPConnection(host, timeout=60)
    for step in flow.steps:
        for name in re.findall(r"%\{(\w+)\}", step.body):
            if name not in told:
                told[name] = random.choice(plan.values[name])  # noqa: S311
        body = re.sub(r"%\{(\w+)\}", lambda found: told[found[1]], step.body)
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        text = answer.decode()
        if response.status != 200 or not _any(text, [step.expect]) or _any(text, plan.refusals):
            raise RuntimeError(f"{flow.name} was refused: {response.status} {text[:1000]}")
        for name, key in step.pick.items():
            told[name] = re.search(f'"{key}": ?"([^"]*)"', text)[1]
        if plan.token and (token := response.headers.get(plan.token)):
            headers["Authorization"] = f"Bearer {token}"
        answers.append((answer, dict(response.headers)))
    connection.close()
    return answers


def _told(plan: Plan, seed: int) -> dict[str, Any]:
    flows = [
        {
            "name": flow.name,
            "weight": flow.weight,
            "steps": [{"body": step.body, "pick": step.pick, "expect": _spelt([step.expect])} for step in flow.steps],
        }
        for flow in plan.flows
    ]
    return {
        "seed": seed,
        "flows": flows,
        "weight": sum(flow.weight for flow in plan.flows),
        "values": plan.values,
        "refusals": _spelt(plan.refusals),
        "token": plan.token,
        "headers": {"Content-Type": "application/json"} if flows else {},
    }


def _any(text: str, signs: list[str]) -> bool:
    return any(sign in text for sign in _spelt(signs))


def _spelt(signs: list[str]) -> list[str]:
    """Pieces of JSON, without spaces and with them."""
    return [spelling for sign in signs for spelling in (sign, sign.replace('":', '": '))]


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{_lua(name)}] = {_lua(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return json.dumps(value, ensure_ascii=False)
