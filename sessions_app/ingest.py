"""The one write path: whatever changes a session's content calls :func:`apply`."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from sessions_app import changes as ch
from sessions_app import diffs, hints
from sessions_app.models import PROMPT_LENGTH, TITLE_LENGTH, FileDiff, Item, Message, Part, Session, Status
from sessions_app.text import line, storable
from sessions_app.upsert import insert_or_update, insert_or_update_counting, known

_USAGE = tuple(ch.Usage.__annotations__)
_COUNTED = (*_USAGE, "files", "additions", "deletions")
_WRITTEN = [field.name for field in Session._meta.concrete_fields if field.name not in ("id", "info")]
# Below SQLite's limit of parameters in a statement, on any build.
_CHUNK = 900


@dataclass
class _Batch:
    """The changes of one call, the last of each key in the place of the first."""

    session: dict[str, Any] | None = None
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: dict[tuple[str, str], ch.PartChange] = field(default_factory=dict)
    diffs: list[Any] | None = None
    items: dict[tuple[str, str], Any] = field(default_factory=dict)


def apply(session: Session, changes: Iterable[ch.Change]) -> Session:
    """Applies changes in their order, in one transaction, as one new revision; returns the session as it is then.

    The cost follows the batch: no row outside of it is read or written but the session's own.

    Raises:
        Session.DoesNotExist: the session was deleted meanwhile.
    """
    batch = _collapse(changes)
    with transaction.atomic():
        session = Session.objects.select_for_update().get(pk=session.pk)
        is_new = session.empty
        session.revision += 1
        session.syncs += 1
        session.written_at = now = timezone.now()
        if batch.session is not None:
            _describe(session, batch.session, now)
        else:
            session.updated_at = now
        message_ids = _write_messages(session, batch, now)
        _write_parts(session, batch, message_ids)
        session.status = _status_of_parts(batch) or session.status
        _note_prompt(session, batch)
        if batch.diffs is not None:
            _write_session_diffs(session, batch)
        _write_items(session, batch)
        # The source's object is large, and most batches bring none.
        session.save(update_fields=None if batch.session is not None else _WRITTEN)
        kind = hints.CREATED if is_new else hints.UPDATED
        transaction.on_commit(lambda: hints.announce(kind, session))
    return session


def _collapse(changes: Iterable[ch.Change]) -> _Batch:
    batch = _Batch()
    for change in changes:
        match change:
            case ch.PartChange():
                batch.parts[change.message_id, change.external_id] = change
            case ch.MessageChange():
                batch.messages[change.external_id] = change.data
            case ch.SessionChange():
                batch.session = change.data
            case ch.DiffsChange():
                batch.diffs = change.data
                batch.items["session_diff", ""] = change.data
            case ch.ItemChange():
                batch.items[change.kind, change.external_id] = change.data
    return batch


def _describe(session: Session, data: dict[str, Any], now: datetime) -> None:
    """Takes over what the source says of the session as a whole."""
    session.info = data
    if not session.title_is_own:
        session.title = line(ch.text(data, "title"), TITLE_LENGTH)
    session.directory = storable(ch.text(data, "directory"))
    session.version = storable(ch.text(data, "version"))[:100]
    session.agent = storable(ch.text(data, "agent"))[:200] or session.agent
    session.created_at = ch.moment(data, "created") or session.created_at
    # A clock that runs ahead must not hold a session at the top of the list.
    session.updated_at = min(ch.moment(data, "updated") or now, now)


def _write_messages(session: Session, batch: _Batch, now: datetime) -> dict[str, int]:
    """Writes messages, and placeholders for those whose parts came first; returns the key of each by its id."""
    wanted = {*batch.messages, *(message_id for message_id, _ in batch.parts)}
    known = {row["external_id"]: row for row in _known_messages(session, wanted)}
    rows = []
    changed_diffs: list[tuple[str, list[diffs.Diff]]] = []
    newest: tuple[datetime, str, str] = (datetime.min.replace(tzinfo=UTC), "", "")
    for external_id, data in batch.messages.items():
        old = known.get(external_id)
        found = diffs.parse(_diffs_of(data))
        row = {
            "session_id": session.pk,
            "external_id": external_id,
            "created_at": ch.moment(data, "created") or _stored_time(old) or now,
            "role": storable(ch.text(data, "role"))[:20],
            "placeholder": False,
            "data": data,
            "revision": session.revision,
            "files": len(found),
            "additions": sum(diff.additions for diff in found),
            "deletions": sum(diff.deletions for diff in found),
            **ch.usage(data),
        }
        rows.append(row)
        if found or (old and old["files"]):
            changed_diffs.append((external_id, found))
        _count_message(session, row, old)
        _note_models(session, data)
        if (status := _status_after(data, is_new=old is None)) is not None:
            newest = max(newest, (cast(datetime, row["created_at"]), external_id, status))
    session.status = newest[2] or session.status
    for external_id in wanted - batch.messages.keys() - known.keys():
        rows.append(_placeholder(session, external_id, now))
        session.messages_count += 1
    insert_or_update(Message, ("session_id", "external_id"), rows)
    keys = {external_id: int(row["id"]) for external_id, row in known.items()}
    if fresh := wanted - keys.keys():
        keys.update({row["external_id"]: int(row["id"]) for row in _known_messages(session, fresh)})
    if changed_diffs:
        _write_turn_diffs(session, {keys[external_id]: found for external_id, found in changed_diffs})
    return keys


def _known_messages(session: Session, external_ids: set[str]) -> Iterable[dict[str, Any]]:
    for some in _chunks(sorted(external_ids)):
        yield from known(Message, session.pk, "external_id", some, ("id", "external_id", *_COUNTED))


def _stored_time(old: dict[str, Any] | None) -> datetime | None:
    """When a message that no longer says its time was created; rare enough for a query of its own."""
    return Message.objects.values_list("created_at", flat=True).get(pk=old["id"]) if old else None


def _placeholder(session: Session, external_id: str, now: datetime) -> dict[str, Any]:
    return {
        "session_id": session.pk,
        "external_id": external_id,
        "created_at": now,
        "role": "",
        "placeholder": True,
        "data": None,
        "revision": session.revision,
        **dict.fromkeys(_COUNTED, 0),
    }


def _status_after(data: dict[str, Any], *, is_new: bool) -> str | None:
    """What the session does after this message, if it is the newest; nothing where the message does not tell."""
    if ch.text(data, "role") != "assistant":
        # A prompt is changed again when its turn is over.
        return Status.WORKING if ch.text(data, "role") == "user" and is_new else None
    error = data.get("error")
    if isinstance(error, dict):
        return Status.IDLE if error.get("name") == "MessageAbortedError" else Status.FAILED
    if ch.moment(data, "completed") is None or ch.text(data, "finish") == "tool-calls":
        return Status.WORKING
    return Status.IDLE


def _status_of_parts(batch: _Batch) -> str | None:
    """What the parts of a batch say of what the session does: a question waits, a last step ends the work."""
    status = None
    for change in batch.parts.values():
        state = change.data.get("state")
        if change.kind == "tool" and ch.text(change.data, "tool") == "question" and isinstance(state, dict):
            asked = ch.text(state, "status") in ("pending", "running")
            status = Status.WAITING if asked else Status.WORKING
        elif change.kind == "tool" and isinstance(state, dict) and (approval := _approval(state)):
            if ch.text(state, "status") == "running":
                status = status or Status.WORKING
            elif ch.text(state, "status") == "pending" and approval == "asked":
                status = Status.WAITING
        elif change.kind == "step-finish" and ch.text(change.data, "reason") not in ("", "tool-calls"):
            status = Status.IDLE
    return status


def _approval(state: dict[str, Any]) -> str:
    """What a call of Gander's own agent that needs its owner's word says of that."""
    metadata = state.get("metadata")
    return ch.text(metadata, "approval") if isinstance(metadata, dict) else ""


def _diffs_of(message: dict[str, Any]) -> list[Any]:
    summary = message.get("summary")
    found = summary.get("diffs") if isinstance(summary, dict) else None
    return found if isinstance(found, list) else []


def _count_message(session: Session, row: dict[str, Any], old: dict[str, Any] | None) -> None:
    """Moves the session's totals by what this message has more or less than before."""
    if old is None:
        session.messages_count += 1
    for name in _USAGE:
        setattr(session, name, getattr(session, name) + row[name] - (old[name] if old else 0))
    session.turn_additions += row["additions"] - (old["additions"] if old else 0)
    session.turn_deletions += row["deletions"] - (old["deletions"] if old else 0)


def _note_models(session: Session, data: dict[str, Any]) -> None:
    """Keeps the list of models that answered, and the agent's name."""
    name = ch.text(data, "modelID")
    if name and (name := line(name, 100)) not in session.model_names and len(session.model_names) < 50:
        session.models_used = "\n".join([*session.model_names, name])
    session.agent = session.agent or storable(ch.text(data, "agent"))[:200]


def _write_parts(session: Session, batch: _Batch, message_keys: dict[str, int]) -> None:
    rows = [
        {
            "session_id": session.pk,
            "message_id": message_keys[message_id],
            "external_id": external_id,
            "kind": change.kind,
            "data": change.data,
            "revision": session.revision,
        }
        for (message_id, external_id), change in batch.parts.items()
    ]
    session.parts_count += insert_or_update_counting(Part, ("message_id", "external_id"), rows)


def _note_prompt(session: Session, batch: _Batch) -> None:
    """Keeps the first line of the first prompt, by the order of the messages' ids."""
    asked = {
        message_id: text
        for (message_id, _), change in reversed(batch.parts.items())
        if change.kind == "text"
        and not change.data.get("synthetic")
        and (text := ch.text(change.data, "text").strip())
    }
    if session.prompt_message:
        asked = {key: text for key, text in asked.items() if key <= session.prompt_message}
    if not asked:
        return
    roles = {key: ch.text(batch.messages[key], "role") for key in asked if key in batch.messages}
    for row in known(
        Message,
        session.pk,
        "external_id",
        sorted(asked.keys() - roles.keys())[:_CHUNK],
        ("external_id", "role"),
    ):
        roles[row["external_id"]] = row["role"]
    prompts = [key for key in asked if roles.get(key) == "user"]
    if prompts:
        session.prompt_message = min(prompts)
        session.prompt = line(asked[session.prompt_message].split("\n", 1)[0], PROMPT_LENGTH)


def _write_turn_diffs(session: Session, by_message: dict[int, list[diffs.Diff]]) -> None:
    """Replaces the diffs of prompts, and counts the files that the session's prompts touched, each once."""
    stored: dict[int, dict[str, FileDiff]] = {key: {} for key in by_message}
    for some in _chunks(list(by_message)):
        for row in FileDiff.objects.filter(message_id__in=some):
            stored[row.message_id or 0][row.file_digest] = row
    changed = {key: found for key, found in by_message.items() if not _same(stored[key].values(), found)}
    touched = {diff.digest for found in changed.values() for diff in found}
    touched.update(digest for key in changed for digest in stored[key])
    before = _counted_files(session, touched)
    for key, found in changed.items():
        _replace(session, key, stored[key], found)
    session.turn_files += _counted_files(session, touched) - before
    _show_diff_totals(session)


def _counted_files(session: Session, digests: set[str]) -> int:
    rows = FileDiff.objects.filter(session=session, message__isnull=False)
    return sum(
        rows.filter(file_digest__in=some).values("file_digest").distinct().count()
        for some in _chunks(sorted(digests))
    )


def _write_session_diffs(session: Session, batch: _Batch) -> None:
    found = diffs.parse(batch.diffs or [])
    stored = {row.file_digest: row for row in FileDiff.objects.filter(session=session, message=None)}
    if not _same(stored.values(), found):
        _replace(session, None, stored, found)
    _show_diff_totals(session, found)


def _show_diff_totals(session: Session, found: Sequence[diffs.Diff | FileDiff] | None = None) -> None:
    """Totals of the whole session's diffs where the source sent any, else of its prompts' own."""
    if found is None:
        found = list(FileDiff.objects.filter(session=session, message=None).defer("patch"))
    if found:
        session.files = len(found)
        session.additions = sum(diff.additions for diff in found)
        session.deletions = sum(diff.deletions for diff in found)
    else:
        session.files = session.turn_files
        session.additions, session.deletions = session.turn_additions, session.turn_deletions


def _same(stored: Iterable[FileDiff], found: list[diffs.Diff]) -> bool:
    rows = {(row.file, row.patch, row.additions, row.deletions, row.status) for row in stored}
    return rows == {(diff.file, diff.patch, diff.additions, diff.deletions, diff.status) for diff in found}


def _replace(
    session: Session, message_key: int | None, stored: dict[str, FileDiff], found: list[diffs.Diff]
) -> None:
    gone = [row.pk for digest, row in stored.items() if digest not in {diff.digest for diff in found}]
    if gone:
        FileDiff.objects.filter(pk__in=gone).delete()
    for diff in found:
        values = {**asdict(diff), "revision": session.revision}
        if row := stored.get(diff.digest):
            FileDiff.objects.filter(pk=row.pk).update(**values)
        else:
            FileDiff.objects.create(
                session=session, message_id=message_key, file_digest=diff.digest, **values
            )


def _write_items(session: Session, batch: _Batch) -> None:
    rows = [
        {
            "session_id": session.pk,
            "kind": kind,
            "external_id": external_id,
            "data": data,
            "revision": session.revision,
        }
        for (kind, external_id), data in batch.items.items()
    ]
    insert_or_update(Item, ("session_id", "kind", "external_id"), rows)


def _chunks(values: list[Any]) -> Iterable[list[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
