"""Finds customers, for staff."""

from django.db.models import Q, QuerySet

from storefront.models import User


def find(*, text: str) -> QuerySet[User]:
    """Customers whose e-mail (verified or claimed) or name begins with the text, in any case. Without staff and deleted
    accounts."""
    customers = User.objects.filter(is_staff=False).exclude(email=None, claimed_email="")
    begins = text.strip()
    if not begins:
        return customers
    email = begins.lower()
    return customers.filter(
        Q(email__startswith=email) | Q(claimed_email__startswith=email) | Q(name__istartswith=begins)
    )
