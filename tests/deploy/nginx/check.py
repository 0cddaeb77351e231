"""What nginx answers by itself, and what it never does: played against the servers that `run` has started."""

import http.client
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

MUG = '{ product(slug: "mug") { title images { url } } }'
JSON, MODERN = "application/json", "application/graphql-response+json"


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        self.cache = self.headers["X-Cache"]


def ask(query, method="GET", accept=JSON, **headers):
    server = http.client.HTTPConnection("127.0.0.1", int(os.environ["PROXY_PORT"]), timeout=15)
    headers = {"accept": accept, "content-type": JSON, **{name.replace("_", "-"): it for name, it in headers.items()}}
    if method == "GET":
        server.request("GET", f"/graphql/?{urlencode({'query': query})}", headers=headers)
    else:
        server.request("POST", "/graphql/", json.dumps({"query": query}), headers)
    answer = Answer(server.getresponse())
    server.close()
    return answer


def executed(name):
    lines = Path(os.environ["LOG"]).read_text().splitlines()
    return sum(f'"operation": "{name}"' in line for line in lines)


def states(times, *given, **named):
    return [ask(*given, **named).cache for _ in range(times)]


def test_what_is_public_is_fetched_once():
    first, second = ask(MUG), ask(MUG)
    assert (first.cache, second.cache) == ("MISS", "HIT")
    assert first.body == second.body
    assert json.loads(first.body)["data"]["product"]["title"]
    assert not second.headers["Set-Cookie"]
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert len(second.headers.get_all("X-Request-ID")) == 1


def test_a_browser_that_has_it_gets_no_bytes():
    again = ask(MUG, if_none_match=ask(MUG).headers["ETag"])
    assert (again.status, again.body, again.cache) == (304, b"", "HIT")


def test_each_type_and_each_origin_has_its_own():
    assert ask(MUG, accept=MODERN).headers["Content-Type"].startswith(MODERN)
    assert ask(MUG).headers["Content-Type"].startswith(JSON)
    for origin in ("http://localhost:5173", "http://localhost:3000") * 2:
        assert ask(MUG, origin=origin).headers["Access-Control-Allow-Origin"] == origin
    assert ask(MUG, origin="http://elsewhere.example").headers["Access-Control-Allow-Origin"] is None


def test_cookies_and_tokens_make_no_difference_to_what_is_public():
    assert ask(MUG, cookie="cart=x; sessionid=y", authorization="Bearer z").cache == "HIT"


def test_nothing_else_is_kept():
    for query in ("{ me { name } }", "{ cart { id } }", "{ nothing }", "{ shop { name } me { name } }"):
        assert "HIT" not in states(3, query), query
    assert set(states(3, MUG, method="POST")) == {None} or "HIT" not in states(3, MUG, method="POST")


def test_of_many_who_ask_at_once_one_is_passed_on():
    query = "query Rush { products(first: 5) { nodes { title } } }"
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, [query] * 20))
    assert len({answer.body for answer in answers}) == 1
    assert executed("Rush") == 1


def test_what_has_become_old_is_given_once_more_while_it_is_fetched():
    query = "query Old { shop { name } }"
    assert states(2, query) == ["MISS", "HIT"]
    time.sleep(3.2)  # nginx counts in whole seconds.
    assert ask(query).cache == "STALE"
    until = time.monotonic() + 10
    while (cache := ask(query).cache) != "HIT" and time.monotonic() < until:
        time.sleep(0.05)
    assert cache == "HIT"
    assert executed("Old") == 2


def test_while_the_shop_is_away_the_catalogue_stays():
    ask(MUG)
    os.kill(int(os.environ["SHOP_PID"]), signal.SIGTERM)
    time.sleep(3.2)
    answer = ask(MUG)
    assert (answer.status, answer.cache in {"STALE", "UPDATING"}) == (200, True)
    assert ask("{ me { name } }").status == 502


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print("✓", name.removeprefix("test_").replace("_", " "))  # noqa: T201 (a script)
