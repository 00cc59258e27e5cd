"""goose's own cases of its allowlist, and the holes that are closed here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from extensions import fetching, policy, secrets
from extensions.allowlist import decide_command, decide_url
from extensions.models import Allowed, AllowedDirectory, Extension, FetchedAllowlist, Kind, Refusal, Secret
from project.accounts.models import User
from tests.components import RECORDED

CASES = json.loads((RECORDED / "goose" / "allowlist_cases.json").read_text())
EXEDIR = "/opt/goose/bin"


def bundle(text: str) -> str:
    """The directory of a command inside goose's own bundle, which an admin would list; else nothing."""
    for end in ("Goose.app/Contents/Resources/bin/", "\\resources\\bin\\", "/resources/bin/"):
        at = text.lower().find(end.lower())
        if at >= 0:
            directory = text[: at + len(end) - 1]
            rest = text[at + len(end) :]
            return directory if "\\" not in rest.split(" ")[0] and "/" not in rest.split(" ")[0] else ""
    return ""


def vector(text: str) -> tuple[str, list[str]]:
    directory = bundle(text)
    head, _, rest = text[len(directory) :].partition(" ")
    return directory + head, rest.split()


GOOSE = [
    pytest.param(group["allowlist"], *case, id=f"{case[0][-60:]} {case[1]} {index}")
    for index, group in enumerate(CASES["groups"])
    for case in group.get("cases", [])
]


@pytest.mark.parametrize(("entries", "text", "allowed"), GOOSE)
def test_gooses_own_cases(entries: list[str] | None, text: str, allowed: bool) -> None:
    text = text.replace("EXEDIR", EXEDIR)
    command, arguments = vector(text)
    directory = bundle(text)
    decision = decide_command(command, arguments, entries, [EXEDIR, *([directory] if directory else [])])
    assert decision.allowed == allowed
    assert allowed or decision.reason
    if directory:
        # goose believes any directory of that name; here it has to be listed.
        assert not decide_command(command, arguments, entries, [EXEDIR]).allowed


@pytest.mark.parametrize(
    ("command", "arguments", "entry", "allowed"),
    [
        ("uvx", ["mcp_slack@git+https://evil.example/x"], "uvx mcp_slack", False),
        ("uvx", ["mcp_slack@https://evil.example/x.whl"], "uvx mcp_slack", False),
        ("npx", ["mcp_slack@file:../x"], "npx mcp_slack", False),
        ("npx", ["mcp_slack@npm:other@1"], "npx mcp_slack", False),
        ("npx", ["mcp_slack@evil/repo"], "npx mcp_slack", False),
        ("npx", ["mcp_slack@evil.tgz"], "npx mcp_slack", False),
        ("npx", ["mcp_slack@1.0.tar.gz"], "npx mcp_slack", False),
        ("npx", ["mcp_slack@next"], "npx mcp_slack", True),
        ("uvx", ["mcp_slack@directory"], "uvx mcp_slack", False),
        ("uvx", ["mcp_slack@1.2.3"], "uvx mcp_slack@latest", True),
        ("uvx", ["mcp_slack@2.0rc1.post2+local.1"], "uvx mcp_slack", True),
        ("uvx", ["mcp_slack@1evil"], "uvx mcp_slack", False),
        ("uvx", ["mcp_slack@2.zip"], "uvx mcp_slack", False),
        ("uvx", ["mcp_slack@1.0.whl"], "uvx mcp_slack", False),
        ("/tmp/x/resources/bin/uvx", ["mcp_slack"], "uvx mcp_slack", False),
        ("npx", ["@scope/pkg@9.9.9"], "npx @scope/pkg", True),
        ("npx", ["@scope/pkg@evil/x"], "npx @scope/pkg", False),
        ("npx", ["-y", "@scope/pkg"], "npx @scope/pkg@latest", True),
        ("uvx", ["mcp_slack x"], "uvx mcp_slack x", False),
        ("uvx", ["mcp_slack", "x"], "uvx mcp_slack x", True),
        ("uvx", ["mcp_slack", "-y"], "uvx mcp_slack", False),
        ("uvx", ["--from", "evil", "mcp_slack"], "uvx mcp_slack", False),
        ("bash", ["-c", "uvx mcp_slack"], "uvx mcp_slack", False),
        ("uvx mcp_slack", [], "uvx mcp_slack", False),
        ("UVX", ["mcp_slack"], "uvx mcp_slack", False),
        ("../uvx", ["mcp_slack"], "uvx mcp_slack", False),
        ("/usr/bin/uvx", ["mcp_slack"], "/usr/bin/uvx mcp_slack", False),
        ("uvx", ["mcp_slack\n--x"], "uvx mcp_slack", False),
        ("uvx.exe.exe", ["mcp_slack"], "uvx mcp_slack", False),
        ("npx", ["mcp_slack@evil.tar-gz"], "npx mcp_slack", False),
        ("npx", ["https://host/x@2"], "npx https://host/x@1", False),
        ("npx", ["https://host/x@1"], "npx https://host/x@1", True),
        (
            "uvx",
            ["--from", "git+https://host/x@9deadbeef", "x"],
            "uvx --from git+https://host/x@0123abc x",
            False,
        ),
        ("uvx", ["mcp_slack[all]@1.2.3"], "uvx mcp_slack[all]", True),
        ("tool", ["-y", "serve"], "tool serve", False),
        ("sh", ["-c", "id"], "", False),
        ("sh", ["-c", "id"], "  ", False),
    ],
)
def test_the_holes_are_closed(command: str, arguments: list[str], entry: str, allowed: bool) -> None:
    assert decide_command(command, arguments, [entry]).allowed == allowed


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("/opt/mcp/server", True),
        ("/opt/mcp/server.exe", True),
        ("/opt/other/server", False),
        ("server", False),
    ],
)
def test_an_entry_with_a_directory_means_that_directory(command: str, allowed: bool) -> None:
    entries = ["/opt/mcp/server --stdio"]
    directories = ["/opt/mcp", "/opt/other"]
    assert decide_command(command, ["--stdio"], entries, directories).allowed == allowed
    assert not decide_command("/opt/mcp/server", ["--stdio"], entries).allowed


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://mcp.example.org/one", True),
        ("https://mcp.example.org/one/two", True),
        ("https://mcp.example.org/onetwo", False),
        ("https://mcp.example.org/one/../two", False),
        ("https://mcp.example.org/one/%2e%2e/two", False),
        ("https://mcp.example.org/one/%2E%2e%2ftwo", False),
        ("https://mcp.example.org/one/..\\two", False),
        ("https://mcp.example.org.evil.example/one", False),
        ("https://mcp.example.org@evil.example/one", False),
        ("https://user@mcp.example.org/one", False),
        ("http://mcp.example.org/one", False),
        ("https://mcp.example.org:444/one", False),
        ("https://[", False),
    ],
)
def test_addresses(url: str, allowed: bool) -> None:
    assert decide_url(url, ["https://mcp.example.org/one"]).allowed == allowed
    assert decide_url(url, None).allowed
    assert not decide_url(url, [" "]).allowed


def extension(**fields: Any) -> Extension:
    return Extension.objects.create(
        **{"name": "slack", "command": "uvx", "arguments": ["mcp_slack"], **fields}
    )


def test_without_any_list_the_catalogue_decides(alice: User) -> None:
    assert policy.check(extension(), alice, "enabling").allowed


def test_refusals_are_written_down_with_a_reason(alice: User) -> None:
    Allowed.objects.create(label="other", command="uvx other")
    decision = policy.check(extension(), alice, "starting")
    assert not decision.allowed and "uvx mcp_slack" in decision.reason
    refusal = Refusal.objects.get()
    assert (refusal.user, refusal.extension, refusal.moment) == (alice, "slack", "starting")
    AllowedDirectory.objects.create(path="/opt/mcp/bin")
    Allowed.objects.create(label="slack", command="uvx mcp_slack")
    assert policy.check(Extension.objects.get(name="slack"), alice, "starting").allowed
    by_path = extension(name="path", command="/opt/mcp/bin/uvx")
    assert policy.check(by_path, alice, "starting").allowed


def test_a_refusal_tells_nobody_what_is_secret_in_a_command(alice: User) -> None:
    Allowed.objects.create(label="other", command="uvx other")
    given = [
        "-y",
        "pg",
        "postgresql://app:hunter2@db/prod",
        "--token",
        "t0ken",
        "--api-key=k3y",
        "-v",
        "plain",
    ]
    decision = policy.check(extension(command="npx", arguments=given), alice, "starting")
    for said in (decision.reason, Refusal.objects.get().command):
        assert "npx -y pg postgresql://•••@db/prod --token ••• --api-key=••• -v plain" in said


@pytest.mark.parametrize("name", ["LD_PRELOAD", "path", "Node_Options"])
def test_an_environment_may_not_change_what_runs(alice: User, name: str) -> None:
    assert not policy.check(extension(environment={name: "x"}), alice, "starting").allowed
    other = extension(name="other")
    Secret.objects.create(extension=other, name=name, value=secrets.sealed("x"))
    assert not policy.check(other, alice, "starting").allowed


def test_a_list_kept_elsewhere_is_read_and_its_last_good_copy_stays(
    alice: User, configure: Any, tmp_path: Path
) -> None:
    source = tmp_path / "list.yaml"
    configure(allowlist=str(source))
    slack = extension()
    refused = policy.check(slack, alice, "enabling")
    assert not refused.allowed and "could not be read yet" in refused.reason
    source.write_text("extensions:\n  - id: slack\n    command: uvx mcp_slack\n")
    FetchedAllowlist.objects.update(tried_at=None)
    assert policy.check(slack, alice, "enabling").allowed
    source.write_text("extensions: [")
    FetchedAllowlist.objects.update(tried_at=timezone.now() - timezone.timedelta(hours=2))
    assert policy.check(slack, alice, "enabling").allowed
    assert "Error" in FetchedAllowlist.objects.get().problem
    source.write_text("extensions: []")
    FetchedAllowlist.objects.update(tried_at=None)
    assert not policy.check(slack, alice, "enabling").allowed


def test_the_admin_panel_shows_no_password_of_a_lists_address(
    dora: User, browser_of: Callable[..., Client]
) -> None:
    row = FetchedAllowlist.objects.create(source="https://ann:s3cret@lists.example.org/list?token=t0ken")
    client = browser_of(dora)
    for path in ("", f"{row.pk}/change/"):
        page = client.get(f"/admin/extensions/fetchedallowlist/{path}", follow=True).content.decode()
        assert "lists.example.org" in page and "s3cret" not in page and "t0ken" not in page


@pytest.mark.parametrize("list_", ["[{id: a, command: ''}]", "[{id: a, command: ' '}]", "[]"])
def test_a_list_that_names_nothing_allows_nothing(
    alice: User, configure: Any, tmp_path: Path, list_: str
) -> None:
    source = tmp_path / "list.yaml"
    source.write_text(f"extensions: {list_}")
    configure(allowlist=str(source))
    assert not policy.check(extension(), alice, "starting").allowed
    web = extension(name="web", kind=Kind.HTTP, url="https://mcp.example.org/mcp")
    assert not policy.check(web, alice, "starting").allowed


def test_an_address_that_is_none_is_a_list_that_cannot_be_read(alice: User, configure: Any) -> None:
    configure(allowlist="https://host:port/list.yaml")
    refused = policy.check(extension(), alice, "enabling")
    assert not refused.allowed and "could not be read yet" in refused.reason


@pytest.mark.parametrize("text", ['!!int ""', "!!bool x", "!!timestamp x", "[" * 5000, "\0"])
def test_a_list_that_no_parser_reads_leaves_the_last_good_copy(
    alice: User, configure: Any, tmp_path: Path, text: str
) -> None:
    source = tmp_path / "list.yaml"
    source.write_text("extensions:\n  - id: slack\n    command: uvx mcp_slack\n")
    configure(allowlist=str(source))
    slack = extension()
    assert policy.check(slack, alice, "enabling").allowed
    source.write_text(text)
    FetchedAllowlist.objects.update(tried_at=None)
    assert policy.check(slack, alice, "enabling").allowed
    assert FetchedAllowlist.objects.get().problem


@pytest.mark.parametrize("text", ["", "[]", "extensions: 1", "extensions: [x]", "extensions: [{id: a}]"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        fetching.parse(text)


def test_the_bypass_is_one_word(alice: User, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from project.config import load

    for value, bypassed in CASES["groups"][-1]["bypass_cases"]:
        monkeypatch.delenv("GOOSE_ALLOWLIST_BYPASS", raising=False)
        if value is not None:
            monkeypatch.setenv("GOOSE_ALLOWLIST_BYPASS", value)
        assert load().allowlist_bypass == bypassed
    Allowed.objects.create(label="x", command="uvx mcp_slack")
    configure(allowlist_bypass=True)
    assert policy.check(extension(arguments=["other"]), alice, "enabling").allowed


def test_http_and_built_in_extensions(alice: User) -> None:
    Allowed.objects.create(label="x", command="https://mcp.example.org/")
    inside = extension(name="a", kind=Kind.HTTP, url="https://mcp.example.org/mcp")
    outside = extension(name="b", kind=Kind.HTTP, url="https://evil.example/mcp")
    assert policy.check(inside, alice, "enabling").allowed
    assert not policy.check(outside, alice, "enabling").allowed
    assert policy.check(extension(name="c", kind=Kind.BUILTIN), alice, "enabling").allowed


def test_secrets_are_not_stored_in_clear(alice: User, settings: Any) -> None:
    row = Secret.objects.create(extension=extension(), name="TOKEN", value=secrets.sealed("s3cret-value"))
    row.refresh_from_db()
    assert b"s3cret-value" not in bytes(row.value)
    assert Extension.objects.get(name="slack").secret_values("environment") == {"TOKEN": "s3cret-value"}
    settings.SECRET_KEY = "another key, of more than thirty-two characters"
    with pytest.raises(secrets.Unreadable):
        Extension.objects.get(name="slack").secret_values("environment")


def test_a_refusal_does_not_tell_what_an_address_may_hide() -> None:
    decision = decide_url("https://ann:pass@mcp.example.org/mcp?key=s3cret", ["https://other.example"])
    assert decision.reason.startswith("https://mcp.example.org/mcp is not below")
