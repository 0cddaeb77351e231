"""The shop's customers, as staff look them up."""

from django.db.models import Q, QuerySet

from storefront.models import User


def find(*, text: str) -> QuerySet[User]:
    """The accounts whose e-mail, proven or not, or whose name begins like this, in any case; none that is deleted,
    and no staff."""
    customers = User.objects.filter(is_staff=False).exclude(email=None, claimed_email="")
    begins = text.strip()
    if not begins:
        return customers
    email = begins.lower()
    return customers.filter(
        Q(email__startswith=email) | Q(claimed_email__startswith=email) | Q(name__istartswith=begins)
    )
