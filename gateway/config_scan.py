"""Where each key of a TOML text stands: ``tomllib`` gives values without line numbers, this gives the lines.

Works on text that ``tomllib`` has already accepted, so it only has to find statements, not to judge them. One pass,
no recursion, no regular expression. Keys inside inline tables and arrays have the line of the statement they are in.
Promise: every table header and every ``key =`` statement is in the answer under its full path; entries of an array of
tables carry their index (``("routes", 1, "host")``). Failure: none; on text that is not TOML the answer is merely useless.
"""

from __future__ import annotations

from collections.abc import Mapping

Path = tuple[str | int, ...]


def lines(text: str) -> dict[Path, int]:
    """Line number, from 1, of each key and table of a valid TOML text."""
    return _Scan(text).run()


def line_of(found: Mapping[Path, int], path: Path) -> int:
    """The line of ``path``, else of the nearest table above it, else 1."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return 1


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.table: Path = ()
        self.arrays: dict[Path, int] = {}
        self.found: dict[Path, int] = {}

    def run(self) -> dict[Path, int]:
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\n":
                self._newline()
            elif character in " \t\r":
                self.at += 1
            elif character == "#":
                self._to_line_end()
            elif character == "[":
                self._header()
            else:
                self._statement()
        return self.found

    def _newline(self) -> None:
        self.at += 1
        self.line += 1

    def _to_line_end(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _header(self) -> None:
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        path = self._resolve(self._key("]"))
        self.at += 2 if array else 1
        if array:
            index = self.arrays.get(path, -1) + 1
            self.arrays[path] = index
            self.found.setdefault(path, self.line)
            path = (*path, index)
        self.table = path
        self.found.setdefault(path, self.line)
        self._to_line_end()

    def _resolve(self, names: tuple[str, ...]) -> Path:
        """``[a.b]`` after ``[[a]]`` speaks of the last ``a``; the last name itself stays bare."""
        path: Path = ()
        for position, name in enumerate(names):
            path = (*path, name)
            if path in self.arrays and position < len(names) - 1:
                path = (*path, self.arrays[path])
        return path

    def _statement(self) -> None:
        start = self.line
        path = (*self.table, *self._key("="))
        for length in range(len(self.table) + 1, len(path) + 1):
            self.found.setdefault(path[:length], start)
        self.at += 1
        self._value()

    def _key(self, end: str) -> tuple[str, ...]:
        """A dotted key, up to ``end``, which is not consumed."""
        names: list[str] = []
        bare: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != end:
            character = self.text[self.at]
            if character in "\"'":
                names.append(self._quoted(character))
                continue
            if character == ".":
                _flush(names, bare)
            elif character not in " \t":
                bare.append(character)
            self.at += 1
        _flush(names, bare)
        return tuple(names)

    def _quoted(self, quote: str) -> str:
        start = self.at + 1
        self._string()
        raw = self.text[start : self.at - 1]
        return raw if quote == "'" or "\\" not in raw else raw.replace('\\"', '"').replace("\\\\", "\\")

    def _value(self) -> None:
        """Skip one value: ends at the line end outside strings and brackets."""
        depth = 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\n":
                if depth == 0:
                    return
                self._newline()
            elif character in "\"'":
                self._string()
            elif character == "#":
                self._to_line_end()
            else:
                depth += (character in "[{") - (character in "]}")
                self.at += 1

    def _string(self) -> None:
        """Skip a string of any of the four kinds, counting the lines inside."""
        quote = self.text[self.at]
        triple = self.text.startswith(quote * 3, self.at)
        mark = quote * 3 if triple else quote
        self.at += len(mark)
        while self.at < len(self.text) and not self.text.startswith(mark, self.at):
            if self.text[self.at] == "\\" and quote == '"':
                self.at += 1
            if self.text[self.at : self.at + 1] == "\n":
                self.line += 1
            self.at += 1
        self.at += len(mark)
        while triple and self.text.startswith(quote, self.at):  # """four"""" holds a quote before its end
            self.at += 1


def _flush(names: list[str], bare: list[str]) -> None:
    if bare:
        names.append("".join(bare))
        bare.clear()
