"""What proves a person: a password (Argon2id), a one-time code (TOTP), and secrets made by us for devices.

- A password people choose is slow to guess only if its hash is slow: Argon2id, 19 MiB and two passes by default.
- A device secret is 128 random bits. Nobody guesses it, so a slow hash would only make each login of a mail program
  cost 30 ms; it is kept as its SHA-256, which cannot be turned back.
Promise: :meth:`Passwords.verify` does the same work whether or not there is a hash to verify against (F61); a TOTP code is
accepted once only. Failure: a malformed hash or code is simply not right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import secrets
import string
import unicodedata
from collections.abc import Iterable

import pyotp
from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

LONGEST_PASSWORD = 1024
SHORTEST_WORD = 4
WORD_BITS = 12  # CNIL 2022-100: seven words reach 80 bits
FEWEST_WORDS = 4
CLASSES = tuple(
    (frozenset(members), len(members)) for members in (string.ascii_lowercase, string.ascii_uppercase, string.digits)
)
LETTERS_AND_DIGITS = frozenset(string.ascii_letters + string.digits)
OTHER = 37  # the special characters CNIL 2022-100 counts
TOTP_STEP = 30
TOTP_WINDOW = 1  # one step either way, RFC 6238 5.2
DEVICE_BYTES = 16
_GROUPS = (5, 5, 5, 5, 6)
_LOOKALIKES = str.maketrans("0189", "olbg", "- \t")


class Passwords:
    """Argon2id with the operator's parameters."""

    def __init__(self, memory: int = 19 * 1024 * 1024, passes: int = 2, lanes: int = 1) -> None:
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory // 1024, parallelism=lanes, hash_len=32, salt_len=16, type=Type.ID
        )
        # No password was hashed for it: every command that opens the register would wait for that hash.
        self._decoy = f"$argon2id$v=19$m={memory // 1024},t={passes},p={lanes}${_random(16)}${_random(32)}"

    def hash(self, password: str) -> str:
        return self._hasher.hash(_prepared(password))

    def verify(self, encoded: str, password: str) -> bool:
        """True when ``password`` is right. Without a hash, the same work is done on a decoy and the answer is no."""
        try:
            right = self._hasher.verify(encoded or self._decoy, _prepared(password))
        except (Argon2Error, InvalidHashError):
            return False
        return right and bool(encoded)

    def outdated(self, encoded: str) -> bool:
        """The hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)


def _random(octets: int) -> str:
    return base64.b64encode(secrets.token_bytes(octets)).decode("ascii").rstrip("=")


def _prepared(password: str) -> bytes:
    """RFC 8265 OpaqueString: composed, otherwise as typed; bounded, because hashing costs by length."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")[:LONGEST_PASSWORD]


def strength(password: str) -> int:
    """Bits of a password in the manner of CNIL 2022-100: by classes of characters, or, for a phrase, by its words.

    A pattern repeated counts little more than once: ``abababababab`` is as weak as ``abab``.
    """
    parts = {part.lower() for part in password.replace("-", " ").split(" ")}
    words = {part for part in parts if len(part) >= SHORTEST_WORD}
    if len(words) >= FEWEST_WORDS and all(word.isalpha() for word in words):
        # a phrase is as strong as its words, not as its letters: nobody picks letters when choosing words
        return len(words) * WORD_BITS
    alphabet = sum(size for members, size in CLASSES if members & set(password))
    if set(password) - LETTERS_AND_DIGITS:
        alphabet += OTHER
    length = min(len(password), 2 * len(set(password)))
    return round(length * math.log2(alphabet)) if alphabet else 0


def personal(password: str, names: Iterable[str]) -> bool:
    """The password holds the login or a name of its owner."""
    folded = password.casefold()
    return any(len(name) >= 3 and name.casefold() in folded for name in names)


# one-time codes


def new_totp_secret() -> str:
    """160 random bits in base32, as authenticator programs take them."""
    return pyotp.random_base32()


def totp_uri(secret: str, login: str, issuer: str) -> str:
    """The ``otpauth://`` text that authenticator programs read, usually as a QR code."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer))


def totp_step(secret: str, code: str, now: float, last: int) -> int:
    """The time step ``code`` is right for and newer than ``last``; 0 when it is wrong, late or used before."""
    current = int(now) // TOTP_STEP
    totp = pyotp.TOTP(secret)
    given = code.replace(" ", "")[:16].encode("utf-8", "replace")
    found = 0
    for step in range(current - TOTP_WINDOW, current + TOTP_WINDOW + 1):
        right = hmac.compare_digest(totp.generate_otp(step).encode(), given)
        if right and step > last:
            found = step
    return found


# device secrets


def new_device_secret() -> str:
    """128 random bits in base32, in groups people can copy: ``k7q2m-...``."""
    text = base64.b32encode(secrets.token_bytes(DEVICE_BYTES)).decode().rstrip("=").lower()
    groups, at = [], 0
    for length in _GROUPS:
        groups.append(text[at : at + length])
        at += length
    return "-".join(groups)


def device_digest(secret: str) -> bytes:
    """SHA-256 of a device secret, whatever the case, hyphens, or look-alike digits it was typed with."""
    plain = secret[:256].lower().translate(_LOOKALIKES)
    return hashlib.sha256(b"caducee device 1\0" + plain.encode("utf-8", "surrogatepass")).digest()


def new_session_token() -> str:
    return secrets.token_urlsafe(32)


def session_digest(token: str) -> bytes:
    return hashlib.sha256(b"caducee session 1\0" + token.encode("utf-8", "surrogatepass")).digest()
