import secrets
import uuid
from typing import Any

from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.encoding import punycode

from storefront.models.fields import AddressField


def normalize_email(email: str) -> str:
    """The normalised e-mail address: lower case, with the domain in ASCII (RFC 3490). Raises UnicodeError.

    The part before the @ must be ASCII, so that letters of other scripts cannot imitate ASCII letters.
    """
    local, at, domain = email.strip().rpartition("@")
    local.encode("ascii")  # Before lower(), which turns the Kelvin sign (K) into a k.
    return f"{local}{at}{punycode(domain)}".lower()


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Creates an account that logs in by e-mail; without a usable password if `password` is None."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        try:
            return self.get(email=normalize_email(username or ""))
        except UnicodeError:
            raise User.DoesNotExist from None


def new_token_version() -> str:
    return secrets.token_hex(8)


class User(AbstractBaseUser, PermissionsMixin):
    """A customer or a staff member. The e-mail is the login, in lower case.

    Registration only *claims* an e-mail. It becomes the account's own when the user opens a link mailed to it. Several
    accounts may claim the same e-mail, so that a stranger's claim cannot lock the owner out (docs/adr/0009).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True, null=True, blank=True)
    claimed_email = models.EmailField(
        blank=True, db_default="", help_text="The address given at registration, not verified yet."
    )
    name = models.CharField(max_length=200, blank=True)
    is_staff = models.BooleanField("may use the admin", default=False)
    is_active = models.BooleanField("may log in", default=True)
    joined_at = models.DateTimeField(default=timezone.now)
    token_version = models.CharField(
        max_length=16,
        default=new_token_version,
        db_default="",
        editable=False,
        help_text="Part of every token and session of the account. Changing it ends them all.",
    )

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    objects = UserManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_is_lower_case"),
            models.CheckConstraint(
                condition=Q(claimed_email=Lower("claimed_email")), name="user_claimed_email_is_lower_case"
            ),
        ]
        indexes = [
            models.Index(fields=["claimed_email"], name="user_claimed_email"),
            models.Index(fields=["-joined_at", "id"], name="user_newest"),
        ]

    def __str__(self) -> str:
        return self.address or "deleted account"

    @property
    def address(self) -> str:
        """The e-mail to write to and to show, verified or claimed; empty for a deleted account."""
        return self.email or self.claimed_email

    def get_full_name(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        try:
            self.email = normalize_email(self.email) if self.email else None
        except UnicodeError:
            raise ValidationError({"email": "This is not an e-mail address."}) from None
        if self.email:
            self.claimed_email = ""
        if self.is_active and not self.address:
            raise ValidationError({"email": "An account that may log in needs an e-mail."})

    def set_password(self, raw_password: str | None) -> None:
        """Ends all sessions and tokens, however the password is changed (API, admin, command)."""
        super().set_password(raw_password)
        self.token_version = new_token_version()

    def set_unusable_password(self) -> None:
        super().set_unusable_password()
        self.token_version = new_token_version()

    def check_password(self, raw_password: str | None) -> bool:
        """Upgrades a weak hash, without ending sessions, unless the password was changed concurrently."""
        matches, is_weakly_hashed = verify_password(raw_password, self.password)
        if matches and is_weakly_hashed:
            weak, self.password = self.password, make_password(raw_password)
            User.objects.filter(pk=self.pk, password=weak).update(password=self.password)
        return bool(matches)

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Includes the token version, so that a new version ends Django's own sessions (the admin's) too."""
        text = self.password + self.token_version
        return salted_hmac("commercia.session", text, secret=secret, algorithm="sha256").hexdigest()


class Session(models.Model):
    """A login on one device: a series of refresh tokens, of which only the newest is valid. Ending deletes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    token_version = models.CharField(max_length=16, help_text="The user's token version when the session began.")
    user_agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="The end of the session, however often it is refreshed.")

    def __str__(self) -> str:
        return f"{self.user} on {self.user_agent or 'an unnamed device'}"


class RefreshToken(models.Model):
    """A session's refresh token, as its SHA-256 digest. It is replaced when used; a later reuse means theft."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    replaced_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.digest[:8]


class SavedAddress(models.Model):
    """An entry of a customer's address book."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="addresses")
    address = AddressField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name_plural = "saved addresses"

    def __str__(self) -> str:
        return str(self.address)


class Attempts(models.Model):
    """A rate limit counter for one subject and time window, used if Redis does not count."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "attempts"
        indexes = [models.Index(fields=["expires_at"], name="attempts_expired")]

    def __str__(self) -> str:
        return f"{self.count} by {self.key[:8]}"
