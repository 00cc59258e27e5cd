"""The catalogue: what admins put in, what members switch on, and whether it starts."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from extensions import runner
from extensions.models import Allowed, Enabled, Extension, Refusal, Secret
from project.accounts.models import User
from tests.extensions.test_connections import LAUNCH

MCP = str(Path(__file__).parent / "mcp_stdio.py")


def stub(*arguments: str, **fields: Any) -> Extension:
    return Extension.objects.create(
        **{"name": "stub", "command": sys.executable, "arguments": [MCP, *arguments], **fields}
    )


def test_a_real_server_is_started_and_lists_its_tools(alice: User) -> None:
    tools = runner.tools_of(stub(), alice)
    assert [(tool.name, tool.read_only) for tool in tools][:2] == [("environment", True), ("digest", True)]
    assert tools[2].schema["properties"].keys() == {"a", "b"}
    limited = stub(name="limited", tools=["add"])
    assert [tool.name for tool in runner.tools_of(limited, alice)] == ["add"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["dies"], "no licence found"), (["rubbish"], "could not|did not"), (["silent"], "did not answer")],
)
def test_what_does_not_start_says_why(
    alice: User, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr(runner, "START_SECONDS", 3.0)
    with pytest.raises(runner.NotStarted, match=said):
        runner.tools_of(stub(*arguments), alice)


@pytest.mark.parametrize("command", ["no-such-command", "/no/such/command"])
def test_a_command_that_is_not_there(alice: User, command: str) -> None:
    with pytest.raises(runner.NotStarted, match="could not be started"):
        runner.tools_of(stub(command=command), alice)


def test_the_allowlist_is_asked_at_starting_too(alice: User) -> None:
    Allowed.objects.create(label="x", command="uvx other")
    with pytest.raises(runner.NotStarted, match="not allowed"):
        runner.tools_of(stub(), alice)
    assert Refusal.objects.get().moment == "starting"


def test_members_switch_on_and_off_over_rest(alice: User, bob: User, dora: User, program_of: Any) -> None:
    stub(environment={"SECRET_NAME": "hidden value"})
    stub(name="withdrawn", offered=False)
    client = program_of(alice)
    built_in, row = client.get("/api/extensions").json()["extensions"]
    assert (built_in["name"], built_in["type"], built_in["enabled"]) == ("files", "builtin", True)
    assert (row["name"], row["type"], row["enabled"]) == ("stub", "stdio", False)
    assert "hidden value" not in client.get("/api/extensions").content.decode()
    assert client.post("/api/extensions/stub/enable").json()["enabled"] is True
    assert client.get("/api/extensions").json()["extensions"][1]["enabled"] is True
    assert program_of(bob).get("/api/extensions").json()["extensions"][1]["enabled"] is False
    assert client.post("/api/extensions/stub/disable").json()["enabled"] is False
    assert client.post("/api/extensions/withdrawn/enable").status_code == 404
    assert client.post("/api/extensions/withdrawn/disable").status_code == 404
    # Whoever has it on can still switch it off.
    Extension.objects.filter(name="stub").update(offered=False)
    client.post("/api/extensions/stub/disable")
    assert client.post("/api/extensions/stub/disable").json()["enabled"] is False
    assert program_of(bob).post("/api/extensions/stub/disable").status_code == 404
    assert client.post("/api/extensions/unknown/enable").status_code == 404


def test_a_refusal_says_why_and_whom_to_ask(
    alice: User, dora: User, program_of: Any, browser_of: Callable[..., Client]
) -> None:
    stub()
    Allowed.objects.create(label="x", command="uvx other")
    answer = program_of(alice).post("/api/extensions/stub/enable")
    assert answer.status_code == 403
    assert (
        "not allowed" in answer.json()["error"]["message"] and "ask dora" in answer.json()["error"]["message"]
    )
    page = browser_of(alice).post("/extensions/stub/switch", {"on": "1"}, follow=True).content.decode()
    assert "ask dora" in page and not Enabled.objects.exists()


def test_plain_forms_switch_on_and_off(alice: User, browser_of: Callable[..., Client]) -> None:
    stub(description="Adds numbers")
    client = browser_of(alice)
    page = client.get("/extensions").content.decode()
    assert "Adds numbers" in page and "Switch on" in page
    client.post("/extensions/stub/switch", {"on": "1"})
    assert (Enabled.objects.get().user, Enabled.objects.get().on) == (alice, True)
    assert "Switch off" in client.get("/extensions").content.decode()
    client.post("/extensions/stub/switch", {"on": "0"})
    assert not Enabled.objects.get().on


def admin_form(**fields: str) -> dict[str, str]:
    empty = {
        "secrets-TOTAL_FORMS": "0",
        "secrets-INITIAL_FORMS": "0",
        "name": "stub",
        "kind": "stdio",
        "command": sys.executable,
        "arguments": "[]",
        "environment": "{}",
        "headers": "{}",
        "tools": "[]",
        "timeout": "30",
        "offered": "on",
    }
    return {**empty, **fields}


def test_an_admin_adds_one_with_a_secret_that_is_never_shown(
    dora: User, browser_of: Callable[..., Client]
) -> None:
    client = browser_of(dora)
    form = admin_form(
        **{
            "secrets-TOTAL_FORMS": "1",
            "secrets-0-place": "environment",
            "secrets-0-name": "API_TOKEN",
            "secrets-0-new_value": "tops3cret",
        }
    )
    assert client.post("/admin/extensions/extension/add/", form).status_code == 302
    extension = Extension.objects.get(name="stub")
    assert extension.secret_values("environment") == {"API_TOKEN": "tops3cret"}
    address = f"/admin/extensions/extension/{extension.pk}/change/"
    page = client.get(address).content.decode()
    assert "API_TOKEN" in page and "tops3cret" not in page
    secret = Secret.objects.get()
    kept = admin_form(
        **{
            "description": "changed",
            "secrets-TOTAL_FORMS": "1",
            "secrets-INITIAL_FORMS": "1",
            "secrets-0-id": str(secret.pk),
            "secrets-0-extension": str(extension.pk),
            "secrets-0-place": "environment",
            "secrets-0-name": "API_TOKEN",
            "secrets-0-new_value": "",
        }
    )
    assert client.post(address, kept).status_code == 302
    assert Extension.objects.get(name="stub").secret_values("environment") == {"API_TOKEN": "tops3cret"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": ""}, "Give the command"),
        ({"kind": "streamable_http", "url": ""}, "Give the address"),
        ({"arguments": "{}"}, "Expected a JSON list"),
        ({"environment": '{"LD_PRELOAD": "x"}'}, "LD_PRELOAD"),
        ({"name": "No Name"}, "small letters"),
    ],
)
def test_an_entry_that_cannot_work_is_refused(
    dora: User, browser_of: Callable[..., Client], fields: dict[str, str], said: str
) -> None:
    page = browser_of(dora).post("/admin/extensions/extension/add/", admin_form(**fields))
    assert page.status_code == 200 and said in page.content.decode()
    assert not Extension.objects.exclude(kind="builtin").exists()


def test_test_lists_the_tools_or_says_what_is_wrong(dora: User, browser_of: Callable[..., Client]) -> None:
    works, broken = stub(), stub("dies", name="broken")
    page = browser_of(dora).post(
        "/admin/extensions/extension/",
        {"action": "test", "_selected_action": [works.pk, broken.pk]},
        follow=True,
    )
    text = page.content.decode()
    assert "Stub works. Its tools: environment, digest, add, " in text and "no licence found" in text


def test_the_allowlist_notes_who_added_an_entry(dora: User, browser_of: Callable[..., Client]) -> None:
    browser_of(dora).post("/admin/extensions/allowed/add/", {"label": "slack", "command": "uvx mcp_slack"})
    entry = Allowed.objects.get()
    assert (entry.command, entry.added_by) == ("uvx mcp_slack", dora)


def test_the_audit_log_cannot_be_changed(dora: User, browser_of: Callable[..., Client]) -> None:
    Refusal.objects.create(extension="x", command="x", moment="starting", reason="x")
    client = browser_of(dora)
    assert client.get("/admin/extensions/refusal/").status_code == 200
    assert client.get("/admin/extensions/refusal/add/").status_code == 403
    page = client.post(f"/admin/extensions/refusal/{Refusal.objects.get().pk}/delete/", {"post": "yes"})
    assert page.status_code == 403 and Refusal.objects.exists()


def test_a_secret_is_hidden_in_whatever_form_it_is_told() -> None:
    key = "-----BEGIN KEY-----\nMIIBOgIBAAJBAKj3\n-----END KEY-----"
    launch = replace(LAUNCH, secrets=runner._forms(["Bearer sk-live-123456", key, "abc"]))
    for told in (
        "bad token sk-live-123456",
        "Bearer sk-live-123456",
        json.dumps({"key": key}),
        f"  > {key}",
        "MIIBOgIBAAJBAKj3",
    ):
        shown = launch.discreet(told)
        assert "sk-live" not in shown and "MIIB" not in shown and "•••" in shown
    assert launch.discreet("abc") == "abc"
