"""Time the walk over a message: dissect, pack, and the way back to the envelope.

usage: python -m bench.anatomy_speed        (from the top of the tree)
Prints the best of five runs in microseconds per message; made-up messages, each different from the last.
"""

from __future__ import annotations

import base64
import random
import timeit

from mailboxes.anatomy import dissect, pack, unpack

WORDS = ("patient", "radiologie", "analyse", "compte", "rendu", "ordonnance", "suivi", "resultat")


def head(i: int) -> list[str]:
    return [
        f"Received: from mx.op-b.test by gw.op-a.test with ESMTPS id {i}; Mon, 02 Mar 2026 10:00:00 +0100",
        f"From: =?utf-8?q?Dr_H=C3=A9l=C3=A8ne_{i % 97}?= <dr{i % 97}@op-b.test>",
        f"To: Cabinet <user@op-a.test>, Copie <copie{i % 7}@op-a.test>",
        f"Subject: Compte rendu {i}",
        f"Date: Mon, 02 Mar 2026 10:{i % 60:02d}:{i // 60 % 60:02d} +0100",
        f"Message-ID: <{i}.{i * 7919}@op-b.test>",
        "X-MSS-NIL: DEV935997",
        "MIME-Version: 1.0",
    ]


def words(i: int, count: int) -> str:
    chosen = random.Random(i)
    text = " ".join(chosen.choice(WORDS) for _ in range(count))
    return "\r\n".join(text[k : k + 70] for k in range(0, len(text), 70))


def plain(i: int) -> bytes:
    lines = [*head(i), "Content-Type: text/plain; charset=utf-8", "", words(i, 170), ""]
    return "\r\n".join(lines).encode()


def attached(i: int, size: int) -> bytes:
    """Text and one base64 document of ``size`` bytes."""
    document = base64.encodebytes(random.Random(i).randbytes(size)).replace(b"\n", b"\r\n").decode()
    lines = [
        *head(i),
        f"Content-Type: multipart/mixed; boundary=b{i}",
        "",
        f"--b{i}",
        "Content-Type: text/plain; charset=utf-8",
        "",
        words(i, 60),
        f"--b{i}",
        f"Content-Type: application/pdf; name=cr{i}.pdf",
        f"Content-Disposition: attachment; filename=cr{i}.pdf",
        "Content-Transfer-Encoding: base64",
        "",
        f"{document}--b{i}--",
        "",
    ]
    return "\r\n".join(lines).encode()


def best(action, count: int, repeats: int) -> float:
    return min(timeit.repeat(action, number=repeats, repeat=5)) / repeats / count * 1e6


def measure(name: str, messages: list[bytes], repeats: int) -> None:
    mean = sum(map(len, messages)) // len(messages)
    anatomies = [dissect(message) for message in messages]
    packed = [pack(anatomy) for anatomy in anatomies]
    checked = best(lambda: [dissect(m, line_ends_checked=True) for m in messages], len(messages), repeats)
    unchecked = best(lambda: [dissect(m) for m in messages], len(messages), repeats)
    packing = best(lambda: [pack(a) for a in anatomies], len(messages), repeats)
    reading = best(lambda: [unpack(p).envelope for p in packed], len(messages), repeats)
    print(
        f"{name:28s} {mean:9d} B  dissect {checked:9.1f}  with line-end check {unchecked:9.1f}"
        f"  pack {packing:6.1f}  to the envelope {reading:5.2f}  (us)"
    )


if __name__ == "__main__":
    measure("text", [plain(i) for i in range(200)], 5)
    measure("text and small document", [attached(i, 700) for i in range(200)], 5)
    measure("50 KiB document", [attached(i, 36 * 1024) for i in range(50)], 5)
    measure("1 MiB document", [attached(i, 750 * 1024) for i in range(3)], 3)
    measure("10 MiB document", [attached(0, 7500 * 1024)], 3)
