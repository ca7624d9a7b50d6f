"""A logged-in client that says anything: each command is answered or ends the session, and no other mailbox is ever seen.

``CADUCEE_FUZZ_EXAMPLES`` sets how many commands (default: seconds; hours on demand).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from mailboxes.imap.ports import Limits
from tests.fuzz.test_imap_grammar import WORDS
from tests.mailboxes.imap.harness import Client, Running, make_pki, message, serving

COMMANDS = int(os.environ.get("CADUCEE_FUZZ_EXAMPLES", "1500"))
CANARY = b"CANARI-DE-U2"
SHAPES = [
    b"FETCH 1:* (%s)",
    b"UID FETCH 1:* %s",
    b"SEARCH %s",
    b"UID SEARCH RETURN (%s) ALL",
    b"SORT (%s) UTF-8 ALL",
    b"STORE 1 +FLAGS (%s)",
    b'LIST "" (%s)',
    b'LIST (%s) "" *',
    b"STATUS %s (MESSAGES)",
    b"SELECT %s",
    b"EXAMINE ../%s",
    b"CREATE %s",
    b"RENAME %s %s",
    b"DELETE %s",
    b"COPY 1 %s",
    b"GETMETADATA %s /private/comment",
    b"SETMETADATA INBOX (/private/%s NIL)",
    b'APPEND INBOX CATENATE (URL "/%s/;uid=1")',
    b'APPEND INBOX CATENATE (URL "imap://u2@localhost/%s/;uid=1")',
    b"APPEND INBOX (%s) {5+}\r\na: b\n",
    b"NOTIFY SET (%s)",
    b"%s %s %s",
    b"ENABLE %s",
    b"ID (%s)",
]


def said(choose: random.Random) -> bytes:
    shape = choose.choice(SHAPES)
    words = [b" ".join(choose.choices(WORDS, k=choose.randint(0, 4))) for _ in range(shape.count(b"%s"))]
    text = shape % tuple(words)
    if choose.random() < 0.1:
        at = choose.randrange(len(text) + 1)
        text = text[:at] + choose.randbytes(3) + text[at:]
    # What would be read as a literal or a second command makes the answers uncountable; the wire has its own test.
    head, literal, tail = text.partition(b" {5+}\r\na: b\n")
    return head.replace(b"\r", b"").replace(b"\n", b"").replace(b"{", b"[").replace(b"}", b"]") + literal + tail


async def ready(running: Running) -> Client:
    client = await running.login()
    await client.ok("SELECT INBOX")
    return client


@pytest.mark.parametrize("seed", [1, 2])
async def test_anything_is_answered_and_nothing_leaks(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    async with serving(tmp_path, make_pki(tmp_path), limits=Limits(folders=60)) as running:
        other = await running.login("u2@op-a.mssante.test")
        await other.append(message(CANARY.decode(), CANARY.decode()))
        await other.ok("CREATE secret")
        await other.close()
        client = await ready(running)
        await client.append(message("a moi"))
        for _ in range(COMMANDS // 2):
            try:
                answer = await client.command(said(choose))
            except (EOFError, ConnectionError):
                client = await ready(running)
                continue
            assert answer.split(b" ")[0] in (b"OK", b"NO", b"BAD")
            assert b"[SERVERBUG]" not in answer
            heard = b"\n".join(client.untagged)
            assert CANARY not in heard
            assert b"secret" not in heard
        await client.close()


KEYS = [
    b"SEEN", b"UNFLAGGED", b"RECENT", b"KEYWORD urgent", b"1:3", b"UID 2,5:*", b"LARGER 400", b"ON 2-Mar-2026",
    b"SENTSINCE 2-Mar-2026", b"FROM martin", b"TO groupe", b"SUBJECT essai", b"HEADER X-Extra head", b'HEADER Cc ""',
    b"HEADER Subject bonjour", b"TEXT bonjour", b"BODY essai", b"BODY head", b"MODSEQ 3", b"OLDER 60",
]  # fmt: skip


def program(choose: random.Random, depth: int = 0) -> bytes:
    """A search key, of keys that are judged by the index, the summary, the header or the text."""
    shape = choose.random()
    if depth < 3 and shape < 0.2:
        return b"NOT " + program(choose, depth + 1)
    if depth < 3 and shape < 0.5:
        return b"OR %b %b" % (program(choose, depth + 1), program(choose, depth + 1))
    if depth < 3 and shape < 0.6:
        return b"(%b %b)" % (program(choose, depth + 1), program(choose, depth + 1))
    return choose.choice(KEYS)


async def test_any_program_finds_what_its_parts_find(tmp_path: Path) -> None:
    """Whatever stands under NOT, OR and AND, however its parts are judged."""
    choose = random.Random(3)
    async with serving(tmp_path, make_pki(tmp_path)) as running:
        client = await ready(running)
        for number in range(6):
            extra = {"X_Extra": choose.choice(["head", "tete"]), "Cc": "c@op-b.mssante.test"} if number % 2 else {}
            words = choose.choices(["bonjour", "essai", "head", "x" * 300], k=2)
            await client.append(message(*words, **extra), flags=choose.choice(["", "(\\Seen)", "(\\Flagged urgent)"]))

        async def found(key: bytes) -> set[bytes]:
            return set((await client.ok(b"SEARCH " + key))[-1].partition(b" (MODSEQ")[0].split()[2:])

        everything = await found(b"ALL")
        for _ in range(COMMANDS // 20):
            one, other = program(choose), program(choose)
            first, second = await found(one), await found(other)
            assert await found(b"NOT " + one) == everything - first, one
            assert await found(b"OR %b %b" % (one, other)) == first | second, (one, other)
            assert await found(b"%b %b" % (one, other)) == first & second, (one, other)
        await client.close()
