"""Recorded traffic, and the merge rule that its end state must obey."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.components import RECORDED


def lines(name: str) -> Iterator[dict[str, Any]]:
    """The recording's requests in their order."""
    with (RECORDED / "opencode" / f"{name}.jsonl").open() as file:
        for line in file:
            yield json.loads(line)


def share_data(name: str) -> list[dict[str, Any]]:
    with (RECORDED / "opencode" / f"{name}.share_data.json").open() as file:
        found: list[dict[str, Any]] = json.load(file)
        return found


def key(item: dict[str, Any]) -> str:
    """An item's key in opencode's server: later items replace earlier ones of the same key."""
    data = item["data"]
    match item["type"]:
        case "message":
            return f"message/{data['id']}"
        case "part":
            return f"part/{data['messageID']}/{data['id']}"
        case kind if (
            isinstance(data, dict) and kind not in ("session", "model", "session_diff") and "id" in data
        ):
            return f"{kind}/{data['id']}"
        case kind:
            return str(kind)


def merge(state: dict[str, dict[str, Any]], items: list[dict[str, Any]]) -> None:
    """The plain merge in memory: by key, the last wins; models merge by provider and id."""
    for item in items:
        name = key(item)
        if item["type"] == "model":
            models = {(m.get("providerID", ""), m["id"]): m for m in state.get(name, {"data": []})["data"]}
            models.update({(m.get("providerID", ""), m["id"]): m for m in item["data"]})
            if not models:
                continue
            item = {"type": "model", "data": list(models.values())}
        state[name] = item


def merged(state: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The merge's end, in the order of opencode's server."""
    return [state[name] for name in sorted(state)]


@dataclass
class Share:
    id: str
    secret: str
    url: str
    state: dict[str, dict[str, Any]]


class Replay:
    """Sends a recording's share calls to a server of ours, with our ids and secrets in the place of the recorded ones."""

    def __init__(self, client: httpx.Client, prefix: str = "") -> None:
        self.client = client
        self.prefix = prefix
        self.shares: dict[str, Share] = {}
        self.answers: list[tuple[dict[str, Any], httpx.Response]] = []

    def run(self, name: str) -> "Replay":
        for line in lines(name):
            if line["kind"] == "share":
                self.send(line)
        return self

    def send(self, line: dict[str, Any]) -> None:
        path, body, recorded = line["path"], line["body"], line["response"]["body"]
        share = self.shares.get(path.split("/")[3]) if path.count("/") > 2 else None
        if share:
            path = path.replace(path.split("/")[3], share.id)
            if body is not None:
                body = {**body, "secret": share.secret}
        response = self.client.request(line["method"], f"{self.prefix}{path}", json=body)
        self.answers.append((line, response))
        if path.endswith(("/share", "/shares")) and response.status_code == 200:
            answer = response.json()
            # What the recording's server failed at has no id there; ours makes a share of it all the same.
            old = recorded.get("id", answer["id"]) if isinstance(recorded, dict) else answer["id"]
            kept = next((s.state for s in self.shares.values() if s.id == answer["id"]), {})
            self.shares[old] = Share(answer["id"], answer["secret"], answer["url"], kept)
        elif path.endswith("/sync") and response.status_code == 200 and share:
            merge(share.state, body["data"])
