"""A server whose agents ask a stub provider, and people who talk to it over HTTP alone."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.agent.provider import KEY, Provider
from tests.server import Server


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


def settings_for(provider: Provider, kind: str = "openai", **more: str) -> dict[str, str]:
    """A server's settings. A busy machine is no reason to give a turn up: who wants that to happen soon says so."""
    return {
        "GANDER_PROVIDER": kind,
        "GANDER_MODEL": "stub-model",
        "GANDER_PROVIDER_URL": provider.url if kind == "anthropic" else f"{provider.url}/v1",
        "OPENAI_API_KEY": KEY,
        "ANTHROPIC_API_KEY": KEY,
        "OLLAMA_API_KEY": KEY,
        "GANDER_API_TIMEOUT": "60",
        "GANDER_MAX_RETRIES": "0",
        "GANDER_TURN_LEASE_SECONDS": "60",
        **more,
    }


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, prepared: Server, provider: Provider
) -> Iterator[Server]:
    """One server for a module, with alice, bob and dora."""
    data = tmp_path_factory.mktemp("agent") / "data"
    running = Server(data, like=prepared, **settings_for(provider))
    try:
        running.start()
        yield running
    finally:
        running.close()


class Talk:
    """One person's session with an agent."""

    def __init__(self, server: Server, who: str = "alice", **new: Any) -> None:
        self.server = server
        self.client = server.client(server.tokens[who])
        self.workspace = Path(server.data_dir) / "workspaces" / who
        if "cwd" not in new:
            new["cwd"] = f"talk-{uuid.uuid4().hex[:8]}"
            (self.workspace / new["cwd"]).mkdir(parents=True)
        made = self.client.post("/sessions", json=new)
        assert made.status_code == 201, made.text
        self.id: str = made.json()["id"]
        self.directory = Path(made.json()["working_dir"])

    def send(self, *lines: str, **more: Any) -> list[dict[str, Any]]:
        """Sends a message and reads its turn to the end."""
        with self.stream(*lines, **more) as answer:
            assert answer.status_code == 200, answer.read()
            return read(answer)

    def stream(self, *lines: str, **more: Any) -> Any:
        body = {"content": "\n".join(lines), **more}
        return self.client.stream("POST", f"/sessions/{self.id}/messages", json=body, timeout=30)

    def begin(self, *lines: str, **more: Any) -> str:
        """Sends a message without following it; the turn's id."""
        answer = self.client.post(
            f"/api/sessions/{self.id}/messages",
            json={"content": "\n".join(lines), **more},
            headers={"Accept": "application/json"},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def follow(self, turn: str, last: int | None = None) -> list[dict[str, Any]]:
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        address = f"/api/sessions/{self.id}/turns/{turn}/events"
        with self.client.stream("GET", address, headers=headers, timeout=30) as answer:
            assert answer.status_code == 200, answer.read()
            return read(answer)

    def turn(self, turn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/sessions/{self.id}/turns/{turn}").json()
        return found

    def session(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/sessions/{self.id}").json()
        return found

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(
            f"/api/sessions/{self.id}/messages", params={"limit": 200}
        ).json()["items"]
        return found

    def parts(self, kind: str) -> list[dict[str, Any]]:
        return [part for each in self.messages() for part in each["parts"] if part["type"] == kind]


def read(
    answer: httpx.Response, until: Callable[[dict[str, Any]], bool] | None = None
) -> list[dict[str, Any]]:
    """The events of a stream: id, name, and data's own fields."""
    found: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            event = {"id": int(fields["id"]), "event": fields["event"], **json.loads(fields["data"])}
            found.append(event)
            fields = {}
            if until is not None and until(event):
                return found
        else:
            fields = {}
    return found


def text(events: list[dict[str, Any]], name: str = "message_chunk") -> str:
    return "".join(event["text"] for event in events if event["event"] == name)


def names(events: list[dict[str, Any]]) -> list[str]:
    """The events' names, chunks of one text counted once."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event["event"] or not event["event"].endswith("_chunk"):
            found.append(event["event"])
    return found


@pytest.fixture
def talk(server: Server) -> Talk:
    return Talk(server)
