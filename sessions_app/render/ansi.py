"""Terminal output with its colours: SGR sequences as classes, every other control dropped."""

import re
from collections.abc import Iterable

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# CSI sequences, OSC strings, and other escapes (ECMA-48).
_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_RETURN = re.compile(r"(\r)")
_STYLES = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
_ENDS = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}}


def ansi(text: str) -> SafeString:
    """The text as HTML; colours of the sixteen, others are left out."""
    screen = _Screen()
    style: set[str] = set()
    colour = ""
    position = 0
    for match in _SEQUENCE.finditer(text):
        screen.write(text[position : match.start()], style, colour)
        position = match.end()
        if match[2] == "m":
            colour = _select(match[1], style, colour)
    screen.write(text[position:], style, colour)
    return screen.html()


def stripped(text: str) -> str:
    """The text without sequences and controls."""
    screen = _Screen()
    screen.write(_SEQUENCE.sub("", text))
    return screen.text()


def _select(parameters: str, style: set[str], colour: str) -> str:
    codes = [int(code) if code.isdigit() else 0 for code in parameters.split(";")][:32]
    index = 0
    while index < len(codes):
        code = codes[index]
        if code == 0:
            style.clear()
            colour = ""
        elif code in _STYLES:
            style.add(_STYLES[code])
        elif code in _ENDS:
            style -= _ENDS[code]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            colour = f"fg{code % 10 + (8 if code >= 90 else 0)}"
        elif code == 39:
            colour = ""
        elif code in (38, 48):
            # 256 colours (5;n) and true colours (2;r;g;b): of the first, the sixteen are ours.
            kind = codes[index + 1] if index + 1 < len(codes) else 0
            if code == 38 and kind == 5 and index + 2 < len(codes):
                colour = f"fg{codes[index + 2]}" if codes[index + 2] < 16 else ""
            index += 2 if kind == 5 else 4
        index += 1
    return colour


class _Screen:
    """What stands there in the end: a carriage return begins the line anew, as progress bars do, whatever its colours."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, str]] = []
        self._returned = False

    def write(self, text: str, style: Iterable[str] = (), colour: str = "") -> None:
        classes = " ".join(sorted({*style, *([colour] if colour else [])}))
        for some in _RETURN.split(text):
            if some == "\r":
                self._returned = True
            elif shown := _CONTROLS.sub("", some):
                if self._returned and not shown.startswith("\n"):
                    self._begin_line_anew()
                self._returned = False
                self._pieces.append((shown, classes))

    def _begin_line_anew(self) -> None:
        while self._pieces:
            text, classes = self._pieces.pop()
            kept, newline, _ = text.rpartition("\n")
            if newline:
                self._pieces.append((kept + newline, classes))
                return

    def text(self) -> str:
        return "".join(text for text, _ in self._pieces)

    def html(self) -> SafeString:
        return format_html_join(
            "",
            "{}",
            (
                (format_html('<span class="{}">{}</span>', classes, text) if classes else text,)
                for text, classes in self._pieces
            ),
        )
