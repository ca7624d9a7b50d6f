"""Messages of many shapes with everything known about them, to compare with what a server says of them."""

from __future__ import annotations

import base64
import random
import time
from dataclasses import dataclass

EPOCH = 1_740_000_000  # 19 February 2025
_ZONES = (-480, -210, 0, 60, 120, 345, 780)


@dataclass(frozen=True)
class Letter:
    """A message, the word only it holds, and the INTERNALDATE it is appended with (as written, quotes not included)."""

    identifier: bytes
    content: bytes
    word: bytes
    sent: int
    date: bytes
    day: int  # days since the epoch of the date as written

    @property
    def header(self) -> bytes:
        return self.content[: self.content.index(b"\r\n\r\n") + 4]

    @property
    def text(self) -> bytes:
        return self.content[len(self.header) :]

    def fields(self, names: list[bytes]) -> bytes:
        """Those fields in the message's order, and the empty line."""
        wanted = {name.lower() for name in names}
        kept, keeping = [], False
        for line in self.header.split(b"\r\n")[:-2]:
            if line[:1] not in (b" ", b"\t"):
                keeping = line.partition(b":")[0].lower() in wanted
            if keeping:
                kept.append(line + b"\r\n")
        return b"".join(kept) + b"\r\n"


class Post:
    """Makes letters; some answer earlier ones."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = random.Random(seed)
        self.made: list[Letter] = []

    def next(self) -> Letter:
        number = len(self.made)
        choose = self.random
        identifier = f"<{self.name}.{number}@op-a.mssante.test>"
        word = f"mot{self.name}x{number}x"
        sent = EPOCH + choose.randrange(40) * 7200
        head = [
            f"Message-ID: {identifier}",
            f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime(sent))}",
            f"From: Dr Test {number % 7} <t{number % 7}@op-a.mssante.test>",
            f"To: Équipe {number} <e@op-b.mssante.test>".replace("É", "=?utf-8?q?=C3=89?="),
            self._subject(word),
        ]
        if self.made and choose.random() < 0.5:
            first = choose.choice(self.made).identifier.decode()
            head += [f"References: {first}\r\n {choose.choice(self.made).identifier.decode()}", f"In-Reply-To: {first}"]
        local = EPOCH + choose.randrange(10 * 86400)
        zone = choose.choice(_ZONES)
        sign, (hours, minutes) = "-" if zone < 0 else "+", divmod(abs(zone), 60)
        date = time.strftime("%d-%b-%Y %H:%M:%S ", time.gmtime(local)) + f"{sign}{hours:02}{minutes:02}"
        content = "\r\n".join([*head, *self._body(word)]).encode()
        made = Letter(identifier.encode(), content, word.encode(), sent, date.encode(), local // 86400)
        self.made.append(made)
        return made

    def _subject(self, word: str) -> str:
        prefix = self.random.choice(["", "Re: ", "[liste] Fwd: "])
        if self.random.random() < 0.3:
            return f"Subject: {prefix}=?utf-8?b?{base64.b64encode(f'Résultat {word}'.encode()).decode()}?="
        return f"Subject: {prefix}Essai {word}"

    def _body(self, word: str) -> list[str]:
        choose = self.random
        lines = [f"ligne {line} {word if line == 3 else ''}" for line in range(choose.randrange(4, 60))]
        shape = choose.randrange(12)
        if shape == 0:
            attached = base64.encodebytes(choose.randbytes(choose.choice([20, 5000, 150_000]))).decode().split("\n")
            part = ["--=b", "Content-Type: application/pdf; name=a.pdf", "Content-Transfer-Encoding: base64", ""]
            inner = ["--=b", "Content-Type: text/plain; charset=utf-8", "", *lines]
            kind = ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="=b"', ""]
            return [*kind, "début", *inner, *part, *attached, "--=b--", ""]
        if shape == 1:
            inner = ["Subject: dedans", "From: a@b.test", "", *lines]
            return ["MIME-Version: 1.0", "Content-Type: message/rfc822", "", *inner, ""]
        if shape == 2:
            return ["MIME-Version: 1.0", "Content-Transfer-Encoding: quoted-printable", "", *lines, "fin =C3=A9=", ""]
        return ["", *lines, ""]
