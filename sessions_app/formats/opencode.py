"""opencode's export: ``opencode import file.json`` takes it."""

from typing import Any

from sessions_app.reading import Reading


def export(reading: Reading) -> dict[str, Any]:
    """``{"info": Session, "messages": [{"info": Message, "parts": [Part]}]}``, masked as the reading is."""
    parts: dict[int, list[Any]] = {}
    for row in reading.session.parts.order_by("external_id").only("message_id", "data").iterator():
        parts.setdefault(row.message_id, []).append(reading.part(row))
    return {
        "info": reading.info() or _info(reading),
        "messages": [
            {"info": reading.message(row), "parts": parts.get(row.pk, [])}
            for row in reading.messages().only("data").iterator()
        ],
    }


def _info(reading: Reading) -> dict[str, Any]:
    """The fields that opencode requires of a session, for one of which its source said nothing."""
    session = reading.session
    return {
        "id": session.external_id,
        "slug": session.external_id[:50],
        "projectID": "global",
        "directory": reading.directory,
        "title": reading.title,
        "version": session.version or "0",
        "time": {
            "created": round(session.created_at.timestamp() * 1000),
            "updated": round(session.updated_at.timestamp() * 1000),
        },
    }
