"""Sends the shop's mails, as text and HTML. `domain.jobs.handlers` calls it for messages of the outbox."""

from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def send(*, template: str, to: str, key: str, link: str, **context: Any) -> None:
    """Sends `mail/<template>.txt` and `.html` now. Raises the errors of the connection to the mail server.

    `link` is a path of the storefront. `key` becomes the Message-ID. If a worker crashes after sending, the mail is
    sent again with the same Message-ID, which mailboxes show once.
    """
    context |= {
        "shop": settings.SHOP_NAME,
        "to": to,
        "link": settings.STOREFRONT_URL + link,
        "minutes": settings.PASSWORD_RESET_MINUTES,
    }
    subject, _, text = render_to_string(f"mail/{template}.txt", context).partition("\n")
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2]
    mail = EmailMultiAlternatives(subject, text.strip() + "\n", to=[to], headers={"Message-ID": f"<{key}@{domain}>"})
    mail.attach_alternative(render_to_string(f"mail/{template}.html", {**context, "subject": subject}), "text/html")
    mail.send()
