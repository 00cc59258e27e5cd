"""People, the credentials of their programs, and the ways to become a member."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


def digest(secret: str) -> str:
    """How a random secret is stored and looked up; secrets of 256 bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class User(AbstractUser):
    """A member of this installation."""

    # Raised to make a new ingest key; keys of earlier epochs are dead (project.accounts.ingest_key).
    ingest_epoch = models.PositiveIntegerField(default=0, editable=False)


class Scope(models.TextChoices):
    """What a token may do in its user's name."""

    FULL = "full", "Everything you can do"
    INGEST = "ingest", "Share sessions, nothing else"
    OPENCODE = "opencode", "A signed-in opencode: share, and read what it shared"


class DeviceLogin(models.Model):
    """A program signed in by device code (RFC 8628); its access tokens hang on it."""

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DENIED = "denied"
        SIGNED_IN = "signed-in"

    LIFETIME = timedelta(minutes=15)

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="logins"
    )
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    device_digest = models.CharField(max_length=64, unique=True)
    user_code = models.CharField(max_length=9, unique=True, null=True)
    refresh_digest = models.CharField(max_length=64, unique=True, null=True)
    client_name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.client_name}, {self.state}"

    @property
    def expired(self) -> bool:
        return self.created_at + self.LIFETIME < timezone.now()


class Token(models.Model):
    """A program's credential. The secret is shown once and kept as its SHA-256 only."""

    PREFIX = "gander_"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    login = models.ForeignKey(
        DeviceLogin, null=True, on_delete=models.CASCADE, related_name="tokens", editable=False
    )
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.FULL)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(
        max_length=16, editable=False, help_text="The secret's first characters, to tell tokens apart"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def alive(self) -> bool:
        """Whether it still opens anything."""
        return self.user.is_active and (self.expires_at is None or self.expires_at > timezone.now())


class Invitation(models.Model):
    """A link with which a person makes an account of their own and chooses its password."""

    LIFETIME = timedelta(days=7)

    username = models.CharField(max_length=150, blank=True, help_text="Leave empty to let the person choose")
    is_staff = models.BooleanField("staff", default=False, help_text="May use this administration")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    accepted_by = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    accepted_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"Invitation for {self.username or 'anyone'}"

    @property
    def open(self) -> bool:
        return self.accepted_at is None and self.created_at + self.LIFETIME > timezone.now()


def new_secret(prefix: str = "") -> str:
    """256 random bits, url-safe, after a prefix by which scanners and people recognise it."""
    return prefix + secrets.token_urlsafe(32)
