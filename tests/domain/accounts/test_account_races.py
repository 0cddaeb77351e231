"""What holds when requests of one visitor, or of one who guesses, come at the same moment."""

from collections import Counter
from datetime import timedelta
from functools import partial
from hashlib import sha256

import pytest
from django.conf import settings as configured
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import transaction
from django.db.models import Sum

from domain.accounts import accounts, sessions, throttle
from domain.accounts.accounts import Client, InvalidCredentials, LoggedIn
from domain.accounts.sessions import ActiveSession, TokenExpired, TokenReused
from domain.accounts.throttle import LIMITS, RateLimited
from domain.base.errors import InvalidInput, NotFound
from domain.sales import cart as carts
from domain.sales import checkout, orders
from domain.sales.cart import CartKey
from domain.sales.priced_cart import PricedCart
from storefront.models import (
    Cart,
    CartLine,
    CartState,
    Order,
    OrderLine,
    RefreshToken,
    SavedAddress,
    Session,
    User,
)
from tests.domain.sales.test_races import adding, kinds, placing, together
from tests.factories import ADDRESS, NOW, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db(transaction=True)

ADA, PASSWORD, OTHER = "ada@example.com", "correct-horse-battery", "another-good-one"


def account(email=ADA, password=PASSWORD, **given):
    user = UserFactory.build(email=email, **given)
    user.set_password(password)
    user.save()
    return user


def digest(token):
    """As it is kept."""
    return sha256(token.encode()).hexdigest()


def logging_in(email=ADA, *, password=PASSWORD, address="192.0.2.1", cart=None, by=accounts.login):
    key = CartKey(remembered=cart.code if cart else None)
    return partial(by, email=email, password=password, cart=key, client=Client(address), now=NOW)


registering = partial(logging_in, by=accounts.register)


def changing(user, password=OTHER):
    page = User.objects.get(pk=user.pk)
    return partial(
        accounts.change_password, user=page, current=PASSWORD, password=password, client=Client("192.0.2.9"), now=NOW
    )


def refreshing(token, now=NOW):
    return partial(sessions.refresh, refresh_token=token, now=now)


@transaction.atomic
def begun(user, now=NOW):
    return sessions.begin(user=user, user_agent="", now=now)


def units(**lines):
    return CartLine.objects.filter(**lines).aggregate(units=Sum("quantity", default=0))["units"]


def alive(entries):
    """Those of the sessions that still go on."""
    return {entry.session for entry in entries} & set(sessions.active(now=NOW))


# ── refreshing ───────────────────────────────────────────────────────────────────────────────────────


def test_token_refreshed_fifty_times_at_once_has_one_successor():
    entry = begun(account())
    outcomes = together(*[refreshing(entry.refresh_token)] * 50)
    assert kinds(outcomes) == {ActiveSession: 50}
    (successor,) = {outcome.refresh_token for outcome in outcomes}
    assert successor != entry.refresh_token
    assert (RefreshToken.objects.count(), RefreshToken.objects.filter(replaced_at=None).count()) == (2, 1)
    assert refreshing(successor)().session == entry.session


def test_without_a_grace_one_of_fifty_refreshes_succeeds_and_the_session_is_over(monkeypatch):
    monkeypatch.setattr(sessions, "GRACE", timedelta(seconds=-1))
    entry = begun(account())
    outcomes = together(*[refreshing(entry.refresh_token)] * 50)
    assert kinds(outcomes) == {ActiveSession: 1, TokenReused: 1, TokenExpired: 48}
    assert not Session.objects.exists()
    assert not RefreshToken.objects.exists()


def test_chain_of_tokens_refreshed_at_once_ends_in_one_newest():
    first = begun(account()).refresh_token
    second = refreshing(first)().refresh_token
    outcomes = together(*[refreshing(first), refreshing(second)] * 10)
    assert kinds(outcomes) == {ActiveSession: 20}
    assert RefreshToken.objects.filter(replaced_at=None).count() == 1
    newest = RefreshToken.objects.get(replaced_at=None).digest
    assert {digest(outcome.refresh_token) for outcome in outcomes} <= {digest(second), newest}


@pytest.mark.parametrize("ended", ["all", "by id", "by token", "by password"])
def test_no_token_outlives_the_end_of_its_session(ended):
    for number in range(5):
        user = account(f"ada{number}@example.com")
        entries = [begun(user) for _ in range(4)]
        end = {
            "all": [partial(sessions.end_all, user=user)],
            "by id": [partial(sessions.end, session_id=entry.session.pk, refresh_tokens=[]) for entry in entries],
            "by token": [partial(sessions.end, session_id=None, refresh_tokens=[e.refresh_token for e in entries])],
            "by password": [changing(user)],
        }[ended]
        outcomes = together(*[refreshing(entry.refresh_token) for entry in entries * 3], *end)
        *refreshed, last = outcomes[: -len(end)], outcomes[-len(end) :]
        assert set(kinds(refreshed[0])) <= {ActiveSession, TokenExpired}
        assert not [outcome for outcome in last if isinstance(outcome, Exception)]
        for entry in [*entries, *(outcome for outcome in refreshed[0] if isinstance(outcome, ActiveSession))]:
            with pytest.raises(TokenExpired):
                refreshing(entry.refresh_token)()
        assert user.sessions.count() == (1 if ended == "by password" else 0)


def test_sessions_deleted_for_new_ones_while_they_are_refreshed_leave_no_trace():
    user = account()
    entries = [begun(user, NOW - timedelta(hours=1)) for _ in range(sessions.MAX_SESSIONS)]
    logins = [logging_in(address=f"192.0.2.{number}") for number in range(20)]
    outcomes = together(*logins, *[refreshing(entry.refresh_token) for entry in entries[:20]])
    assert kinds(outcomes[:20]) == {LoggedIn: 20}
    assert set(kinds(outcomes[20:])) <= {ActiveSession, TokenExpired}
    assert user.sessions.count() == sessions.MAX_SESSIONS
    assert len(alive(outcomes[:20])) == 20
    assert set(RefreshToken.objects.values_list("session", flat=True)) == set(
        user.sessions.values_list("pk", flat=True)
    )


# ── coming in ────────────────────────────────────────────────────────────────────────────────────────


def test_one_account_logged_in_to_many_times_at_once_gets_the_guest_s_cart_once():
    user, variant = account(), VariantFactory(stock__on_hand=1000)
    adding(variant, 5, user=user)()
    guest = adding(variant, 3)()
    outcomes = together(*[logging_in(address=f"192.0.2.{number}", cart=guest) for number in range(20)])
    assert kinds(outcomes) == {LoggedIn: 20}
    assert Counter(len(entered.changes) for entered in outcomes) == {1: 1, 0: 19}
    assert units(cart=user.carts.get(state=CartState.ACTIVE)) == 8
    assert user.sessions.count() == len(alive(outcomes)) == 20


def test_carts_of_many_devices_that_log_in_at_once_come_together():
    user, variant, other = account(), *VariantFactory.create_batch(2, stock__on_hand=1000)
    guests = [adding(variant, 1)() for _ in range(20)]
    for guest in guests:
        adding(other, 2, code=guest.code)()
    logins = [logging_in(address=f"192.0.2.{n}", cart=guest) for n, guest in enumerate(guests)]
    outcomes = together(*logins)
    assert kinds(outcomes) == {LoggedIn: 20}
    assert {len(entered.changes or ()) for entered in outcomes} == {2}
    own = user.carts.get(state=CartState.ACTIVE)
    assert {line.variant: line.quantity for line in own.lines.all()} == {variant: 20, other: 40}


def test_accounts_that_log_in_at_once_with_one_guest_s_cart_do_not_share_it():
    variant = VariantFactory(stock__on_hand=1000)
    guest = adding(variant, 3)()
    users = [account(f"ada{number}@example.com") for number in range(20)]
    logins = [logging_in(user.email, address=f"192.0.2.{n}", cart=guest) for n, user in enumerate(users)]
    outcomes = together(*logins)
    assert kinds(outcomes) == {LoggedIn: 20}
    (winner,) = [entered.user for entered in outcomes if entered.changes]
    guest.refresh_from_db()
    assert (guest.state, guest.user) == (CartState.MERGED, winner)
    assert units(cart__state=CartState.ACTIVE) == units(cart__user=winner, cart__state=CartState.ACTIVE) == 3


def test_browser_that_logs_in_to_many_accounts_at_once_leaves_its_session():
    before = begun(account())
    users = [account(f"ada{number}@example.com") for number in range(20)]
    clients = [Client(f"192.0.2.{number}", refresh_token=before.refresh_token) for number in range(20)]
    calls = [
        partial(accounts.login, email=user.email, password=PASSWORD, cart=CartKey(), client=client, now=NOW)
        for user, client in zip(users, clients, strict=True)
    ]
    *outcomes, refreshed = together(*calls, refreshing(before.refresh_token))
    assert kinds(outcomes) == {LoggedIn: 20}
    assert type(refreshed) in {ActiveSession, TokenExpired}
    assert set(Session.objects.all()) == {entered.session for entered in outcomes}


def test_units_added_while_the_cart_is_merged_are_in_the_account_s_cart_or_refused():
    for number in range(8):
        user, variant = account(f"ada{number}@example.com"), VariantFactory(stock__on_hand=1000)
        guest = adding(variant, 1)()
        to_guest, to_own = [adding(variant, 2, code=guest.code)] * 5, [adding(variant, 10, user=user)] * 5
        login = logging_in(user.email, address=f"192.0.2.{number}", cart=guest)
        entered, *added = together(login, *(call for pair in zip(to_guest, to_own, strict=True) for call in pair))
        assert (type(entered), len(entered.changes)) == (LoggedIn, 1)
        assert set(kinds(added[::2])) <= {Cart, carts.UnknownCartCode}
        assert kinds(added[1::2]) == {Cart: 5}
        assert units(cart=user.carts.get(state=CartState.ACTIVE)) == 1 + 2 * kinds(added[::2])[Cart] + 50


def test_units_added_from_a_browser_that_remembers_the_merged_cart_are_in_one_cart_or_another():
    for number in range(8):
        user, variant = account(f"ada{number}@example.com"), VariantFactory(stock__on_hand=1000)
        guest = adding(variant, 1)()
        login = logging_in(user.email, address=f"192.0.2.{number}", cart=guest)
        entered, *added = together(login, *[adding(variant, 2, remembered=guest.code)] * 8)
        assert (type(entered), kinds(added)) == (LoggedIn, {Cart: 8})
        in_guests = {cart.pk for cart in added} - {guest.pk}
        assert units(variant=variant, cart__state=CartState.ACTIVE) == 17
        assert units(variant=variant, cart__in=in_guests) == 2 * len(in_guests)


def test_guest_s_cart_that_is_placed_during_the_login_is_an_order_or_in_the_account_s_cart(ready_cart):
    shipping = ShippingMethodFactory()
    for number in range(15):
        user, variant = account(f"ada{number}@example.com"), VariantFactory()
        guest = ready_cart({variant: 2}, shipping=shipping)
        place = placing(guest)
        login = logging_in(user.email, address=f"192.0.2.{number}", cart=guest)
        calls = (login, place) if number % 2 else (place, login)
        entered, placed = together(*calls)[:: 1 if number % 2 else -1]
        assert isinstance(entered, LoggedIn)
        ordered = OrderLine.objects.filter(order__cart=guest).aggregate(units=Sum("quantity", default=0))["units"]
        if isinstance(placed, orders.Placed):
            assert (entered.changes, placed.order.user, ordered) == ([], None, 2)
            assert units(cart__user=user) == 0
        else:
            assert isinstance(placed, NotFound)
            assert (len(entered.changes), ordered) == (1, 0)
            assert units(cart=user.carts.get(state=CartState.ACTIVE)) == 2


def test_account_s_cart_that_is_placed_during_a_login_elsewhere_loses_no_unit(ready_cart):
    shipping = ShippingMethodFactory()
    for number in range(15):
        user, variant = account(f"ada{number}@example.com"), VariantFactory()
        own = ready_cart({variant: 2}, user, shipping)
        guest = adding(variant, 3)()
        place = partial(orders.place, key=CartKey(code=own.code, user=user), expected_total=totals(own).total, now=NOW)
        entered, placed = together(logging_in(user.email, address=f"192.0.2.{number}", cart=guest), place)
        assert (type(entered), len(entered.changes)) == (LoggedIn, 1)
        if isinstance(placed, orders.Placed):
            assert placed.order.lines.get().quantity == 2
            assert units(cart=user.carts.get(state=CartState.ACTIVE)) == 3
        else:
            assert isinstance(placed, orders.TotalChanged)
            assert units(cart=user.carts.get(state=CartState.ACTIVE)) == 5


@pytest.mark.parametrize("known", [False, True])
def test_one_visitor_who_registers_twice_at_once_has_one_account(known):
    for number in range(10):
        email = f"ada{number}@example.com"
        if known:
            account(email, OTHER)
        variant = VariantFactory()
        guest = adding(variant, 3)()
        outcomes = together(*[registering(email, cart=guest, address=f"192.0.2.{number}")] * 4)
        assert kinds(outcomes) == {LoggedIn: 4}
        (user,) = {entered.user for entered in outcomes}
        assert User.objects.get(claimed_email=email) == user
        assert Counter(len(entered.changes) for entered in outcomes) == {1: 1, 0: 3}
        assert units(cart=user.carts.get(state=CartState.ACTIVE)) == 3
        assert user.sessions.count() == 4


def test_visitors_who_register_one_email_at_once_each_have_an_account():
    calls = [registering(password=f"{PASSWORD}-{n}", address=f"192.0.2.{n}") for n in range(8)]
    outcomes = together(*calls)
    assert kinds(outcomes) == {LoggedIn: 8}
    assert len({entered.user for entered in outcomes}) == User.objects.count() == 8


def test_email_that_two_claim_and_prove_at_once_is_one_s_only():
    for number in range(10):
        email = f"ada{number}@example.com"
        claims = [account(None, claimed_email=email) for _ in range(3)]
        tokens = [
            accounts.signing.dumps({"user": str(user.pk), "email": email}, salt=accounts.PROOF_SALT) for user in claims
        ]
        outcomes = together(*[partial(accounts.verify_email, token=token) for token in tokens * 2])
        assert kinds(outcomes) == {User: 2, InvalidInput: 4}
        (winner,) = {outcome for outcome in outcomes if isinstance(outcome, User)}
        assert User.objects.get(email=email) == winner
        assert User.objects.filter(claimed_email=email).count() == 2


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────


def test_no_session_that_the_old_password_opened_outlives_the_change():
    for number in range(10):
        email = f"ada{number}@example.com"
        user = account(email)
        logins = [logging_in(email, address=f"198.51.100.{n}") for n in range(8)]
        *entered, changed = together(*logins[:4], *logins[4:], changing(user))
        assert isinstance(changed, LoggedIn)
        assert set(kinds(entered)) <= {LoggedIn, InvalidCredentials}
        assert set(sessions.active(now=NOW).filter(user=user)) == {changed.session}
        for outcome in entered:
            if isinstance(outcome, LoggedIn):
                with pytest.raises(TokenExpired):
                    refreshing(outcome.refresh_token)()


def test_password_changed_many_times_at_once_is_changed_once():
    for number in range(5):
        user = account(f"ada{number}@example.com")
        passwords = [f"{OTHER}-{n}" for n in range(6)]
        outcomes = together(*[changing(user, password) for password in passwords])
        assert kinds(outcomes) == {LoggedIn: 1, TokenExpired: 5}
        (changed,) = [outcome for outcome in outcomes if isinstance(outcome, LoggedIn)]
        user.refresh_from_db()
        assert [user.check_password(password) for password in passwords].count(True) == 1
        assert set(sessions.active(now=NOW).filter(user=user)) == {changed.session}


def test_link_that_sets_a_password_works_once_however_many_follow_it_at_once(delivered):
    for number in range(5):
        user = account(None, claimed_email=f"ada{number}@example.com")
        accounts.request_password_reset(email=user.address, client=Client("192.0.2.1"), now=NOW)
        token = delivered()[-1].body.partition("token=")[2].split()[0]
        given = {"token": token, "cart": CartKey(), "client": Client("192.0.2.1"), "now": NOW}
        outcomes = together(*[partial(accounts.reset_password, password=f"{OTHER}-{n}", **given) for n in range(6)])
        assert kinds(outcomes) == {LoggedIn: 1, TokenExpired: 5}
        assert user.sessions.count() == 1
        user.refresh_from_db()
        assert user.email == f"ada{number}@example.com"


def test_stronger_hash_made_at_a_login_brings_no_old_password_back(settings, monkeypatch):
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    user, verify = account(), PBKDF2PasswordHasher.verify
    User.objects.update(password=PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, iterations=1))

    def verified_while_it_is_changed(self, password, encoded):
        monkeypatch.setattr(PBKDF2PasswordHasher, "verify", verify)
        right = verify(self, password, encoded)
        changing(user)()
        return right

    monkeypatch.setattr(PBKDF2PasswordHasher, "verify", verified_while_it_is_changed)
    with pytest.raises(InvalidCredentials):
        logging_in()()
    user.refresh_from_db()
    assert (user.check_password(PASSWORD), user.check_password(OTHER)) == (False, True)


def test_stronger_hash_made_by_django_brings_no_old_password_back(settings):
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    account()
    User.objects.update(password=PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, iterations=1))
    page = User.objects.get()
    changing(page)()
    page.check_password(PASSWORD)
    user = User.objects.get()
    assert (user.check_password(PASSWORD), user.check_password(OTHER)) == (False, True)


# ── the account ──────────────────────────────────────────────────────────────────────────────────────


def test_address_book_filled_at_once_has_50_entries():
    user = account()
    SavedAddress.objects.bulk_create(SavedAddress(user=user, address=ADDRESS, created_at=NOW) for _ in range(45))
    save = partial(accounts.save_address, user=user, address_id=None, address=ADDRESS, now=NOW)
    outcomes = together(*[save] * 20)
    assert kinds(outcomes) == {SavedAddress: 5, InvalidInput: 15}
    assert user.addresses.count() == 50


def test_account_deleted_while_it_is_used_is_left_by_all_and_nobody_waits_for_another(ready_cart):
    shipping = ShippingMethodFactory()
    for number in range(10):
        user, variant = account(f"ada{number}@example.com"), VariantFactory(stock__on_hand=1000)
        own, guest = ready_cart({variant: 1}, user, shipping), adding(variant, 1)()
        entry, key = begun(user), CartKey(code=own.code, user=user)
        total = totals(own).total
        deleted, *outcomes = together(
            partial(accounts.delete_account, user=user, password=PASSWORD, client=Client("192.0.2.1"), now=NOW),
            logging_in(user.email, address=f"192.0.2.{10 + number}", cart=guest),
            refreshing(entry.refresh_token),
            *[partial(checkout.update, key=key, email=f"ada{n}@example.com", now=NOW) for n in range(4)],
            partial(orders.place, key=key, expected_total=total, now=NOW),
            partial(accounts.save_address, user=user, address_id=None, address=ADDRESS, now=NOW),
        )
        assert deleted is None
        entered, refreshed, *_updated, placed, _saved = outcomes
        assert type(entered) in {LoggedIn, InvalidCredentials}
        assert type(refreshed) in {ActiveSession, TokenExpired}
        assert set(kinds(outcomes[2:6])) <= {PricedCart, carts.CartLocked}
        assert isinstance(placed, orders.Placed | carts.CartLocked | orders.TotalChanged | checkout.EmailMissing)
        assert not user.sessions.exists()
        assert not User.objects.get(pk=user.pk).is_active


# ── attempts ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["database", "redis"] if configured.REDIS_URL else ["database"])
def store(request, settings):
    """Where attempts are counted: both, where there is a Redis, which is waited for on a busy machine."""
    if request.param == "database":
        settings.REDIS_URL = ""
    else:
        patient = {"socket_timeout": 20, "socket_connect_timeout": 20}
        settings.CACHES = {"default": settings.CACHES["default"] | {"OPTIONS": patient}}
    return request.param


@pytest.mark.parametrize(
    ("action", "attempts", "limit", "address", "who"),
    [
        ("login", 40, LIMITS["login"].account_from_address, "192.0.2.1", ADA),
        ("register", 40, LIMITS["register"].account, "192.0.2.{}", ADA),
        ("reset", 10, LIMITS["reset"].account_from_address, "192.0.2.1", ADA),
        ("cart", 100, LIMITS["cart"].address, "192.0.2.1", ""),
    ],
)
def test_so_many_attempts_pass_at_once_and_no_more(store, action, attempts, limit, address, who):
    count = partial(throttle.count, action=action, account=who, now=NOW)
    outcomes = together(*[partial(count, address=address.format(n)) for n in range(attempts)])
    assert kinds(outcomes) == {type(None): limit, RateLimited: attempts - limit}


def test_no_more_attempts_pass_at_once_where_several_limits_are_passed(store):
    outcomes = together(*[partial(throttle.count, action="reset", address="192.0.2.1", account=ADA, now=NOW)] * 60)
    assert 1 <= kinds(outcomes)[type(None)] <= LIMITS["reset"].account_from_address
    assert set(kinds(outcomes)) == {type(None), RateLimited}


def test_passwords_guessed_at_once_are_no_more_than_one_after_another(store):
    account()
    outcomes = together(*[logging_in(password="wrong")] * 40)
    assert kinds(outcomes) == {InvalidCredentials: 10, RateLimited: 30}


def test_attempts_counted_while_others_are_forgiven_do_not_fail(store):
    count = partial(throttle.count, action="login", account=ADA, now=NOW)
    forgive = partial(throttle.reset, action="login", account=ADA, now=NOW)
    calls = [partial(call, address=f"192.0.2.{n % 5}") for n in range(60) for call in (count, forgive)]
    outcomes = together(*calls)
    assert set(kinds(outcomes)) <= {type(None), RateLimited}, kinds(outcomes)


def test_owner_who_logs_in_often_at_once_is_not_kept_out(store):
    user = account()
    outcomes = together(*[logging_in(address=f"192.0.2.{n % 4}") for n in range(40)])
    assert kinds(outcomes) == {LoggedIn: 40}
    assert user.sessions.count() == 40
    assert not Order.objects.exists()
