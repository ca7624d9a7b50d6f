"""HTML mail turned into lines of text, only to be *checked*: nothing is rendered, fetched or kept.

Promise: one linear pass; ``<br>``, ``</p>``, ``</div>``, ``</tr>``, ``</li>`` end a line; script and style are dropped.
Failure: none; broken markup gives broken lines. Source: HID-006.
"""

from __future__ import annotations

import re
from html import unescape

MAX_TEXT = 1 << 20
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,20})[^<>]{0,2000}>|<!--|<[!?][^<>]{0,2000}>")
_BREAKS = frozenset(
    [
        "br",
        "p",
        "div",
        "tr",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "table",
        "ul",
        "ol",
        "pre",
        "blockquote",
        "title",
    ]
)
_OPENING = frozenset(["br", "div", "tr", "li", "pre"])
_DROPPED = frozenset(("script", "style", "head"))


def to_text(markup: str) -> str:
    """The text of ``markup`` with its line breaks."""
    pieces: list[str] = []
    at = 0
    source = markup[:MAX_TEXT]
    lower = source.lower() if source.isascii() else source
    pre = "<pre" in lower[:4_096]
    while found := _TAG.search(source, at):
        pieces.append(_words(source[at : found.start()], pre))
        at = found.end()
        if found[0] == "<!--":
            closing = source.find("-->", at)
            at = len(source) if closing < 0 else closing + 3
            continue
        name = (found[2] or "").lower()
        if name in _DROPPED and not found[1]:
            at = _after(lower, name, at)
        elif name in _BREAKS and (found[1] or name in _OPENING):
            _break(pieces, hard=name == "br")
    pieces.append(_words(source[at:], pre))
    return "\n".join(line.rstrip() for line in "".join(pieces).split("\n"))


def _break(pieces: list[str], *, hard: bool) -> None:
    last = next((p for p in reversed(pieces) if p), "\n")
    if hard or not last.endswith("\n"):
        pieces.append("\n")


def _after(lower: str, name: str, at: int) -> int:
    closing = lower.find(f"</{name}", at)
    return len(lower) if closing < 0 else closing


_BLANK = re.compile(r"[ \t\r\n\f]+")


def _words(text: str, pre: bool) -> str:
    plain = unescape(text)
    if pre:
        return plain
    squeezed = _BLANK.sub(" ", plain)
    return "" if squeezed == " " else squeezed.lstrip(" ") if text[:1] in "\r\n" else squeezed
