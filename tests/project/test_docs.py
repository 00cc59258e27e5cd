"""What users read is true: every route and command has its place, links lead somewhere."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from project.api import api
from tests.components import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_rest_operation_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in text, (method, path)


def test_every_command_of_ours_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    for name, app in get_commands().items():
        if str(app).startswith(("project", "sessions_app", "sharing", "extensions")):
            assert f"`manage.py {name}" in text, name


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_links_between_pages_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_opencodes_endpoints_are_documented() -> None:
    text = (ROOT / "docs" / "opencode.md").read_text()
    for path in (
        "/api/share",
        "/api/shares",
        "/k/<key>/api/share",
        "/auth/device/code",
        "/auth/device/token",
    ):
        assert path in text
