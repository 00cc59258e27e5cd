"""Source text as highlighted HTML."""

from functools import cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight as pygments_highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_by_name, find_lexer_class_for_filename
from pygments.util import ClassNotFound

LONGEST_HIGHLIGHTED = 100_000
LONGEST_LINE = 10_000
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="t-")


def highlighted(text: str, *, language: str = "", file: str = "") -> SafeString:
    """The text with spans for its tokens; escaped only, where it is too long or its language unknown."""
    lexer = (
        _by_name(language.lower()[:50])
        if language
        else _by_file(file.rpartition("/")[2][:255])
        if file
        else None
    )
    if lexer is None or len(text) > LONGEST_HIGHLIGHTED or longest_line(text) > LONGEST_LINE:
        return escape(text)
    return mark_safe(pygments_highlight(text, lexer, _FORMATTER))  # noqa: S308 - Pygments escapes


def longest_line(text: str) -> int:
    return max(map(len, text.split("\n")))


@cache
def _by_name(language: str) -> Lexer | None:
    try:
        return find_lexer_class_by_name(language)(stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _by_file(name: str) -> Lexer | None:
    found = find_lexer_class_for_filename(name)
    return _of(found) if found else None


@cache
def _of(lexer_class: type[Lexer]) -> Lexer:
    return lexer_class(stripnl=False, ensurenl=False)
