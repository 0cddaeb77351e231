"""The mails of the shop, as text and as HTML in one layout. `domain.jobs.handlers` sends them from the outbox."""

from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def send(*, template: str, to: str, key: str, link: str, **context: Any) -> None:
    """Sends `mail/<template>.txt` and `.html` now. Raises what the mail server's connection raises.

    `link` is a path of the storefront. `key` becomes the Message-ID: where a mail went out and its sender died
    before that was noted, it goes out again as the same message, which a mailbox shows once.
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
