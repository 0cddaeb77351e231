import re
import socket
import time
from datetime import timedelta
from functools import partial

import pytest
from django.conf import settings as configured
from django.core.cache import cache

from domain.accounts import accounts, sessions, throttle
from domain.accounts.accounts import Client, InvalidCredentials
from domain.accounts.throttle import LIMITS, RateLimited
from domain.sales.cart import CartKey
from storefront.models import Attempts, User
from tests.factories import NOW, UserFactory

pytestmark = pytest.mark.django_db

ADA, HOME = "ada@example.com", "192.0.2.1"
PASSWORD = "correct-horse-battery"


@pytest.fixture(params=["database", "redis"] if configured.REDIS_URL else ["database"])
def store(request, settings):
    """Where attempts are counted: both, where there is a Redis."""
    if request.param == "database":
        settings.REDIS_URL = ""
    return request.param


def redis_at(settings, port):
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": settings.REDIS_URL,
            "KEY_PREFIX": "commercia",
            "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        }
    }


def count(action="login", *, address=HOME, account=ADA, now=NOW):
    throttle.count(action=action, address=address, account=account, now=now)


def passes(attempt):
    try:
        attempt()
    except RateLimited:
        return False
    return True


def passed(attempts):
    """How many of the attempts passed before the first that did not; none may pass after it."""
    outcomes = [passes(attempt) for attempt in attempts]
    assert outcomes == sorted(outcomes, reverse=True)
    return sum(outcomes)


def counting(number, action="login", *, address=HOME, account=ADA, now=NOW):
    """Attempts from `address`, and on `account`: `{}` in them is another one each time."""
    return [
        partial(count, action, address=address.format(n), account=account.format(n), now=now) for n in range(number)
    ]


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "limit", "address", "account"),
    [
        ("login", LIMITS["login"].account_from_address, HOME, ADA),
        ("login", LIMITS["login"].account, "192.0.2.{}", ADA),
        ("login", LIMITS["login"].address, HOME, "ada{}@example.com"),
        ("register", LIMITS["register"].account_from_address, HOME, ADA),
        ("register", LIMITS["register"].account, "192.0.2.{}", ADA),
        ("register", LIMITS["register"].address, HOME, "ada{}@example.com"),
        ("reset", LIMITS["reset"].account_from_address, HOME, ADA),
        ("reset", LIMITS["reset"].account, "192.0.2.{}", ADA),
        ("reset", LIMITS["reset"].address, HOME, "ada{}@example.com"),
        ("cart", LIMITS["cart"].address, HOME, ""),
    ],
)
def test_so_many_attempts_pass_and_no_more(store, action, limit, address, account):
    assert passed(counting(limit + 3, action, address=address, account=account)) == limit


def test_limits_are_those_that_were_agreed():
    assert {action: (limit.seconds, limit.account_from_address, limit.account, limit.address)
            for action, limit in LIMITS.items()} == {
        "login": (900, 10, 50, 100),
        "register": (3600, 5, 10, 50),
        "reset": (3600, 5, 10, 50),
        "cart": (900, 0, 0, 60),
        "discount": (900, 0, 0, 60),
    }  # fmt: skip


def test_looking_counts_nothing_and_refuses_what_would_be_one_too_many(store):
    look = partial(throttle.check, action="discount", address=HOME, now=NOW)
    for _ in range(100):
        assert passes(look)
    assert passed(counting(60, "discount", account="")) == 60
    assert not passes(look)
    assert passes(partial(throttle.check, action="discount", address="192.0.2.9", now=NOW))
    assert passes(partial(throttle.check, action="discount", address=HOME, now=NOW + timedelta(minutes=15)))


def test_refused_attempts_count_against_the_address(store):
    assert passed(counting(100)) == 10
    assert not passes(partial(count, account="eve@example.com"))
    assert passes(partial(count, account="eve@example.com", address="192.0.2.2"))


def test_another_action_account_or_address_is_not_affected(store):
    assert passed(counting(11)) == 10
    assert passes(partial(count, account="bob@example.com"))
    assert passes(partial(count, address="192.0.2.2"))
    assert passes(partial(count, "reset"))
    assert not passes(count)


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("action", LIMITS)
@pytest.mark.parametrize("into", [0, 59.999, 899.999999])
def test_lockout_ends_by_itself_when_it_says(store, action, into):
    def attempt(now):
        count(action, account=ADA if LIMITS[action].account else "", now=now)

    now = NOW + timedelta(seconds=into)
    assert passed([partial(attempt, now)] * (LIMITS[action].address + 1)) > 0
    with pytest.raises(RateLimited) as refused:
        attempt(now)
    retry_after = refused.value.retry_after
    assert isinstance(retry_after, int)
    assert 1 <= retry_after <= LIMITS[action].seconds

    assert not passes(partial(attempt, now + timedelta(seconds=retry_after - 1)))
    assert passes(partial(attempt, now + timedelta(seconds=retry_after)))


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [(1, "1 second"), (4, "4 seconds"), (59, "59 seconds"), (60, "1 minute"), (61, "2 minutes"), (900, "15 minutes")],
)
def test_the_message_states_the_wait_in_its_unit(seconds, wait):
    assert RateLimited(retry_after=seconds).message == f"Too many attempts. Try again in {wait}."


@pytest.mark.parametrize(("into", "retry_after"), [(0, 900), (0.9, 900), (1, 899), (899, 1), (900, 900), (1000, 800)])
def test_seconds_until_the_next_attempt_are_told(store, into, retry_after):
    now = NOW + timedelta(seconds=into)
    assert passed(counting(10, now=now)) == 10
    with pytest.raises(RateLimited) as refused:
        count(now=now)
    assert refused.value.retry_after == retry_after


# ── forgiving ────────────────────────────────────────────────────────────────────────────────────────


def test_success_gives_the_account_all_its_attempts_back(store):
    assert passed(counting(11)) == 10
    throttle.reset(action="login", address=HOME, account=ADA, now=NOW)
    assert passed(counting(11)) == 10


def test_success_gives_back_attempts_that_came_from_elsewhere(store):
    assert passed(counting(51, address="198.51.100.{}")) == 50
    throttle.reset(action="login", address=HOME, account=ADA, now=NOW)
    assert passed(counting(49, address="203.0.113.{}")) == 49


def test_success_gives_the_address_nothing_back(store):
    def count_and_forgive():
        count()
        throttle.reset(action="login", address=HOME, account=ADA, now=NOW)

    assert passed([count_and_forgive] * 103) == 100
    assert not passes(partial(count, account="bob@example.com"))


def test_success_at_one_account_gives_another_nothing_back(store):
    assert passed(counting(10)) == 10
    throttle.reset(action="login", address=HOME, account="eve@example.com", now=NOW)
    throttle.reset(action="reset", address=HOME, account=ADA, now=NOW)
    assert not passes(count)


def test_forgiving_what_was_never_counted_does_nothing(store):
    throttle.reset(action="login", address=HOME, account=ADA, now=NOW)
    assert passed(counting(11)) == 10


# ── where it is kept ─────────────────────────────────────────────────────────────────────────────────


def kept(store):
    if store == "database":
        return [(row.key, row.count) for row in Attempts.objects.all()]
    client = cache._cache.get_client()
    prefix = cache.make_key("")
    return [(key.decode().removeprefix(prefix), int(client.get(key))) for key in client.scan_iter(match=f"{prefix}*")]


def test_attempts_are_kept_without_a_word_of_who_made_them(store):
    for attempt in counting(3):
        attempt()
    rows = kept(store)
    assert sorted(number for _, number in rows) == [3, 3, 3]
    for key, _ in rows:
        assert re.fullmatch("[0-9a-f]{64}", key)
    assert bool(Attempts.objects.exists()) == (store == "database")


def test_attempts_say_when_they_can_be_forgotten(settings):
    settings.REDIS_URL = ""
    count(now=NOW + timedelta(seconds=100))
    assert {row.expires_at for row in Attempts.objects.all()} == {NOW + timedelta(seconds=900)}


def test_attempts_are_forgotten_once_their_time_is_over(settings):
    settings.REDIS_URL = ""
    count()
    count(now=NOW + timedelta(seconds=900))
    assert throttle.prune(now=NOW + timedelta(seconds=900 + 3599)) == 0
    assert throttle.prune(now=NOW + timedelta(seconds=900 + 3600)) == 3
    assert Attempts.objects.count() == 3


if configured.REDIS_URL:

    def test_attempts_leave_redis_by_themselves():
        count()
        client = cache._cache.get_client()
        lives = [client.ttl(cache.make_key(key)) for key, _ in kept("redis")]
        assert len(lives) == 3
        assert all(890 <= seconds <= 900 for seconds in lives)


def test_counting_costs_the_same_whoever_it_is(settings, statements):
    settings.REDIS_URL = ""
    for _ in range(2):
        with statements() as counted:
            count()
        assert len(counted) == 3


def test_attempts_are_counted_in_the_database_while_redis_is_not_there(settings, caplog):
    redis_at(settings, 1)
    assert passed(counting(12)) == 10
    throttle.reset(action="login", address=HOME, account=ADA, now=NOW)
    assert passed(counting(11)) == 10
    assert Attempts.objects.exists()
    assert "Redis does not answer" in caplog.text
    assert ADA not in caplog.text
    assert HOME not in caplog.text


def test_redis_that_never_answers_is_not_waited_for(settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis_at(settings, silent.getsockname()[1])
        began = time.monotonic()
        count()
        assert time.monotonic() - began < 5
    assert Attempts.objects.count() == 3


# ── logging in ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ada():
    user = UserFactory.build(email=ADA)
    user.set_password(PASSWORD)
    user.save()
    return user


def login(password=PASSWORD, *, email=ADA, address=HOME, now=NOW):
    return accounts.login(email=email, password=password, cart=CartKey(), client=Client(address), now=now)


def fail(times, **given):
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            login("wrong", **given)


def test_right_password_is_refused_while_there_were_too_many_wrong_ones(store, ada):
    fail(10)
    with pytest.raises(RateLimited) as refused:
        login()
    assert not ada.sessions.exists()
    assert login(now=NOW + timedelta(seconds=refused.value.retry_after)).user == ada


def test_stranger_who_guesses_keeps_the_owner_at_another_address_not_out(store, ada):
    fail(10, address="203.0.113.9")
    assert login().user == ada


def test_guesses_count_together_however_the_email_is_spelled(store, ada):
    for email in ["ada@example.com", " Ada@Example.com", "ADA@ＥＸＡＭＰＬＥ.com", "ada@example。com "] * 2:
        fail(1, email=email)
    fail(2)
    with pytest.raises(RateLimited):
        login()


def test_unknown_email_is_limited_as_a_known_one_is(store, ada):
    fail(10, email="nobody@example.com")
    with pytest.raises(RateLimited):
        login("wrong", email="nobody@example.com")


def test_login_forgives_the_wrong_passwords_before_it(store, ada):
    for _ in range(5):
        fail(9)
        assert login().user == ada


def test_stranger_who_claims_the_email_wins_no_guesses_at_its_owner_s_password(store, ada):
    accounts.register(email=ADA, password="a-stranger-s-own", cart=CartKey(), client=Client(HOME), now=NOW)
    outcomes = []
    for attempt in range(20):
        try:
            login("a-stranger-s-own" if attempt % 2 else f"guess-{attempt}")
        except (InvalidCredentials, RateLimited) as refused:
            outcomes.append(type(refused))
    assert outcomes.count(InvalidCredentials) <= 10
    assert outcomes[-1] is RateLimited


def test_session_goes_on_while_its_user_could_not_log_in(store, ada):
    token = login().refresh_token
    fail(10)
    with pytest.raises(RateLimited):
        login()
    assert sessions.refresh(refresh_token=token, now=NOW).session.user == ada


@pytest.mark.parametrize("act", ["change", "delete"])
def test_password_cannot_be_guessed_in_a_session_that_was_left_open(store, ada, act):
    def confirm(password):
        given = {"user": User.objects.get(), "client": Client(HOME), "now": NOW}
        if act == "delete":
            accounts.delete_account(password=password, **given)
        else:
            accounts.change_password(current=password, password="another-good-one", **given)

    for _ in range(10):
        with pytest.raises(InvalidCredentials):
            confirm("wrong")
    with pytest.raises(RateLimited):
        confirm(PASSWORD)
    assert User.objects.get().check_password(PASSWORD)
    assert login().user == ada


def test_register_and_reset_are_limited(store, ada):
    def register():
        accounts.register(email=ADA, password="another-good-one", cart=CartKey(), client=Client(HOME), now=NOW)

    def reset():
        accounts.request_password_reset(email=ADA, client=Client(HOME), now=NOW)

    assert passed([register] * 8) == 5
    assert passed([reset] * 8) == 5
    assert login().user == ada


def test_input_that_is_wrong_by_itself_is_no_attempt(store):
    for _ in range(10):
        with pytest.raises(accounts.InvalidInput):
            accounts.register(email=ADA, password="short", cart=CartKey(), client=Client(HOME), now=NOW)
    accounts.register(email=ADA, password=PASSWORD, cart=CartKey(), client=Client(HOME), now=NOW)


# ── what operations cost ─────────────────────────────────────────────────────────────────────────────


def spend(units, by="198.51.100.7", now=NOW):
    throttle.spend(units=units, by=by, now=now)


@pytest.fixture
def allowance(settings, store):
    settings.MAX_COST_PER_MINUTE, settings.MAX_QUERY_COST = 600, 80
    throttle.spent.clear()


@pytest.mark.usefixtures("allowance")
def test_whoever_has_cost_too_much_waits_for_the_next_ten_seconds():
    assert passed(partial(spend, units) for units in (60, 40, 1, 1)) == 2
    with pytest.raises(RateLimited) as limited:
        spend(1, now=NOW + timedelta(seconds=4))
    assert limited.value.retry_after == 6
    spend(100, now=NOW + timedelta(seconds=10))


@pytest.mark.usefixtures("allowance")
def test_the_dearest_operation_is_never_too_much_by_itself(settings):
    settings.MAX_QUERY_COST = 20_000
    spend(20_000)
    assert not passes(partial(spend, 1))


@pytest.mark.usefixtures("allowance")
def test_each_has_an_allowance_of_their_own():
    spend(100)
    spend(100, by="198.51.100.8")
    assert not passes(partial(spend, 1))


@pytest.mark.usefixtures("allowance")
def test_what_is_spent_costs_no_statement(statements):
    with statements() as counted:
        spend(10)
    assert len(counted) == 0


@pytest.mark.usefixtures("allowance")
def test_an_allowance_of_zero_is_none_at_all(settings):
    settings.MAX_COST_PER_MINUTE = 0
    spend(1_000_000)


@pytest.mark.usefixtures("allowance")
def test_without_redis_each_process_counts_for_itself(settings):
    redis_at(settings, 1)
    assert passed(partial(spend, 50) for _ in range(4)) == 2


def test_counters_do_not_fill_the_memory(settings, monkeypatch):
    settings.REDIS_URL = ""
    monkeypatch.setattr(throttle.spent, "most", 100)
    for number in range(1_000):
        spend(1, by=str(number))
    assert len(throttle.spent) <= 101
