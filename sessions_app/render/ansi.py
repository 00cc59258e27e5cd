"""Terminal output with its colours: SGR sequences as classes, every other control dropped."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# CSI sequences, OSC strings, and other escapes (ECMA-48).
_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_STYLES = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
_ENDS = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}}


def ansi(text: str) -> SafeString:
    """The text as HTML; colours of the sixteen, others are left out."""
    out: list[str] = []
    style: set[str] = set()
    colour = ""
    position = 0
    for match in _SEQUENCE.finditer(text):
        _write(out, text[position : match.start()], style, colour)
        position = match.end()
        if match[2] == "m":
            colour = _select(match[1], style, colour)
    _write(out, text[position:], style, colour)
    return mark_safe("".join(out))  # noqa: S308 - escaped piece by piece


def stripped(text: str) -> str:
    """The text without sequences and controls."""
    return _CONTROLS.sub("", _overwritten(_SEQUENCE.sub("", text)))


def _overwritten(text: str) -> str:
    # A carriage return begins the line anew, as progress bars do: the last state stays.
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


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


def _write(out: list[str], text: str, style: set[str], colour: str) -> None:
    text = _CONTROLS.sub("", _overwritten(text))
    if not text:
        return
    classes = " ".join(sorted({*style, *([colour] if colour else [])}))
    out.append(f'<span class="{classes}">{escape(text)}</span>' if classes else escape(text))
