"""Who asks for too much in a minute is told so: by the account of the token, or by the address of strangers."""

import pytest
from django.test import Client

from domain.accounts import throttle
from schema.serving import view

pytestmark = pytest.mark.django_db

ASK = "query Ask { products(first: 10) { nodes { title } } }"  # It costs 21.


@pytest.fixture
def ask(clock, settings):
    def send(query=ASK, address="203.0.114.7", **headers):
        client = Client(REMOTE_ADDR=address, headers={"accept": "application/graphql-response+json", **headers})
        return client.post("/graphql/", {"query": query}, content_type="application/json")

    send(address="127.0.0.1")  # It is known from here on.
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 6 * 50, 50
    throttle.spent.clear()
    return send


def statuses(ask, times=4, **given):
    return [ask(**given).status_code for _ in range(times)]


def test_after_so_much_in_ten_seconds_the_next_is_refused_and_says_when_to_come_again(ask, clock):
    assert statuses(ask) == [200, 200, 429, 429]
    response = ask()
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < error["extensions"]["retryAfter"] <= 10
    assert response["Retry-After"] == str(error["extensions"]["retryAfter"])
    assert "data" not in response.json()
    clock.forward(seconds=10)
    assert ask().status_code == 200


def test_whoever_is_told_so_waits_for_it_unless_others_do_already(ask, monkeypatch):
    waited = []
    monkeypatch.setattr(view.time, "sleep", waited.append)
    assert statuses(ask) == [200, 200, 429, 429]
    assert waited == [0.1, 0.1]
    assert [view.held_back.acquire(blocking=False) for _ in range(3)] == [True] * 2 + [False]
    try:
        assert ask().status_code == 429
    finally:
        view.held_back.release(2)
    assert len(waited) == 2


def test_another_address_is_another_one(ask):
    statuses(ask)
    assert ask(address="203.0.114.8").status_code == 200


def test_an_account_is_counted_wherever_it_is(ask, account, enter, api, settings):
    settings.MAX_QUERY_COST = 1_000
    enter(account())
    settings.MAX_QUERY_COST = 50
    bearer = api.client.defaults["HTTP_AUTHORIZATION"]
    throttle.spent.clear()
    assert statuses(ask, 3, authorization=bearer) == [200, 200, 429]
    assert ask(address="203.0.114.8", authorization=bearer).status_code == 429
    assert ask().status_code == 200


def test_a_token_that_is_none_is_an_address(ask):
    assert statuses(ask, authorization="Bearer x") == [200, 200, 429, 429]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", ""])
def test_the_shops_own_network_is_not_counted(ask, address):
    assert statuses(ask, address=address) == [200] * 4


def test_what_is_kept_costs_nothing(ask, kept):
    assert statuses(ask, 8) == [200] * 8
    assert ask(f"{ASK} # Another.").status_code == 429


def test_with_the_older_type_the_status_is_200(ask):
    statuses(ask)
    assert ask(accept="application/json").status_code == 200


def test_a_document_that_is_not_known_is_paid_for_before_it_is_read(ask, settings):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 6 * 700, 0
    nonsense = ["{ shop { " + f"n{number} " * 100 + "} }" for number in range(4)]
    assert [ask(each).status_code for each in nonsense] == [400, 400, 429, 429]
    assert ask(nonsense[0]).status_code == 400  # It is known by now, and costs nothing.
    assert ask(nonsense[3], address="203.0.114.8").status_code == 400


@pytest.mark.parametrize(
    ("name", "nonsense"), [("Ask query", ASK.removeprefix("query ")), ("None", "{ shop { name } }"), ("Ask'", ASK)]
)
def test_nobody_has_another_s_document_refused(api, name, nonsense):
    """What is kept of documents is kept by name and text, and no two pairs are one."""
    assert api.post(nonsense, operation=name).json()["errors"]
    assert "errors" not in api.post(ASK, operation="Ask").json()
    assert "errors" not in api.post("{ shop { name } }").json()


def test_a_name_is_paid_for_like_a_text(clock, settings):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 6 * 700, 0
    throttle.spent.clear()

    def named(name):
        client = Client(REMOTE_ADDR="203.0.114.7", headers={"accept": "application/graphql-response+json"})
        return client.post(
            "/graphql/", {"query": "{ a }", "operationName": name}, content_type="application/json"
        ).status_code

    assert [named("x" * 500), named("y" * 500)] == [400, 429]


@pytest.mark.parametrize(
    "document",
    ["{ nonsense }", "{", "{ products(first: 50) { nodes { variants { product { variants { product { id } } } } } } }"],
    ids=["invalid", "unreadable", "too costly"],
)
def test_documents_that_are_no_good_cost_what_the_dearest_may(ask, settings, document):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 6 * 500, 200
    times = [ask(f"{document} # {number}").status_code for number in range(5)]
    assert times[0] == 400
    assert times[-1] == 429


def test_one_that_is_known_to_be_no_good_costs_nothing_more(ask, settings):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 6 * 500, 200
    assert statuses(ask, 20, query="{ nonsense }") == [400] * 20


def test_what_is_known_goes_on_beside_nonsense_of_the_same_address(ask, settings):
    """Or any page that somebody has open could have them shut out, by pictures whose addresses ask us nonsense."""
    assert 429 in [ask(f"{{ nonsense{number} }}").status_code for number in range(5)]
    assert ask(ASK + " # It is not known.").status_code == 429
    assert statuses(ask) == [200, 200, 429, 429]


def test_the_first_that_is_no_good_is_told_why_however_little_may_be_spent(ask, settings):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 60, 30
    assert ask("{ told }").json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert ask("{ untold }").status_code == 429


def test_fragments_are_paid_for_by_what_comparing_them_takes(ask, settings):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 6 * 20_000, 5_000
    spread = "{ shop { " + " ".join(f"...f{number}" for number in range(74)) + " } }"
    document = spread + " ".join(f"fragment f{number} on Shop {{ name }}" for number in range(74))
    assert [ask(f"{document} # {number}").status_code for number in range(2)] == [429, 429]  # 148 * 148 is more.
    settings.MAX_COST_PER_MINUTE = 6 * 60_000
    again = [ask(f"{document} # {number} again", address="203.0.114.8").status_code for number in range(4)]
    assert again == [200, 200, 429, 429]
