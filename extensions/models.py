"""MCP servers that agents may use: the catalogue, who may run what, and what was refused."""

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator, URLValidator
from django.db import models

from extensions import secrets
from extensions.allowlist import public


class Kind(models.TextChoices):
    STDIO = "stdio", "Command"
    HTTP = "streamable_http", "HTTP address"
    BUILTIN = "builtin", "Built in"


class Extension(models.Model):
    """One entry of the catalogue: a command, an address, or something of Gander's own."""

    name = models.CharField(
        max_length=40,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z][a-z0-9-]*(?:_[a-z0-9-]+)*$", "Use small letters, digits, - and single _.")
        ],
        help_text="Small letters, digits, - and single _. Tools are called name__tool.",
    )
    description = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.STDIO)
    command = models.CharField(
        max_length=500, blank=True, help_text="Found on the server's PATH, or a whole path."
    )
    arguments = models.JSONField(default=list, blank=True, help_text='A list: ["mcp_slack", "--quiet"]')
    environment = models.JSONField(
        default=dict, blank=True, help_text="All that the process sees, besides PATH and HOME."
    )
    url = models.CharField(
        "address", max_length=500, blank=True, validators=[URLValidator(["http", "https"])]
    )
    headers = models.JSONField(default=dict, blank=True)
    in_directory = models.BooleanField(
        "runs in the session's directory",
        default=False,
        db_default=False,
        help_text="Where agents can write, files may change what a command does. Otherwise it runs in an empty directory.",
    )
    timeout = models.PositiveIntegerField(default=300, help_text="Seconds for one call.")
    tools = models.JSONField(default=list, blank=True, help_text="Allowed tools; none given allows all.")
    offered = models.BooleanField(default=True, help_text="Whether members may switch it on.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def program(self) -> tuple[object, ...]:
        """What runs under which name, whatever it is given."""
        return self.name, self.kind, self.command, tuple(map(str, self.arguments)), self.url

    def secret_values(self, place: str) -> dict[str, str]:
        """The secrets of the environment or of the headers, in clear, for the moment of starting."""
        return {row.name: secrets.opened(row.value) for row in self.secrets.filter(place=place)}


class Secret(models.Model):
    """A value that is written once and never shown again."""

    class Place(models.TextChoices):
        ENVIRONMENT = "environment", "Environment"
        HEADER = "header", "Header"

    extension = models.ForeignKey(Extension, on_delete=models.CASCADE, related_name="secrets")
    place = models.CharField(max_length=12, choices=Place, default=Place.ENVIRONMENT)
    name = models.CharField(max_length=100)
    value = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("extension", "place", "name"), name="secret_once"),)

    def __str__(self) -> str:
        return self.name


class Enabled(models.Model):
    """Somebody has switched an extension on or off, for sessions of theirs. Without a row, what is built in is on."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="enabled_extensions"
    )
    extension = models.ForeignKey(Extension, on_delete=models.CASCADE, related_name="enabled")
    on = models.BooleanField(default=True, db_default=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "extension"), name="enabled_once"),)

    def __str__(self) -> str:
        return f"{self.user_id} {self.extension_id}"


class Allowed(models.Model):
    """An entry of the allowlist."""

    label = models.CharField(max_length=100, help_text="What it is; never compared.")
    command = models.CharField(
        "command or address",
        max_length=500,
        unique=True,
        help_text="The whole command line, or the beginning of an https:// address.",
    )
    note = models.TextField(blank=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("label",)
        verbose_name = "allowlist entry"
        verbose_name_plural = "allowlist"

    def __str__(self) -> str:
        return self.label


class AllowedDirectory(models.Model):
    """A directory whose commands may be given by their path."""

    path = models.CharField(max_length=500, unique=True)

    class Meta:
        ordering = ("path",)
        verbose_name_plural = "allowed directories"

    def __str__(self) -> str:
        return self.path


class FetchedAllowlist(models.Model):
    """The last good copy of an allowlist that is kept elsewhere, and how the last look at it went."""

    source = models.CharField(max_length=500, unique=True)
    commands: Any = models.JSONField(null=True)
    fetched_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        # Pages show this, and an address may hold a password.
        return public(self.source)


class Refusal(models.Model):
    """The audit log: what was refused, to whom, why."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    extension = models.CharField(max_length=40)
    command = models.CharField(max_length=1000)
    moment = models.CharField(max_length=10, choices=[("enabling", "enabling"), ("starting", "starting")])
    reason = models.CharField(max_length=1000)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.extension}: {self.reason}"
