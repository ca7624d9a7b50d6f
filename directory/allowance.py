"""How much of the directory one account may see: so many questions a minute, so many different entries an hour (MSS-130).

Whoever types a name sees the same entries again with each letter: an entry seen before in the same hour costs nothing. Which
were seen is kept as bits (a Bloom filter of 16 for each entry allowed); about one new entry in seventy passes as seen.
Promise: memory is bounded, by :data:`ACCOUNTS` of two octets for each entry allowed; an account that is forgotten for room is
one that asked longest ago. Failure: none. What was counted is lost with the process, and each process counts for itself:
``share`` divides the allowance among them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import blake2b

ACCOUNTS = 2000
MINUTE = 60.0
HOUR = 3600.0
_BITS = 16
_CHECKS = 2


class _Account:
    """What one account asked and saw in the minute and the hour that began with its first question."""

    __slots__ = ("asked", "entries", "hour", "minute", "seen")

    def __init__(self, now: float, octets: int) -> None:
        self.minute = self.hour = now
        self.asked = 0
        self.entries = 0
        self.seen = bytearray(octets)


class Allowance:
    """``questions`` a minute and ``entries`` an hour for each account; 0 is no limit. ``clock`` is monotonic."""

    def __init__(
        self, questions: int, entries: int, clock: Callable[[], float], share: Callable[[], int] = lambda: 1
    ) -> None:
        self._clock = clock
        self._share = share
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._questions = questions
        self._entries = entries

    def follow(self, questions: int, entries: int) -> None:
        """Other limits from here on; with another number of entries, hours begin anew."""
        if entries != self._entries:
            self._accounts.clear()
        self._questions, self._entries = questions, entries

    def ask(self, account: str) -> bool:
        """Count one question; False where it is one too many."""
        known = self._account(account)
        known.asked += 1
        return not self._questions or known.asked <= self._part(self._questions)

    def show(self, account: str, addresses: Iterable[str]) -> int:
        """Count entries about to be shown; the answer is how many of them, from the first, may be."""
        known = self._account(account)
        shown = 0
        for address in addresses:
            if self._entries and self._is_new(known, address):
                if known.entries >= self._part(self._entries):
                    break
                known.entries += 1
                self._note(known, address)
            shown += 1
        return shown

    def _part(self, limit: int) -> int:
        return max(1, limit // max(1, self._share()))

    def _account(self, account: str) -> _Account:
        now = self._clock()
        known = self._accounts.pop(account, None)
        if known is None or now - known.hour >= HOUR:
            known = _Account(now, self._entries * _BITS // 8)
        elif now - known.minute >= MINUTE:
            known.minute, known.asked = now, 0
        self._accounts[account] = known
        if len(self._accounts) > ACCOUNTS:
            self._accounts.popitem(last=False)
        return known

    def _is_new(self, known: _Account, address: str) -> bool:
        return not all(known.seen[bit >> 3] & 1 << (bit & 7) for bit in self._bits(address))

    def _note(self, known: _Account, address: str) -> None:
        for bit in self._bits(address):
            known.seen[bit >> 3] |= 1 << (bit & 7)

    def _bits(self, address: str) -> list[int]:
        digest = blake2b(address.lower().encode("utf-8", "surrogatepass"), digest_size=4 * _CHECKS).digest()
        size = self._entries * _BITS
        return [int.from_bytes(digest[at : at + 4], "big") % size for at in range(0, len(digest), 4)]
