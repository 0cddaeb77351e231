"""A kept connection is asked only now and then whether it is good; one that the server has closed is never used."""

from contextlib import suppress

import psycopg
import pytest
from django.db import connection, connections
from django.db.utils import Error

pytestmark = pytest.mark.django_db(transaction=True)


def begin_request():
    connection.close_if_unusable_or_obsolete()


def ask():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


if connections["default"].vendor == "postgresql":
    from commercia.postgresql import base

    @pytest.fixture(autouse=True)
    def _kept(monkeypatch):
        """As in a server: whatever tests are configured to, the connection outlives a request."""
        connection.close()
        connection.ensure_connection()
        connection.close_at = None
        connection.health_check_enabled = True
        yield
        connection.close()

    @pytest.fixture
    def asked(monkeypatch):
        """How often the server was asked."""
        times = []
        is_usable = base.base.DatabaseWrapper.is_usable
        monkeypatch.setattr(base.base.DatabaseWrapper, "is_usable", lambda it: times.append(1) or is_usable(it))
        return times

    def test_it_is_asked_now_and_then(asked, monkeypatch):
        for _ in range(10):
            begin_request()
            ask()
        assert len(asked) == 1
        monkeypatch.setattr(connection, "_good_until", 0.0)
        begin_request()
        ask()
        assert len(asked) == 2

    def test_one_that_the_server_has_closed_is_replaced_before_it_is_used(asked):
        begin_request()
        before = ask()
        with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
        begin_request()
        assert ask() != before
        assert len(asked) == 2

    def test_one_that_broke_in_a_statement_is_replaced_for_the_next_request():
        begin_request()
        before = ask()
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        begin_request()
        assert ask() != before

    def test_a_statement_that_fails_costs_no_connection(asked):
        begin_request()
        before = ask()
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        begin_request()
        assert ask() == before
