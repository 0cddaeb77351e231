"""A connection to PostgreSQL that the server has closed is replaced before a request uses it."""

from contextlib import suppress

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from django.db.utils import Error

pytestmark = pytest.mark.django_db(transaction=True)


def begin_request():
    """What Django does before each request."""
    connection.close_if_unusable_or_obsolete()


def backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


if connections["default"].vendor == "postgresql":

    @pytest.fixture(autouse=True)
    def _connected_as_in_a_server():
        connection.close()
        connection.ensure_connection()
        yield
        connection.close()

    def test_a_connection_is_kept_and_checked():
        for database in settings.DATABASES.values():
            assert database["CONN_MAX_AGE"] > 0
            assert database["CONN_HEALTH_CHECKS"] is True
        begin_request()
        before = backend()
        begin_request()
        assert backend() == before

    def test_one_that_the_server_has_closed_is_replaced():
        begin_request()
        before = backend()
        with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
        begin_request()
        assert backend() != before

    def test_one_that_broke_in_a_statement_is_replaced_for_the_next_request():
        begin_request()
        before = backend()
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        begin_request()
        assert backend() != before
