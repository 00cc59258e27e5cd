"""Every line that real opencode clients sent, against the running server."""

import pytest

from tests.recordings import Replay, key, merged, share_data
from tests.server import Server

RECORDINGS = [
    "1.1.53-fixture-all-parts",
    "1.18.33-fixture-all-parts",
    "1.18.33-serve-full",
    "1.18.33-org-shares",
    "1.18.33-console-login",
]


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recorded_line_is_answered_and_ends_in_the_merge_rules_state(server: Server, name: str) -> None:
    with server.client(server.tokens["alice"]) as client:
        replay = Replay(client).run(name)
        for line, response in replay.answers:
            if line["path"] == "/api/config":
                assert response.status_code == 404
                continue
            assert response.status_code == 200, (line["method"], line["path"], response.text)
        for share in replay.shares.values():
            if not share.state:
                continue
            session_id = share.state["session"]["data"]["id"]
            # Recordings end with an unshare; sharing again opens the same link on the same content.
            again = client.post("/api/share", json={"sessionID": session_id}).json()
            assert again["id"] == share.id
            assert client.get(f"/api/share/{share.id}/data").json() == merged(share.state)


@pytest.mark.parametrize("name", ["1.1.53-fixture-all-parts", "1.18.33-fixture-all-parts"])
def test_the_end_state_is_the_recorded_one(server: Server, name: str) -> None:
    with server.client(server.tokens["bob"]) as client:
        replay = Replay(client).run(name)
        (share,) = replay.shares.values()
        held = client.get(f"/api/share/{share.id}/data").json()
    recorded = [item for item in share_data(name) if item["type"] not in ("session", "model")]
    ours = [item for item in held if item["type"] not in ("session", "model")]
    assert sorted(ours, key=key) == sorted(recorded, key=key)


def test_device_login_as_recorded(server: Server) -> None:
    with server.client() as client:
        code = client.post("/auth/device/code", json={"client_id": "opencode-cli"}).json()
        assert code["verification_uri_complete"] == f"{server.url}/device?user_code={code['user_code']}"
        poll = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": code["device_code"],
            "client_id": "opencode-cli",
        }
        pending = client.post("/auth/device/token", json=poll)
        assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")
