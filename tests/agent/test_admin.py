"""What admins allow, and what a process that runs no turn brings in."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from extensions.models import Extension
from project.accounts.models import User
from sessions_app.agent import choices, workspaces
from sessions_app.agent.models import AllowedModel, Provider, ToolChoice, WorkspaceRoot
from tests.components import ROOT


def test_an_admin_allows_a_model(dora: User, browser_of: Callable[..., Client]) -> None:
    with pytest.raises(choices.UnknownModel, match="GANDER_PROVIDER"):
        choices.chosen("")
    form = {"provider": "ollama", "name": "qwen3", "url": ""}
    assert browser_of(dora).post("/admin/sessions_app/allowedmodel/add/", form).status_code == 302
    assert choices.chosen("").id == "ollama/qwen3" and choices.chosen("qwen3").provider == Provider.OLLAMA


def test_further_models_of_a_provider_are_had_where_its_default_is(db: None, configure: Any) -> None:
    from project import config

    configure(provider=config.Provider.OPENAI, model="gpt-5", provider_url="https://gateway.example.org/v1")
    AllowedModel.objects.create(provider="openai", name="gpt-5-mini")
    AllowedModel.objects.create(provider="anthropic", name="claude")
    assert [(choice.id, choice.url) for choice in choices.available()] == [
        ("openai/gpt-5", "https://gateway.example.org/v1"),
        ("anthropic/claude", ""),
        ("openai/gpt-5-mini", "https://gateway.example.org/v1"),
    ]


def test_what_was_allowed_of_an_extension_is_not_allowed_of_another_program(alice: User) -> None:
    def allowed() -> dict[str, bool]:
        return dict(ToolChoice.objects.values_list("tool", "allowed"))

    slack = Extension.objects.create(name="slack", command="uvx", arguments=["mcp_slack"])
    for tool, yes in (("slack__post", True), ("slack__read", False), ("slack-two__post", True)):
        ToolChoice.objects.create(user=alice, tool=tool, allowed=yes)
    slack.description, slack.timeout = "Talks", 60
    slack.save()
    assert allowed() == {"slack__post": True, "slack__read": False, "slack-two__post": True}
    slack.arguments = ["other"]
    slack.save()
    assert allowed() == {"slack__read": False, "slack-two__post": True}
    ToolChoice.objects.create(user=alice, tool="slack__post", allowed=True)
    slack.delete()
    assert allowed() == {"slack__read": False, "slack-two__post": True}


@pytest.mark.parametrize("path", ["relative", "/", "//"])
def test_a_root_is_a_whole_path(dora: User, browser_of: Callable[..., Client], path: str) -> None:
    page = browser_of(dora).post("/admin/sessions_app/workspaceroot/add/", {"path": path})
    assert "whole path" in page.content.decode() and not WorkspaceRoot.objects.exists()


def test_a_root_may_be_one_persons(alice: User, bob: User, tmp_path: Any) -> None:
    WorkspaceRoot.objects.create(path=str(tmp_path), user=alice)
    assert workspaces.resolve(alice, str(tmp_path)) == tmp_path
    with pytest.raises(workspaces.OutsideWorkspace):
        workspaces.resolve(bob, str(tmp_path))


@pytest.mark.parametrize("name", ["..", ".", "..."])
def test_no_user_name_leads_out_of_the_workspaces(db: None, name: str, settings: Any) -> None:
    own = workspaces.own(User(username=name))
    assert own.parent == settings.GANDER.workspaces.resolve() and own.name == f"user-{name}"


def test_a_link_in_a_workspace_does_not_lead_out(alice: User, tmp_path: Any) -> None:
    (workspaces.own(alice) / "out").symlink_to(tmp_path)
    with pytest.raises(workspaces.OutsideWorkspace):
        workspaces.resolve(alice, "out")


def test_neither_providers_nor_mcp_are_imported_before_a_turn() -> None:
    code = (
        "import sys; import project.asgi; import project.management.commands.serve; import project.urls;"
        "found = {name.split('.')[0] for name in sys.modules};"
        "print(sorted(found & {'pydantic_ai', 'mcp', 'openai', 'anthropic', 'google', 'httpx2'}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
