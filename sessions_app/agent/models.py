"""What agent turns keep in rows beside the session's content."""

import uuid
from typing import Any

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone

from sessions_app.json_text import JsonTextField


class Mode(models.TextChoices):
    """What an agent may do without asking."""

    APPROVE = "approve", "Ask before changes"
    AUTO = "auto", "Do everything without asking"
    CHAT = "chat", "Talk only, no tools"


class Provider(models.TextChoices):
    ANTHROPIC = "anthropic", "Anthropic"
    OPENAI = "openai", "OpenAI"
    GOOGLE = "google", "Google"
    OLLAMA = "ollama", "Ollama"
    COMPATIBLE = "openai-compatible", "OpenAI-compatible"


class AgentSettings(models.Model):
    """How Gander's own agent runs a session; one that has none is only read."""

    session = models.OneToOneField(
        "sessions_app.Session", on_delete=models.CASCADE, primary_key=True, related_name="agent_settings"
    )
    # ``provider/model``; empty is the installation's default.
    model = models.CharField(max_length=200, blank=True)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.APPROVE)
    # Names of the owner's extensions that are on here; none given are all of them.
    extensions: Any = models.JSONField(null=True)

    def __str__(self) -> str:
        return str(self.session_id)


class State(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    WAITING = "waiting", "waiting for approval"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    INTERRUPTED = "interrupted", "interrupted"


ACTIVE = (State.QUEUED, State.RUNNING, State.WAITING)


class Turn(models.Model):
    """One run of the agent over one prompt."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey("sessions_app.Session", on_delete=models.CASCADE, related_name="turns")
    # The client's own name for it: asked again, it answers the same turn.
    request_id = models.UUIDField(null=True)
    prompt = models.CharField(max_length=200)
    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=10, choices=Mode)
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    # Who runs it, and until when it may be taken to do so.
    executor = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True)
    cancelling = models.BooleanField(default=False)
    stop_reason = models.CharField(max_length=40, blank=True)
    usage: Any = models.JSONField(default=dict)
    # While it pauses: what each file was before it and is by now, whole.
    files: Any = JsonTextField(null=True)
    # Why extensions that are on were not there, a sentence each.
    missing: Any = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("session",), condition=models.Q(state__in=ACTIVE), name="one_active_turn"
            ),
            models.UniqueConstraint(fields=("session", "request_id"), name="turn_of_request"),
        )
        indexes = (
            models.Index(
                fields=("state", "created_at"), condition=models.Q(state__in=ACTIVE), name="turn_active"
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


class TurnEvent(models.Model):
    """One event of a turn's stream, in order. It points into a part, whose text only grows, and holds no text itself."""

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="events", db_index=False)
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=20)
    message = models.CharField(max_length=200, blank=True)
    part = models.CharField(max_length=200, blank=True)
    # Of text: from which character to which.
    start = models.PositiveIntegerField(default=0)
    end = models.PositiveIntegerField(default=0)
    data: Any = models.JSONField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("turn", "number"), name="event_of_turn"),)
        ordering = ("number",)

    def __str__(self) -> str:
        return f"{self.turn_id} {self.number}"


class Action(models.TextChoices):
    """What a person says to a tool call that waits; goose's words."""

    ALLOW_ONCE = "allow_once", "Allow once"
    ALWAYS_ALLOW = "always_allow", "Always allow"
    DENY_ONCE = "deny_once", "Deny"
    ALWAYS_DENY = "always_deny", "Always deny"

    @property
    def allows(self) -> bool:
        return self in (Action.ALLOW_ONCE, Action.ALWAYS_ALLOW)

    @property
    def stays(self) -> bool:
        return self in (Action.ALWAYS_ALLOW, Action.ALWAYS_DENY)


class Approval(models.Model):
    """A tool call that waits, or waited, for its owner's word."""

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="approvals", db_index=False)
    call = models.CharField(max_length=200)
    tool = models.CharField(max_length=200)
    message = models.CharField(max_length=200)
    part = models.CharField(max_length=200)
    action = models.CharField(max_length=20, choices=Action, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("turn", "call"), name="approval_of_call"),)
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.call


class ToolChoice(models.Model):
    """What somebody has said once and for all about a tool."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tool_choices", db_index=False
    )
    tool = models.CharField(max_length=200)
    allowed = models.BooleanField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "tool"), name="choice_of_tool"),)

    def __str__(self) -> str:
        return self.tool


class AllowedModel(models.Model):
    """A model that members may pick, beside the installation's default."""

    provider = models.CharField(max_length=20, choices=Provider)
    name = models.CharField(max_length=150, help_text="As the provider calls it, such as claude-opus-4-6.")
    url = models.CharField(
        "address",
        max_length=500,
        blank=True,
        validators=[URLValidator(["http", "https"])],
        help_text="Of the provider, where it is another than its usual one.",
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=("provider", "name"), name="model_once"),)
        ordering = ("provider", "name")

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"


class WorkspaceRoot(models.Model):
    """A directory beside a person's own workspace under which sessions may work."""

    path = models.CharField(max_length=500)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Whose sessions; none given are everybody's.",
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=("path", "user"), name="root_once"),)
        ordering = ("path",)

    def __str__(self) -> str:
        return self.path
