"""The mails of the shop: text and HTML, sent after the transaction that has a reason for them."""

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string


def send(template: str, *, to: str, link: str = "") -> None:
    """Sends `mail/<template>.txt` and `.html` once the transaction has ended well.

    `link` is a path of the storefront with its token. A mail that cannot be sent is logged and fails nothing.
    """
    context = {
        "shop": settings.SHOP_NAME,
        "to": to,
        "link": settings.STOREFRONT_URL + link,
        "minutes": settings.PASSWORD_RESET_MINUTES,
    }
    subject, _, text = render_to_string(f"mail/{template}.txt", context).partition("\n")
    mail = EmailMultiAlternatives(subject, text.strip() + "\n", to=[to])
    mail.attach_alternative(render_to_string(f"mail/{template}.html", {**context, "subject": subject}), "text/html")
    transaction.on_commit(mail.send, robust=True)
