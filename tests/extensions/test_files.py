"""The built-in ``files``: what it does under its directory, and that nothing leads out of it."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from extensions import files
from extensions.tools import Outcome


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    (directory / "a.py").write_text("one\ntwo\nthree\n")
    (directory / "sub").mkdir()
    (directory / "sub" / "b.py").write_text("Two again\n")
    (tmp_path / "secret.txt").write_text("secret\n")
    return directory.resolve()


def call(root: Path, name: str, **arguments: Any) -> Outcome:
    return files.call(root, name, arguments)


def test_it_lists_reads_searches_writes_and_edits(root: Path) -> None:
    assert call(root, "list").text == "a.py\nsub/"
    assert call(root, "list", path="sub").text == "b.py"
    assert call(root, "read", path="a.py").text == "1: one\n2: two\n3: three"
    assert (
        call(root, "read", path="a.py", offset=2, limit=1).text
        == "2: two\n… 1 more lines; read on with offset 3"
    )
    assert call(root, "search", text="two").text == "a.py:2: two"
    assert call(root, "search", text="two", ignore_case=True).text == "a.py:2: two\nsub/b.py:1: Two again"
    assert call(root, "search", text="two", path="sub").text == "Nothing was found."
    assert call(root, "search", text="t", names="b*").text == "Nothing was found."
    written = call(root, "write", path="new/deep/c.txt", content="x\ny\n")
    assert written.text == "Wrote new/deep/c.txt, 2 lines." and written.change == (
        "new/deep/c.txt",
        "",
        "x\ny\n",
    )
    edited = call(root, "edit", path="a.py", old="two", new="2")
    assert not edited.failed and (root / "a.py").read_text() == "one\n2\nthree\n"
    assert call(root, "read", path=str(root / "a.py")).text.startswith("1: one")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("read", {"path": "none"}, "No such file"),
        ("read", {"path": "sub"}, "no file"),
        ("read", {}, "path is missing"),
        ("read", {"path": 7}, "type string"),
        ("read", {"path": "a.py", "limit": True}, "type integer"),
        ("read", {"path": "a.py", "mode": "w"}, "no argument mode"),
        ("read", {"path": "a\0b"}, "NUL"),
        ("read", {"path": "x" * 5000}, ""),
        ("list", {"path": "a.py"}, "Not a directory"),
        ("search", {"text": ""}, "Give the text"),
        ("edit", {"path": "a.py", "old": "nothing", "new": ""}, "does not stand"),
        ("edit", {"path": "a.py", "old": "e", "new": ""}, "3 times"),
        ("edit", {"path": "a.py", "old": "", "new": "x"}, "does not stand"),
        ("write", {"path": "sub", "content": ""}, ""),
        ("write", {"path": "a.py/b", "content": ""}, ""),
        ("write", {"path": "c", "content": "\ud800"}, "no file can hold"),
        ("write", {"path": "c", "content": "x" * 5_000_001}, "at most"),
        ("delete", {}, "no tool delete"),
    ],
)
def test_what_cannot_be_done_is_said(root: Path, name: str, arguments: dict[str, Any], said: str) -> None:
    outcome = files.call(root, name, arguments)
    assert outcome.failed and said in outcome.text
    assert (root / "a.py").read_text() == "one\ntwo\nthree\n"


def test_what_is_no_text_is_not_read(root: Path) -> None:
    (root / "image").write_bytes(b"\x89PNG\0\0")
    os.mkfifo(root / "pipe")
    assert "not a text file" in call(root, "read", path="image").text
    assert call(root, "read", path="pipe").failed
    assert call(root, "write", path="pipe", content="x").failed


OUTSIDE = [
    "../secret.txt",
    "sub/../../secret.txt",
    "/etc/passwd",
    "link.txt",
    "directory/secret.txt",
    "inner/../../secret.txt",
    "sub/up/secret.txt",
    "/proc/self/root/etc/passwd",
    "//etc/passwd",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_leads_out(root: Path, path: str) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "directory").symlink_to(root.parent)
    (root / "inner").symlink_to(root / "sub")
    (root / "sub" / "up").symlink_to("../..")
    for name, more in (
        ("read", {}),
        ("write", {"content": "overwritten"}),
        ("edit", {"old": "secret", "new": "overwritten"}),
        ("list", {}),
        ("search", {"text": "secret"}),
    ):
        outcome = files.call(root, name, {"path": path, **more})
        assert outcome.failed or "secret" not in outcome.text, (name, path)
        assert "root:" not in outcome.text
    assert (root.parent / "secret.txt").read_text() == "secret\n"
    assert sorted(each.name for each in root.parent.iterdir()) == ["root", "secret.txt"]


def test_a_search_does_not_follow_links(root: Path) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "directory").symlink_to(root.parent)
    assert call(root, "search", text="secret").text == "Nothing was found."


def test_a_link_that_leads_within_is_followed(root: Path) -> None:
    (root / "inner").symlink_to(root / "sub")
    assert "Two again" in call(root, "read", path="inner/b.py").text


def test_a_link_swapped_in_meanwhile_does_not_lead_out(root: Path) -> None:
    """Another process changes a directory into a link and back as fast as it can."""
    (root / "inside").mkdir()
    (root / "inside" / "secret.txt").write_text("harmless\n")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            os.rename(root / "inside", root / "kept")
            os.symlink(root.parent, root / "inside")
            os.unlink(root / "inside")
            os.rename(root / "kept", root / "inside")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(2000):
            outcome = call(root, "read", path="inside/secret.txt")
            assert outcome.failed or outcome.text == "1: harmless"
    finally:
        over.set()
        thread.join()


@hypothesis_settings(deadline=None)
@given(path=st.text(max_size=40), content=st.text(max_size=40))
def test_whatever_a_path_is_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, path: str, content: str
) -> None:
    parent = tmp_path_factory.mktemp("paths")
    root = parent / "root"
    root.mkdir()
    files.call(root.resolve(), "write", {"path": path, "content": content})
    assert [each.name for each in parent.iterdir()] == ["root"]
