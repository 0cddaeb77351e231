"""`manage.py prune`: what is over goes, what is not stays."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from domain.accounts import sessions, throttle
from storefront import models
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_only_what_is_over_is_deleted(settings, capsys):
    settings.REDIS_URL = ""
    now = timezone.now()
    user = UserFactory()
    sessions.begin(user=user, user_agent="old", now=now)
    models.Session.objects.update(expires_at=now)
    sessions.prune(now=now - timedelta(seconds=1))
    assert models.Session.objects.exists()
    models.Session.objects.bulk_create(
        [
            models.Session(
                user=user, user_agent="new", created_at=now, last_used_at=now, expires_at=now + timedelta(days=1)
            )
        ]
    )
    throttle.count(action="cart", address="192.0.2.1", now=now - timedelta(days=1))
    throttle.count(action="cart", address="192.0.2.1", now=now)
    call_command("prune")
    assert list(models.Session.objects.values_list("user_agent", flat=True)) == ["new"]
    assert models.Attempts.objects.get().expires_at > now
    assert not models.RefreshToken.objects.exists()
    assert capsys.readouterr().out == "Deleted 2 rows.\n"
