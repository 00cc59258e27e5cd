"""Items in the shapes that opencode sends, for tests and benchmarks."""

from typing import Any

T0 = 1_795_000_000_000
# A PNG of one pixel.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def session_item(**data: Any) -> dict[str, Any]:
    base = {
        "id": "ses_1",
        "slug": "calm-otter",
        "projectID": "p1",
        "directory": "/home/alice/app",
        "title": "Add a greet function",
        "version": "1.18.33",
        "time": {"created": T0, "updated": T0 + 60_000},
    }
    return {"type": "session", "data": {**base, **data}}


def user_message(id: str = "msg_1", **data: Any) -> dict[str, Any]:
    base = {
        "id": id,
        "sessionID": "ses_1",
        "role": "user",
        "time": {"created": T0 + 1},
        "agent": "build",
        "model": {"providerID": "stub", "modelID": "stub-model"},
    }
    return {"type": "message", "data": {**base, **data}}


def assistant_message(id: str = "msg_2", **data: Any) -> dict[str, Any]:
    base = {
        "id": id,
        "sessionID": "ses_1",
        "role": "assistant",
        "time": {"created": T0 + 2, "completed": T0 + 3},
        "parentID": "msg_1",
        "modelID": "stub-model",
        "providerID": "stub",
        "mode": "build",
        "agent": "build",
        "path": {"cwd": "/home/alice/app", "root": "/home/alice/app"},
        "cost": 0.25,
        "tokens": {"input": 100, "output": 20, "reasoning": 3, "cache": {"read": 7, "write": 5}},
    }
    return {"type": "message", "data": {**base, **data}}


def text_part(id: str = "prt_1", message: str = "msg_1", text: str = "Hello", **data: Any) -> dict[str, Any]:
    return {
        "type": "part",
        "data": {"id": id, "sessionID": "ses_1", "messageID": message, "type": "text", "text": text, **data},
    }


def file_part(id: str = "prt_f", message: str = "msg_1", **data: Any) -> dict[str, Any]:
    part = {
        "id": id,
        "sessionID": "ses_1",
        "messageID": message,
        "type": "file",
        "mime": "image/png",
        "filename": "shot.png",
        "url": f"data:image/png;base64,{PICTURE}",
    }
    return {"type": "part", "data": {**part, **data}}


def tool_part(
    tool: str, id: str = "prt_2", message: str = "msg_2", input: Any = None, **state: Any
) -> dict[str, Any]:
    base = {
        "status": "completed",
        "input": input or {},
        "output": "",
        "title": "",
        "metadata": {},
        "time": {"start": T0, "end": T0 + 1500},
    }
    return {
        "type": "part",
        "data": {
            "id": id,
            "sessionID": "ses_1",
            "messageID": message,
            "type": "tool",
            "callID": "call_1",
            "tool": tool,
            "state": {**base, **state},
        },
    }


def conversation() -> list[dict[str, Any]]:
    return [
        session_item(),
        user_message(),
        text_part(text="Add a greet function to app.py"),
        assistant_message(),
        text_part("prt_3", "msg_2", "Done: **greet** is there."),
    ]
