"""What a session is, in rows. Only :mod:`sessions_app.ingest` writes the content."""

import secrets
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from sessions_app.json_text import JsonTextField

ID_LENGTH = 200
TITLE_LENGTH = 500
PROMPT_LENGTH = 300
NANO = 1_000_000_000
# opencode sends at least once a minute while it works, but for a command that runs long.
STALE = timedelta(minutes=15)


def new_share_id() -> str:
    """128 random bits, url-safe; begins with a letter or digit, so that no shell or parser takes it for an option."""
    while True:
        token = secrets.token_urlsafe(16)
        if token[0] not in "-_":
            return token


class Source(models.TextChoices):
    """The agent a session came from."""

    OPENCODE = "opencode", "opencode"
    GOOSE = "goose", "goose"
    CLAUDE_CODE = "claude-code", "Claude Code"
    CODEX = "codex", "Codex"
    GEMINI = "gemini", "Gemini CLI"
    GANDER = "gander", "Gander"
    API = "api", "API"


class Status(models.TextChoices):
    IDLE = "idle", "done"
    WORKING = "working", "working"
    WAITING = "waiting", "waiting"
    FAILED = "failed", "failed"


def fell_silent(status: str, written_at: datetime) -> bool:
    """Whether an agent that was at work has said nothing for so long that it is not any more."""
    return status == Status.WORKING and timezone.now() - written_at > STALE


class Totals(models.Model):
    """Counts of tokens and the cost, kept on messages and, summed, on their session."""

    tokens_input = models.BigIntegerField(default=0)
    tokens_output = models.BigIntegerField(default=0)
    tokens_reasoning = models.BigIntegerField(default=0)
    tokens_cache_read = models.BigIntegerField(default=0)
    tokens_cache_write = models.BigIntegerField(default=0)
    # Billionths of a dollar: sums of integers stay exact however often they are corrected.
    cost_nano = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def cost(self) -> float:
        """Dollars."""
        return self.cost_nano / NANO

    @property
    def tokens(self) -> int:
        """Input, output and reasoning together; what the cache served is not counted again."""
        return self.tokens_input + self.tokens_output + self.tokens_reasoning


class SessionQuerySet(models.QuerySet["Session"]):
    def owned_by(self, user: object, *, resting: bool = False) -> "SessionQuerySet":
        """The owner's door: one's own sessions and no others; nobody owns none. Deleted ones only where asked for."""
        pk = getattr(user, "pk", None)
        return self.filter(owner_id=pk, deleted_at__isnull=not resting) if pk else self.none()


class Session(Totals):
    """One conversation with an agent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="sessions"
    )
    source = models.CharField(max_length=20, choices=Source, default=Source.API)
    external_id = models.CharField(max_length=ID_LENGTH)
    title = models.CharField(max_length=TITLE_LENGTH, blank=True)
    # A title that the owner gave stays when the source sends its own.
    title_is_own = models.BooleanField(default=False)
    directory = models.TextField(blank=True)
    agent = models.CharField(max_length=ID_LENGTH, blank=True)
    # Models that answered, in order of first use, one per line.
    models_used = models.TextField(blank=True)
    version = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.IDLE)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    # By our own clock; the two above are the source's.
    written_at = models.DateTimeField(default=timezone.now)
    revision = models.BigIntegerField(default=0)
    syncs = models.PositiveIntegerField(default=0)
    shared = models.BooleanField(default=False)
    share_id = models.CharField(max_length=64, unique=True, default=new_share_id)
    share_epoch = models.PositiveIntegerField(default=0)
    archived_at = models.DateTimeField(null=True)
    # A deleted session rests, its link dead, until it goes for good (sessions_app.retention).
    deleted_at = models.DateTimeField(null=True)
    # The first line of the first prompt, and the message it stands in.
    prompt = models.CharField(max_length=PROMPT_LENGTH, blank=True)
    prompt_message = models.CharField(max_length=ID_LENGTH, blank=True)
    # What the source last said of the session as a whole.
    info = JsonTextField(null=True)

    messages_count = models.PositiveIntegerField(default=0)
    parts_count = models.PositiveIntegerField(default=0)
    # What the list shows: the source's diff of the whole session if it sent one, else the sums over its prompts.
    files = models.PositiveIntegerField(default=0)
    additions = models.BigIntegerField(default=0)
    deletions = models.BigIntegerField(default=0)
    turn_files = models.PositiveIntegerField(default=0)
    turn_additions = models.BigIntegerField(default=0)
    turn_deletions = models.BigIntegerField(default=0)

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("owner", "source", "external_id"), name="session_of_owner"),
            models.UniqueConstraint(
                fields=("source", "external_id"), condition=models.Q(owner=None), name="session_of_nobody"
            ),
        )
        indexes = (
            models.Index(
                fields=("owner", "-updated_at", "-id"),
                condition=models.Q(deleted_at=None, archived_at=None),
                name="session_list",
            ),
            models.Index(fields=("owner", "written_at"), name="session_written"),
            models.Index(
                fields=("deleted_at",), condition=models.Q(deleted_at__isnull=False), name="session_resting"
            ),
        )

    def __str__(self) -> str:
        return f"{self.source} {self.external_id}"

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written to it."""
        return self.revision == 0

    @property
    def model_names(self) -> list[str]:
        return self.models_used.splitlines()

    @property
    def shown_status(self) -> str:
        """The status; a session from which nothing has come for long does not work any more, whatever it said last."""
        return str(Status.IDLE) if fell_silent(self.status, self.written_at) else self.status

    @property
    def status_word(self) -> str:
        return str(Status(self.shown_status).label)

    @property
    def shown_title(self) -> str:
        return self.title or "Untitled session"


class Row(models.Model):
    """What every row of a session's content has."""

    id: int
    data = JsonTextField(help_text="The source's own object")
    revision = models.BigIntegerField(help_text="The session's revision that last wrote this row")

    class Meta:
        abstract = True


# Each foreign key of the content is the head of an index below, so none needs one of its own.


class Message(Totals, Row):
    """One message; a placeholder stands in for a message whose part came first."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="messages", db_index=False)
    external_id = models.CharField(max_length=ID_LENGTH)
    created_at = models.DateTimeField()
    role = models.CharField(max_length=20, blank=True)
    files = models.PositiveIntegerField(default=0)
    additions = models.BigIntegerField(default=0)
    deletions = models.BigIntegerField(default=0)
    placeholder = models.BooleanField(default=False)
    data = JsonTextField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("session", "external_id"), name="message_of_session"),)
        indexes = (
            models.Index(fields=("session", "created_at", "external_id"), name="message_order"),
            models.Index(fields=("session", "revision"), name="message_revision"),
        )
        ordering = ("created_at", "external_id")


class Part(Row):
    """A piece of a message: text, reasoning, a tool call, a file, a step mark …"""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="parts", db_index=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="parts", db_index=False)
    external_id = models.CharField(max_length=ID_LENGTH)
    kind = models.CharField(max_length=50)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("message", "external_id"), name="part_of_message"),)
        indexes = (models.Index(fields=("session", "revision"), name="part_revision"),)
        ordering = ("external_id",)


class FileDiff(models.Model):
    """How one file changed: over a prompt's turn, or (without a message) over the whole session."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="diffs", db_index=False)
    message = models.ForeignKey(
        Message, null=True, on_delete=models.CASCADE, related_name="diffs", db_index=False
    )
    file = models.TextField()
    # An index entry has a size limit, a file name has none.
    file_digest = models.CharField(max_length=32)
    patch = models.TextField()
    additions = models.BigIntegerField(default=0)
    deletions = models.BigIntegerField(default=0)
    status = models.CharField(max_length=20, blank=True)
    revision = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("message", "file_digest"), name="diff_of_message"),
            models.UniqueConstraint(
                fields=("session", "file_digest"), condition=models.Q(message=None), name="diff_of_session"
            ),
        )
        indexes = (
            models.Index(fields=("session", "file_digest"), name="diff_file"),
            models.Index(fields=("session", "revision"), name="diff_revision"),
        )
        ordering = ("file", "pk")


class Item(Row):
    """Anything else a source sends of a session: its models, and kinds that we do not know."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="items", db_index=False)
    kind = models.CharField(max_length=100)
    external_id = models.CharField(max_length=2 * ID_LENGTH + 1, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("session", "kind", "external_id"), name="item_of_session"),
        )
        ordering = ("kind", "pk")


# Django finds an app's models here.
from sessions_app.agent import models as agent_models  # noqa: E402

__all__ = [
    "FileDiff",
    "Item",
    "Message",
    "Part",
    "Session",
    "SessionQuerySet",
    "Source",
    "Status",
    "Totals",
    "agent_models",
    "new_share_id",
]
