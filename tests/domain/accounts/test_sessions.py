import hashlib
import secrets
import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.core import management
from django.db import transaction
from django.test import Client as Browser

from domain.accounts import sessions
from domain.accounts.sessions import GRACE, MAX_SESSIONS, TokenExpired, TokenReused
from storefront.models import RefreshToken, Session, User
from tests.factories import NOW, UserFactory

pytestmark = pytest.mark.django_db

MOMENT = timedelta(microseconds=1)
LIFE = timedelta(days=settings.SESSION_DAYS)


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def begin(user):
    @transaction.atomic
    def begun(*, user=user, now=NOW, user_agent="Firefox", replaces=""):
        user = User.objects.get(pk=user.pk)
        return sessions.begin(user=user, user_agent=user_agent, replaces=replaces, now=now)

    return begun


def refresh(token, now=NOW):
    return sessions.refresh(refresh_token=token, now=now)


def after(**passed):
    return NOW + timedelta(**passed)


def is_over(token, now=NOW):
    try:
        refresh(token, now)
    except TokenExpired:
        return True
    return False


# ── going on ─────────────────────────────────────────────────────────────────────────────────────────


def test_session_begins_now_and_lasts_for_its_days(begin, user):
    session = begin().session
    session.refresh_from_db()
    assert (session.user, session.user_agent) == (user, "Firefox")
    assert (session.created_at, session.last_used_at, session.expires_at) == (NOW, NOW, NOW + LIFE)
    assert list(sessions.active(now=NOW)) == [session]


def test_each_refresh_brings_a_new_token(begin):
    entry = begin()
    tokens = [entry.refresh_token]
    for day in range(1, 6):
        again = refresh(tokens[-1], after(days=day))
        assert again.session == entry.session
        tokens.append(again.refresh_token)
    assert len(set(tokens)) == 6
    session = Session.objects.get()
    assert (session.created_at, session.last_used_at, session.expires_at) == (NOW, after(days=5), NOW + LIFE)


def test_each_login_is_a_session_of_its_own(begin):
    one, other = begin(), begin()
    assert one.session != other.session
    assert one.refresh_token != other.refresh_token
    refresh(one.refresh_token)
    assert not is_over(other.refresh_token)


def test_tokens_are_long_and_never_alike(begin):
    tokens = [begin().refresh_token for _ in range(5)]
    tokens += [refresh(token).refresh_token for token in tokens]
    assert len(set(tokens)) == 10
    assert min(map(len, tokens)) >= 43


def test_next_token_cannot_be_made_of_the_one_before_without_the_shop_s_key(begin):
    first = begin().refresh_token
    second = refresh(first).refresh_token
    assert second != hashlib.sha256(first.encode()).hexdigest()


def test_session_whose_next_token_was_made_with_another_key_has_to_log_in_again(begin, settings):
    first = begin().refresh_token
    refresh(first)
    settings.SECRET_KEY = secrets.token_hex(32)
    assert is_over(first)


def test_tokens_outlive_a_change_of_the_shop_s_key(begin, settings):
    token = begin().refresh_token
    settings.SECRET_KEY = secrets.token_hex(32)
    token = refresh(token).refresh_token
    assert not is_over(token)


# ── grace ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("again", [timedelta(0), GRACE / 2, GRACE])
def test_token_that_comes_again_at_once_gets_the_same_successor(begin, again):
    entry = begin()
    second = refresh(entry.refresh_token)
    for _ in range(3):
        assert refresh(entry.refresh_token, NOW + again) == second
    assert RefreshToken.objects.count() == 2


def test_token_that_comes_again_leads_to_the_newest_one(begin):
    first = begin().refresh_token
    second = refresh(first, NOW).refresh_token
    third = refresh(second, NOW + GRACE / 3).refresh_token
    fourth = refresh(third, NOW + GRACE / 2).refresh_token
    for token in (first, second, third):
        assert refresh(token, NOW + GRACE).refresh_token == fourth
    assert RefreshToken.objects.count() == 4
    assert refresh(fourth, NOW + GRACE).refresh_token not in {first, second, third, fourth}


def test_grace_counts_from_the_token_s_own_use(begin):
    first = begin().refresh_token
    second = refresh(first).refresh_token
    refresh(second, NOW + GRACE)
    with pytest.raises(TokenReused):
        refresh(first, NOW + GRACE + MOMENT)


def test_coming_again_does_not_prolong_the_grace(begin):
    token = begin().refresh_token
    refresh(token)
    refresh(token, NOW + GRACE)
    with pytest.raises(TokenReused):
        refresh(token, NOW + GRACE + MOMENT)


def test_token_that_comes_again_does_not_count_as_use(begin):
    token = begin().refresh_token
    refresh(token, after(seconds=1))
    refresh(token, after(seconds=5))
    assert Session.objects.get().last_used_at == after(seconds=1)


# ── reuse ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("later", [GRACE + MOMENT, timedelta(hours=1), LIFE - MOMENT])
def test_token_that_comes_again_later_ends_the_session_for_both_who_hold_it(begin, later):
    stolen = begin().refresh_token
    newest = refresh(refresh(stolen).refresh_token).refresh_token
    with pytest.raises(TokenReused):
        refresh(stolen, NOW + later)
    for token in (newest, stolen):
        assert is_over(token, NOW + later)
    assert not Session.objects.exists()
    assert not RefreshToken.objects.exists()


def test_thief_who_came_first_is_found_out_by_the_owner(begin):
    token = begin().refresh_token
    thief_s = refresh(token, after(hours=1)).refresh_token
    thief_s = refresh(thief_s, after(hours=2)).refresh_token
    with pytest.raises(TokenReused):
        refresh(token, after(hours=3))
    assert is_over(thief_s, after(hours=3))


def test_reuse_ends_no_other_session(begin):
    stolen, other = begin().refresh_token, begin().refresh_token
    refresh(stolen)
    with pytest.raises(TokenReused):
        refresh(stolen, after(hours=1))
    assert not is_over(other, after(hours=1))


def test_reuse_is_told_to_the_log_without_the_token(begin, caplog, user):
    token = begin().refresh_token
    refresh(token)
    with pytest.raises(TokenReused):
        refresh(token, after(hours=1))
    assert str(user.pk) in caplog.text
    assert token not in caplog.text


# ── no more ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", " ", "no-such-token", "é", "x" * 10_000, "' OR 1=1 --"])
def test_unknown_token_opens_nothing(begin, token):
    begin()
    assert is_over(token)
    assert Session.objects.count() == 1


def test_what_the_database_holds_is_no_token(begin):
    begin()
    assert is_over(RefreshToken.objects.get().digest)


def test_session_ends_on_its_day_however_regularly_it_is_refreshed(begin):
    token = begin().refresh_token
    for day in range(1, settings.SESSION_DAYS):
        token = refresh(token, after(days=day)).refresh_token
    token = refresh(token, NOW + LIFE - MOMENT).refresh_token
    assert is_over(token, NOW + LIFE)
    assert not sessions.active(now=NOW + LIFE).exists()


def test_session_of_somebody_who_may_not_log_in_any_more_is_over(begin):
    token = begin().refresh_token
    User.objects.update(is_active=False)
    assert is_over(token)
    assert not sessions.active(now=NOW).exists()
    User.objects.update(is_active=True)
    assert not is_over(token)


def test_session_of_an_older_token_version_is_over(begin):
    token = begin().refresh_token
    User.objects.update(token_version="another")
    assert is_over(token)
    assert not sessions.active(now=NOW).exists()
    assert not is_over(begin().refresh_token)


# ── ending ───────────────────────────────────────────────────────────────────────────────────────────


def test_session_is_ended_by_its_id(begin):
    entry, other = begin(), begin()
    for _twice in range(2):
        sessions.end(session_id=entry.session.pk, refresh_tokens=[])
    assert is_over(entry.refresh_token)
    assert not is_over(other.refresh_token)


@pytest.mark.parametrize("which", ["newest", "old"])
def test_session_is_ended_by_any_of_its_tokens(begin, which):
    entry, other = begin(), begin()
    newest = refresh(entry.refresh_token).refresh_token
    sessions.end(session_id=None, refresh_tokens=[{"newest": newest, "old": entry.refresh_token}[which]])
    assert is_over(newest, after(hours=1))
    assert is_over(entry.refresh_token, after(hours=1))
    assert list(Session.objects.all()) == [other.session]


def test_sessions_of_an_id_and_of_several_tokens_are_ended_together(begin):
    entries = [begin() for _ in range(4)]
    sessions.end(
        session_id=entries[0].session.pk, refresh_tokens=[entry.refresh_token for entry in entries[:3]] + ["unknown"]
    )
    assert list(Session.objects.all()) == [entries[3].session]


@pytest.mark.parametrize(("session_id", "tokens"), [(None, []), (uuid.uuid4(), []), (None, ["", "unknown"])])
def test_ending_what_is_not_there_does_nothing(begin, session_id, tokens):
    begin()
    sessions.end(session_id=session_id, refresh_tokens=tokens)
    assert Session.objects.count() == 1


def test_all_sessions_of_a_user_are_ended_and_no_one_else_s(begin, user):
    tokens = [begin().refresh_token for _ in range(3)]
    other = begin(user=UserFactory()).refresh_token
    sessions.end_all(user=user)
    assert all(map(is_over, tokens))
    assert not is_over(other)
    assert not user.sessions.exists()
    assert not is_over(begin().refresh_token)


def test_ending_all_ends_django_s_own_sessions_too(user):
    User.objects.update(is_staff=True, is_superuser=True)
    browser = Browser()
    browser.force_login(User.objects.get())
    assert browser.get("/admin/").status_code == 200
    sealed = User.objects.get().get_session_auth_hash()
    sessions.end_all(user=user)
    assert User.objects.get().get_session_auth_hash() != sealed
    assert browser.get("/admin/").status_code == 302


def test_session_that_somehow_outlived_the_end_of_all_is_over_all_the_same(begin, user):
    entry = begin()
    sessions.end_all(user=user)
    entry.session.save(force_insert=True)
    RefreshToken.objects.create(session=entry.session, digest=hashlib.sha256(entry.refresh_token.encode()).hexdigest())
    assert is_over(entry.refresh_token)


# ── replacing ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", ["newest", "old"])
@pytest.mark.parametrize("same_user", [True, False])
def test_login_ends_the_session_that_the_browser_had_before(begin, user, which, same_user):
    other, before = begin(), begin()
    newest = refresh(before.refresh_token).refresh_token
    token = {"newest": newest, "old": before.refresh_token}[which]
    entered = begin(user=user if same_user else UserFactory(), replaces=token)
    assert is_over(newest)
    assert set(Session.objects.all()) == {other.session, entered.session}


@pytest.mark.parametrize("token", ["", "no-such-token", "x" * 10_000])
def test_login_of_a_browser_without_a_session_ends_none(begin, token):
    before = begin()
    entered = begin(replaces=token)
    assert set(Session.objects.all()) == {before.session, entered.session}


# ── how many ─────────────────────────────────────────────────────────────────────────────────────────


def test_most_recently_used_sessions_are_kept(begin):
    entries = [begin(now=after(minutes=minute)) for minute in range(MAX_SESSIONS)]
    refresh(entries[0].refresh_token, after(hours=2))
    newest = begin(now=after(hours=3))
    kept = {entries[0].session, *(entry.session for entry in entries[2:]), newest.session}
    assert set(Session.objects.all()) == kept
    assert len(kept) == MAX_SESSIONS


def test_sessions_of_others_are_not_counted(begin):
    other = UserFactory()
    for _ in range(MAX_SESSIONS):
        begin()
    theirs = begin(user=other)
    begin()
    assert Session.objects.count() == MAX_SESSIONS + 1
    assert list(other.sessions.all()) == [theirs.session]


def test_sessions_that_are_over_make_room_first(begin):
    good = [begin() for _ in range(MAX_SESSIONS - 1)]
    past = begin(now=NOW - LIFE)
    stale = begin(now=NOW + timedelta(hours=1))
    Session.objects.filter(pk=stale.session.pk).update(token_version="older")
    newest = begin()
    assert set(Session.objects.all()) == {*(entry.session for entry in good), newest.session}
    assert not Session.objects.filter(pk__in=[past.session.pk, stale.session.pk]).exists()


def test_sessions_past_their_end_are_deleted_with_their_tokens(begin):
    past, last = begin(now=NOW - LIFE), begin(now=NOW - LIFE + MOMENT)
    refresh(past.refresh_token, NOW - LIFE)
    assert sessions.prune(now=NOW) == 1
    assert list(Session.objects.all()) == [last.session]
    assert RefreshToken.objects.get().session == last.session
    assert sessions.prune(now=NOW) == 0


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────


def test_database_holds_no_token(begin, tmp_path):
    first = begin().refresh_token
    second = refresh(first).refresh_token
    management.call_command("dumpdata", output=str(tmp_path / "all.json"), verbosity=0)
    held = (tmp_path / "all.json").read_text()
    for token in (first, second):
        assert hashlib.sha256(token.encode()).hexdigest() in held
        assert token not in held


def test_name_of_a_device_is_cut_to_300_characters(begin):
    begin(user_agent="é" * 10_000)
    assert Session.objects.get().user_agent == "é" * 300


def test_refresh_costs_the_same_however_many_sessions_and_tokens_there_are(begin, statements):
    token = begin().refresh_token
    with statements() as few:
        token = refresh(token).refresh_token
    for minute in range(20):
        begin()
        token = refresh(token, after(minutes=minute)).refresh_token
    with statements() as many:
        refresh(token, after(hours=1))
    assert len(few) == len(many) <= 5
