"""Each kind of content reads as what it is."""

import pytest

from sessions_app.models import Part, Session
from sessions_app.reading import Reading
from sessions_app.render import ansi, patch
from sessions_app.render.code import highlighted
from sessions_app.render.markdown import markdown
from sessions_app.render.steps import Run, Steps, call_of
from sessions_app.render.tool import Tool
from sessions_app.templatetags.transcript import duration
from tests.factories import tool_part


def test_markdown_has_tables_task_lists_and_highlighted_code() -> None:
    html = markdown(
        "| a | b |\n|:-:|--:|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n\n```python\ndef f(): pass\n```\n"
    )
    assert '<th class="center">a</th>' in html and '<td class="right">2</td>' in html
    assert html.count('type="checkbox"') == 2 and "checked" in html
    assert '<span class="t-k">def</span>' in html


def test_links_open_nothing_of_ours_and_tell_nobody() -> None:
    html = markdown("[web](https://example.org) [local](/admin/) [anchor](#x) https://bare.example")
    assert 'href="https://example.org" rel="noopener noreferrer nofollow"' in html
    assert "/admin/" not in html and 'href="#x"' not in html


def test_a_picture_from_elsewhere_becomes_a_link_and_one_in_the_text_is_shown() -> None:
    assert "<img" not in markdown("![p](https://example.org/p.png)")
    assert '<img src="data:image/png;base64,AA=="' in markdown("![p](data:image/png;base64,AA==)")
    assert "<img" not in markdown("![p](data:image/svg+xml;base64,AA==)")


def test_long_code_is_not_highlighted() -> None:
    assert "<span" not in highlighted("x = 1\n" * 20_000, language="python")
    assert "<span" not in highlighted("x = '" + "a" * 10_001 + "'", language="python")
    assert "<span" in highlighted("x = 1", language="python")
    assert "<span" in highlighted("x = 1", file="a/b.py")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("\x1b[1;31mred\x1b[0m plain", '<span class="bold fg1">red</span> plain'),
        ("\x1b[92mbright\x1b[39m", '<span class="fg10">bright</span>'),
        ("\x1b[38;5;4mblue\x1b[m", '<span class="fg4">blue</span>'),
        ("\x1b[38;2;1;2;3mtrue\x1b[0m", "true"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("\x1b]0;title\x07a\x1b[2Kb\x07", "ab"),
        ("<b>\x1b[4m&", '&lt;b&gt;<span class="underline">&amp;</span>'),
        ("line\r\nnext", "line\nnext"),
        (
            "a\n\x1b[32m10%\x1b[0m \r\x1b[32m50%\x1b[0m\r\x1b[1m\r\nend",
            'a\n<span class="fg2">50%</span><span class="bold">\nend</span>',
        ),
    ],
)
def test_ansi(text: str, html: str) -> None:
    assert ansi.ansi(text) == html


def test_a_patch_has_line_numbers_and_signs() -> None:
    rows = patch.lines(
        "Index: a.py\n====\n--- a.py\n+++ a.py\n@@ -1,2 +1,3 @@ def f\n same\n-old\n+new\n+more\n", "a.py"
    )
    assert [(row.kind, row.old, row.new) for row in rows] == [
        ("hunk", None, None),
        ("same", 1, 1),
        ("remove", 2, None),
        ("add", None, 2),
        ("add", None, 3),
    ]
    assert [(left.kind, right.kind) for left, right in patch.pairs(rows)] == [
        ("hunk", "hunk"),
        ("same", "same"),
        ("remove", "add"),
        ("none", "add"),
    ]


def tool(name: str, **state: object) -> Tool:
    return Tool(tool_part(name, **state)["data"], "/home/alice/app")  # type: ignore[arg-type]


def editor(command: str, **given: str) -> Tool:
    """A call of goose's editor."""
    path = "/home/alice/app/a.py"
    return tool("developer__text_editor", input={"command": command, "path": path, **given})


@pytest.mark.parametrize(
    ("made", "verb", "said"),
    [
        (tool("bash", input={"command": "make test"}), "Ran", "make test"),
        (tool("read", input={"filePath": "/home/alice/app/src/a.py"}), "Read", "src/a.py"),
        (tool("read", input={"filePath": "/etc/hosts"}), "Read", "/etc/hosts"),
        (tool("grep", input={"pattern": "greet", "path": "/home/alice/app"}), "Searched", "greet in ."),
        (
            tool(
                "todowrite", metadata={"todos": [{"content": "a", "status": "completed"}, {"content": "b"}]}
            ),
            "Planned",
            "1 of 2 done",
        ),
        (tool("task", input={"description": "Look around"}), "Delegated", "Look around"),
        (tool("webfetch", input={"url": "https://example.org"}), "Fetched", "https://example.org"),
        (tool("github_search", title="Found it"), "github_search", "Found it"),
        (tool("developer__shell", input={"command": "make"}), "Ran", "make"),
        (editor("view"), "Read", "a.py"),
        (editor("write", file_text="x"), "Wrote", "a.py"),
        (editor("str_replace", old_str="x", new_str="y"), "Edited", "a.py"),
        (editor("undo_edit"), "developer · text_editor", ""),
        (tool("tree", input={"path": "/home/alice/app/src"}), "Listed", "src"),
    ],
)
def test_a_tool_says_in_one_line_what_it_did(made: Tool, verb: str, said: str) -> None:
    assert (made.verb, made.object) == (verb, said)


def test_what_an_editor_was_given_is_what_it_changes() -> None:
    ((file, patch),) = editor("str_replace", old_str="x", new_str="y").wanted_patches
    assert file == "a.py" and patch.endswith("@@ -1 +1 @@\n-x\n+y\n")
    assert editor("write", file_text="all").written == "all"


@pytest.mark.parametrize(
    ("directory", "path", "seen"),
    [
        ("/home/alice/app/", "/home/alice/app/src/a.py", "src/a.py"),
        ("/home/alice/app", "/home/alice/app", "."),
        ("/home/alice/app", "/home/alice/application", "/home/alice/application"),
        ("C:\\Users\\alice\\app", "C:\\Users\\alice\\app\\src\\a.py", "src\\a.py"),
        ("C:\\Users\\alice\\app", "c:/users/alice/app/src/a.py", "src\\a.py"),
        ("C:\\Users\\alice\\app", "D:\\a.py", "D:\\a.py"),
        ("", "/etc/hosts", "/etc/hosts"),
        ("/", "/etc/hosts", "/etc/hosts"),
    ],
)
def test_paths_are_seen_from_the_sessions_directory(directory: str, path: str, seen: str) -> None:
    assert Tool({}, directory).relative(path) == seen


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["/a/x.py", "/a/x.py"], "edited x.py"),
        (["/a/x.py", "/a/y.py", "/a/x.py"], "edited 2 files"),
        (["/a/b/x.py", "/a/c/x.py"], "edited 2 files"),
        (["C:\\a\\x.py"], "edited x.py"),
        ([""], "edited 1 file"),
        (["", "/a/x.py"], "edited 2 files"),
    ],
)
def test_a_fold_counts_each_file_once(files: list[str], said: str) -> None:
    session = Session(directory="/a")
    parts = [Part(kind="tool", data=tool("edit", input={"filePath": file}).data) for file in files]
    calls = [call for part in parts if (call := call_of(Reading(session), part))]
    assert Steps([Run(calls=calls)]).summary == said


def test_a_command_that_exits_with_a_number_has_failed() -> None:
    made = tool("bash", metadata={"exit": 2})
    assert (made.status, made.status_word, made.seconds) == ("error", "exit 2", 1.5)
    assert tool("bash", metadata={"exit": 0}).status == "completed"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""), (0.0004, "0 ms"), (0.025, "25 ms"), (0.9996, "1.0 s"), (1.25, "1.3 s"), (1.35, "1.4 s"),
        (59.94, "59.9 s"), (59.96, "1 min 0 s"), (61.5, "1 min 2 s"), (3600, "1 h 0 min"),
    ],
)  # fmt: skip
def test_durations_are_said_in_words(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said
