"""Sessions that goose wrote, as changes: its JSON export, and the JSONL files that it kept before 1.10.

What goose's documentation does not say of the two was seen in files that goose wrote.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sessions_app import changes, json_text
from sessions_app.changes import Change, Malformed
from sessions_app.formats import goose_content
from sessions_app.models import TITLE_LENGTH
from sessions_app.render.tool import number, obj, txt
from sessions_app.text import line, storable

# Positions are written in so many digits, so that ids sort as the conversation goes.
MOST_MESSAGES = 999_999
MOST_PARTS = 9_999
_LATEST_SECOND = 4_000_000_000
_OWN = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")
_WHOLE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
_WHOLE_FLAT = tuple(f"accumulated_{name}_tokens" for name in ("input", "output", "cache_read", "cache_write"))


@dataclass(frozen=True, slots=True)
class Imported:
    """A session as a file has it, in changes that fill an empty one."""

    title: str
    directory: str
    created_at: datetime
    changes: list[Change]


def parse(text: str) -> Imported:
    """Reads a session of goose's.

    Taken are its JSON export with token counts flat (1.37) or nested (1.5x), also inside a JSON string as goosed's export
    route answers, and its JSONL files, of which goose too passes over lines that it cannot read. A result completes the
    call that it answers. Ids follow from the session and the position in it: the same file, or a longer one of the
    same session, gives the same ids, the session's among them.

    Left out is what a session says of its machine (``extension_data``, ``recipe``), where credentials may stand.

    Raises:
        Malformed: it is neither of the two; the message says why.
    """
    session, messages = _read(text.removeprefix("\ufeff"))
    if len(messages) > MOST_MESSAGES:
        raise Malformed(f"the conversation has more than {MOST_MESSAGES} messages")
    first = messages[0] if messages else {}
    created = (
        _moment(session.get("created_at")) or _created(first) or round(datetime.now(UTC).timestamp() * 1000)
    )
    conversation = _Conversation(session, first, created)
    for position, message in enumerate(messages, 1):
        conversation.add(position, message)
    conversation.count_whole()
    title = txt(session.get("name")) or txt(session.get("description"))
    about = {
        "id": conversation.session_id,
        "slug": conversation.session_id,
        "projectID": "global",
        "directory": conversation.directory,
        "title": title,
        "version": "",
        "time": {
            "created": created,
            "updated": _moment(session.get("updated_at")) or conversation.now or created,
        },
    }
    return Imported(
        title=line(title, TITLE_LENGTH),
        directory=storable(conversation.directory),
        created_at=datetime.fromtimestamp(created / 1000, UTC),
        changes=[changes.SessionChange(about), *conversation.changes],
    )


def _read(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The session and its messages, each checked to be one."""
    try:
        value = json_text.loads(text)
        value = json_text.loads(value) if isinstance(value, str) else value
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("conversation"), list):
        return _lines(text)
    if json_text.too_deep(value):
        raise Malformed(f"the export is nested more than {json_text.MAX_DEPTH} levels deep")
    for position, message in enumerate(value["conversation"], 1):
        if not _is_message(message):
            raise Malformed(
                f"message {position} of the conversation is none of goose's:"
                " it needs a role, and a list of content whose entries have a type"
            )
    return value, value["conversation"]


def _lines(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    header: dict[str, Any] = {}
    messages = []
    for row in text.split("\n"):
        if not row.lstrip().startswith("{"):
            continue
        try:
            value = json_text.loads(row)
        except ValueError:
            continue
        if json_text.too_deep(value):
            continue
        if _is_message(value):
            messages.append(value)
        elif isinstance(value, dict) and not messages:
            header = header or value
    if not messages:
        raise Malformed(
            "this is no session of goose's: neither a JSON export with a conversation,"
            " nor a JSONL file with a message on each line"
        )
    return header, messages


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(txt(value.get("role")))
        and isinstance(value.get("content"), list)
        and all(isinstance(entry, dict) and txt(entry.get("type")) for entry in value["content"])
    )


def _created(message: dict[str, Any]) -> int:
    """When a message was made, in milliseconds; 0 where it does not say so."""
    return _milliseconds(number(message.get("created")) or 0)


def _moment(value: object) -> int:
    """A time as RFC 3339 writes it, in milliseconds; 0 where it is none."""
    try:
        found = datetime.fromisoformat(txt(value))
    except ValueError:
        return 0
    return _milliseconds((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000) if 0 < seconds < _LATEST_SECOND else 0


class _Conversation:
    """The changes of a conversation, one message after the other.

    Args:
        first: the first message, by which a session without an id is known.
        started: when the session was made, in milliseconds.
    """

    def __init__(self, session: dict[str, Any], first: dict[str, Any], started: int) -> None:
        known_by = [session["id"], session.get("created_at")] if session.get("id") else first
        self.key = hashlib.sha256(json_text.dumps(known_by).encode()).hexdigest()[:16]
        self.session_id = f"ses_{self.key}"
        self.directory = txt(session.get("working_dir"))
        self.changes: list[Change] = []
        self.now = 0
        self._session = session
        self._started = started
        self._model = {
            "providerID": txt(session.get("provider_name")),
            "modelID": txt(obj(session.get("model_config")).get("model_name")),
        }
        self._prompt = self._id("msg", 0)
        # Calls without a result, and when they were made.
        self._open: dict[str, tuple[dict[str, Any], int]] = {}
        self._last_answer: dict[str, Any] = {}
        self._counted = False

    def add(self, position: int, message: dict[str, Any]) -> None:
        """One message, or no more than what it tells of calls before it."""
        # goose counts seconds, in which several messages may fall.
        self.now = max(_created(message) or self.now or self._started, self.now + 1)
        content = message["content"]
        left = [entry for entry in content if not self._completes(entry)]
        if content and not left:
            return
        if len(left) > MOST_PARTS:
            raise Malformed(f"message {position} of the conversation has more than {MOST_PARTS} entries")
        about = obj(message.get("metadata"))
        hidden = about.get("userVisible") is False
        data = {
            "id": self._id("msg", position),
            "sessionID": self.session_id,
            "role": message["role"],
            "agent": "goose",
            "time": {"created": self.now},
        }
        if message["role"] == "assistant":
            data |= self._answered(about)
            self._last_answer = data
        else:
            data["model"] = self._model
            self._prompt = self._prompt if hidden else data["id"]
        self.changes.append(changes.message(data))
        for place, entry in enumerate(left, 1):
            part = {
                "id": f"{self._id('prt', position)}_{place:04}",
                "sessionID": self.session_id,
                "messageID": data["id"],
                **goose_content.part(entry, self.now, hidden=hidden),
            }
            if part["type"] == "tool":
                part["callID"] = part["callID"] or part["id"]
                self._open[part["callID"]] = part, self.now
            self.changes.append(changes.part(part))

    def count_whole(self) -> None:
        """Keeps with the last answer what the session used as a whole, where no message says what it used itself."""
        if self._counted or not self._last_answer:
            return
        whole = obj(self._session.get("accumulated_usage"))
        counts = (
            [whole.get(name) for name in _WHOLE]
            if whole
            else [self._session.get(name) for name in _WHOLE_FLAT]
        )
        self._last_answer["tokens"] = goose_content.tokens(*counts)
        self._last_answer["cost"] = number(self._session.get("accumulated_cost")) or 0

    def _id(self, kind: str, position: int) -> str:
        return f"{kind}_{self.key[:8]}_{position:06}"

    def _answered(self, about: dict[str, Any]) -> dict[str, Any]:
        """What an answer says beyond what every message does."""
        inference, usage = obj(about.get("inference")), obj(about.get("usage"))
        self._counted = self._counted or bool(usage)
        return {
            "parentID": self._prompt,
            "providerID": txt(inference.get("provider")) or self._model["providerID"],
            "modelID": txt(inference.get("requestedModel")) or self._model["modelID"],
            "mode": "goose",
            "path": {"cwd": self.directory, "root": self.directory},
            "time": {"created": self.now, "completed": self.now},
            "cost": number(usage.get("cost")) or 0,
            "tokens": goose_content.tokens(*(usage.get(name) for name in _OWN)),
        }

    def _completes(self, entry: dict[str, Any]) -> bool:
        """Whether the entry is the result of an open call, which then has it."""
        found = self._open.pop(txt(entry.get("id")), None) if entry["type"] == "toolResponse" else None
        if found is None:
            return False
        part, started = found
        part["state"] = goose_content.state_after(part["state"], entry, started, self.now)
        for place, file in enumerate(part["state"]["attachments"], 1):
            file.update(id=f"{part['id']}_{place:04}", sessionID=self.session_id, messageID=part["messageID"])
        return True
