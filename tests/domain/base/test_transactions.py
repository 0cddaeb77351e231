"""Network calls are refused inside a database transaction."""

from decimal import Decimal

import pytest
from django.db import transaction

from domain.base import public_http
from domain.payments import gateways
from domain.payments.gateways.protocol import Charge
from storefront.models import Payment, PaymentProvider
from tests.fake_gateways import FAKES


def charge(provider):
    wanted = Charge(key=Payment().pk, amount=Decimal(20), currency="EUR", email="ada@example.com")
    return gateways.gateway_for(provider=provider).charge(wanted)


@pytest.mark.django_db
@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.provider.lower())
def test_a_gateway_is_never_asked_in_a_transaction(fake, settings):
    gateway = fake()
    gateway.use(settings)
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a database transaction"):
        charge(PaymentProvider(fake.provider))
    assert gateway.asked == 0
    charge(PaymentProvider(fake.provider))  # The transaction that the test itself is wrapped in does not count.
    assert gateway.asked > 0
    gateway.stop()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_posted_to_other_systems_in_a_transaction(settings):
    settings.WEBHOOK_PRIVATE_TARGETS = True
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a database transaction"):
        public_http.post(url="http://127.0.0.1:1/", body=b"", headers={}, seconds=1)
    with pytest.raises(public_http.NoResponse):
        public_http.post(url="http://127.0.0.1:1/", body=b"", headers={}, seconds=1)
