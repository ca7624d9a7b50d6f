"""No regular expression of ours repeats a group possessively: Debian 12's own Python reads such expressions wrong.

CPython before 3.11.5 lets ``(?:ab?c)*+`` match ``a`` (gh-106052) and leaves the text it tried in the match (gh-100061). An atomic
group around an ordinary repetition, ``(?>(?:ab?c)*)``, means the same and is right everywhere.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("policies", "hprim", "directory", "mailboxes", "gateway")
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+")


def test_groups_are_atomic_and_never_possessive() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert found == []


def test_what_the_expressions_read_on_this_interpreter() -> None:
    from mailboxes.headers import FIELDS
    from policies.address import entries

    assert [match[2] for match in FIELDS.finditer(b"To: a\r\n b\r\nCc: c\r\n")] == [b" a\r\n b\r", b" c\r"]
    assert entries(b"Anne Test <anne@op-a.test>")[0].name == b"Anne Test"
