"""Markdown as safe HTML: no raw HTML, no script, no image from elsewhere."""

from collections.abc import Sequence
from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.tasklists import tasklists_plugin

from sessions_app.render.code import LONGEST_LINE, highlighted, longest_line

# Beyond this, text is shown as it is: nobody reads it as a document.
LONGEST = 500_000

_CLEANER = nh3.Cleaner(
    tags={
        *(
            "p",
            "br",
            "hr",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "em",
            "strong",
            "s",
            "blockquote",
            "ul",
            "ol",
            "li",
        ),
        *("a", "code", "pre", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "input", "img"),
    },
    attributes={
        "a": {"href", "title"},
        "code": {"class"},
        "span": {"class"},
        "div": {"class", "data-language"},
        "pre": {"tabindex"},
        "ul": {"class"},
        "li": {"class"},
        "ol": {"start"},
        "th": {"class"},
        "td": {"class"},
        "input": {"type", "checked", "disabled", "class", "aria-label"},
        "img": {"src", "alt", "title"},
    },
    # Links lead to the web or to a mail; pictures are only those that stand in the text itself.
    url_schemes={"http", "https", "mailto", "data"},
    link_rel="noopener noreferrer nofollow",
    attribute_filter=lambda tag, name, value: _attribute(tag, name, value),
)


def _attribute(tag: str, name: str, value: str) -> str | None:
    lower = value.strip().lower()
    if (tag, name) == ("a", "href"):
        # Relative and fragment links of an agent's text would lead to places of ours.
        return value if lower.startswith(("http://", "https://", "mailto:")) else None
    if (tag, name) == ("img", "src"):
        return value if lower.startswith(IMAGE_DATA) else None
    return value


IMAGE_DATA = tuple(f"data:image/{kind};base64," for kind in ("png", "jpeg", "jpg", "gif", "webp"))


class _Renderer(RendererHTML):
    """markdown-it's renderer with our code blocks."""

    def fence(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        language = token.info.split()[0] if token.info.split() else ""
        return (
            f'<div class="code" data-language="{escape(language)}"><pre tabindex="0"><code>'
            f"{highlighted(token.content, language=language)}</code></pre></div>\n"
        )

    def code_block(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return (
            f'<div class="code"><pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre></div>\n'
        )

    def th_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return _cell(tokens[index])

    td_open = th_open

    def image(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        source = str(token.attrs.get("src", ""))
        if source.lower().startswith(IMAGE_DATA):
            return f'<img src="{escape(source)}" alt="{escape(token.content)}">'
        # A picture from elsewhere would tell its server who reads; the link lets the reader decide.
        return f'<a href="{escape(source)}">{escape(token.content or source)}</a>'


def _cell(token: Token) -> str:
    # markdown-it writes the alignment as a style, which our content security policy refuses.
    style = str(token.attrs.get("style", ""))
    align = style.removeprefix("text-align:")
    return f'<{token.tag} class="{align}">' if align in {"left", "center", "right"} else f"<{token.tag}>"


_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": False}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)
_MARKDOWN.use(tasklists_plugin)
_MARKDOWN.core.ruler.push("task-labels", lambda state: _label_tasks(state.tokens))


def _label_tasks(tokens: Sequence[Token]) -> None:
    """Gives the boxes of a task list the names that screen readers say."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "html_inline" and child.content.startswith(
                '<input class="task-list-item-checkbox"'
            ):
                name = "done" if "checked" in child.content.replace("checkbox", "") else "to do"
                child.content = child.content.replace("<input ", f'<input aria-label="{name}" ', 1)


def markdown(text: str) -> SafeString:
    """The text as HTML; plain where it is too long for a document."""
    if len(text) > LONGEST or longest_line(text) > 10 * LONGEST_LINE:
        return plain(text)
    try:
        html = _MARKDOWN.render(text)
    except RecursionError:
        return plain(text)
    return mark_safe(_CLEANER.clean(html))  # noqa: S308 - nh3's output


def text_of(text: str) -> str:
    """What one reads where the text is shown as HTML: without its marks."""
    if len(text) > LONGEST or longest_line(text) > 10 * LONGEST_LINE:
        return text
    try:
        tokens = _MARKDOWN.parse(text)
    except RecursionError:
        return text
    return "\n".join(_read(token) for token in tokens if token.content)


def _read(token: Token) -> str:
    if token.type != "inline":
        return token.content
    breaks = {"softbreak": " ", "hardbreak": "\n"}
    return "".join(
        breaks.get(child.type, "" if child.type.startswith("html") else child.content)
        for child in token.children or ()
    )


def plain(text: str) -> SafeString:
    """The text as it was typed."""
    return mark_safe(f'<p class="typed">{escape(text)}</p>')  # noqa: S308 - escaped
