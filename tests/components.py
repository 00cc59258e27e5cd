"""What some tests need beyond Python: where it is missing they are skipped with the reason, in CI they fail."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
AXE = Path.home() / ".cache" / "gander-tests" / "node_modules" / "axe-core" / "axe.min.js"
RECORDED = ROOT / "tests" / "recorded"


def missing(reason: str) -> NoReturn:
    """Ends the test: skipped, or failed in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)


def opencode_binary(version: str) -> Path:
    """The stock opencode of this version, as npm's platform package holds it."""
    prefix = Path(os.environ.get("OPENCODE_PREFIX", Path.home() / ".cache" / "opencode-ci"))
    binary = prefix / version / "node_modules" / "opencode-linux-x64" / "bin" / "opencode"
    if not binary.exists():
        missing(
            f"opencode {version} is not installed; npm install --prefix {prefix / version} opencode-linux-x64@{version}"
        )
    return binary


def goose_binary() -> Path:
    """The stock goose, as npm's platform package holds it."""
    prefix = Path(os.environ.get("GOOSE_PREFIX", Path.home() / ".cache" / "goose-ci")) / "1.52.0"
    binary = prefix / "node_modules" / "@aaif" / "goose-binary-linux-x64" / "bin" / "goose"
    if not binary.exists():
        missing(f"goose is not installed; npm install --prefix {prefix} @aaif/goose-binary-linux-x64@1.52.0")
    return binary


# What concerns no database, and takes long: the suite's second run, on PostgreSQL, leaves it to the first.
once = pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="it concerns no database; the suite's run on SQLite has it"
)
