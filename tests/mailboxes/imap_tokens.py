"""Read an IMAP response value back into lists, so that answers compare by meaning: quoted or literal, same string."""

from __future__ import annotations

Value = bytes | None | list["Value"]


def read_value(data: bytes, at: int) -> tuple[Value, int]:
    """One value from ``at``: NIL is None, atoms and strings are bytes (atoms with ``=`` before), lists are lists."""
    if data[at : at + 1] == b"(":
        return _read_list(data, at + 1)
    if data[at : at + 1] == b'"':
        return _read_quoted(data, at + 1)
    if data[at : at + 1] == b"{":
        end = data.index(b"}\r\n", at)
        start, length = end + 3, int(data[at + 1 : end])
        assert start + length <= len(data)
        return data[start : start + length], start + length
    end = at
    while end < len(data) and data[end : end + 1] not in (b" ", b"(", b")"):
        end += 1
    assert end > at, data[at : at + 20]
    return (None if data[at:end] == b"NIL" else b"=" + data[at:end]), end


def _read_list(data: bytes, at: int) -> tuple[Value, int]:
    found: list[Value] = []
    while data[at : at + 1] != b")":
        value, at = read_value(data, at)
        found.append(value)
        if data[at : at + 1] == b" ":
            at += 1
    return found, at + 1


def _read_quoted(data: bytes, at: int) -> tuple[Value, int]:
    found = bytearray()
    while data[at : at + 1] != b'"':
        at += data[at : at + 1] == b"\\"
        found += data[at : at + 1]
        assert data[at] not in b"\r\n\0"
        assert data[at] < 128
        at += 1
    return bytes(found), at + 1
