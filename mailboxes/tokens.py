"""Access tokens of an identity provider (Pro Santé Connect): the port, and the verifier over a local key set.

Promise (MSS-072, F72): signature by a key of the set with a pinned algorithm, exact issuer, our audience, made for access,
times within a small leeway, the required level of authentication, and a national identifier. A token is neither stored nor
logged (MSS-075). The set follows its file: a new key counts from its first token on, one taken out no longer counts.
Failure: :class:`TokenRefused` with a stable reason word; :class:`TokensUnavailable` when keys cannot be had;
:class:`NoKeySet` at wiring. A file that is broken later leaves the last good set in use, and the log says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

log = structlog.get_logger(__name__)
LONGEST_TOKEN = 16 * 1024
_IDENTITY = re.compile(r"[A-Za-z0-9./_-]{1,64}", re.ASCII)
OUT_OF_TIME = frozenset({"expired", "not_yet_valid"})  # of a token the issuer did sign for us: nobody is guessing
LEVEL_WHEN_ABSENT = "eidas1"  # psc.properties: no acr means eidas1


class TokenRefused(Exception):
    """The token proves nothing; ``reason`` is for the journal."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokensUnavailable(Exception):
    """Tokens are not accepted here, or the issuer's keys cannot be had for the moment."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: ``identity`` is SubjectNameID (IdNat_PS), ``expires`` epoch seconds."""

    identity: str
    expires: float
    subject: str = ""


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> Claims:
        """Raises TokenRefused or TokensUnavailable."""
        ...


class NoTokens:
    """Tokens are switched off."""

    async def verify(self, token: str) -> Claims:
        raise TokensUnavailable


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What is expected of a token; ``algorithms`` never holds ``none`` nor a shared-secret one."""

    issuer: str
    audience: str
    algorithms: Sequence[str] = ("RS256", "ES256", "PS256")
    acr: str = "eidas1"
    leeway: float = 30.0


class NoKeySet(ValueError):
    """The file holds no key that a token could be verified with."""


_KINDS: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


def read_keys(octets: bytes) -> KeySet:
    """The public keys of a JWKS. One that is not understood is passed over (RFC 7517 5): issuers add kinds as they come."""
    try:
        said = json.loads(octets)
    except (ValueError, RecursionError):
        raise NoKeySet from None
    found = said.get("keys") if isinstance(said, dict) else None
    keys = [key for each in (found if isinstance(found, list) else []) if (key := _key(each)) is not None]
    if not keys:
        raise NoKeySet
    return KeySet(keys)


def _key(said: Any) -> Key | None:
    """A shared secret is no key here, and one for encryption signs nothing."""
    kind = _KINDS.get(str(said.get("kty"))) if isinstance(said, dict) else None
    if kind is None or said.get("use", "sig") != "sig":
        return None
    try:
        return kind.import_key(said)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


Stamp = tuple[int, ...]


def _stamp(path: Path) -> Stamp:
    """What differs once a file was replaced or written again; empty while it is away."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


class LocalKeys:
    """Verifies against a JWKS. ``clock`` gives epoch seconds; ``path``, when given, is read again once it has changed."""

    def __init__(
        self, keys: KeySet, rules: TokenRules, clock: Callable[[], float], path: Path | None = None, stamp: Stamp = ()
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._path = path
        self._stamp = stamp

    @classmethod
    def from_file(cls, path: Path, rules: TokenRules, clock: Callable[[], float]) -> LocalKeys:
        stamp = _stamp(path)  # before the reading: what is written meanwhile is seen as a change
        return cls(read_keys(path.read_bytes()), rules, clock, path, stamp)

    async def verify(self, token: str) -> Claims:
        if not token or len(token) > LONGEST_TOKEN or not token.isascii():
            raise TokenRefused("malformed")
        self._follow()
        try:
            decoded = jwt.decode(token, self._keys, algorithms=list(self._rules.algorithms))
        except (JoseError, ValueError, TypeError, KeyError) as problem:
            raise TokenRefused("signature") from problem
        except RecursionError as problem:  # JSON nested deeper than the library reads
            raise TokenRefused("malformed") from problem
        return judge(decoded.claims, self._rules, self._clock())

    def _follow(self) -> None:
        """Issuers change their keys without a word, and nobody logs in with the old ones; a look costs microseconds."""
        if self._path is None or (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path.read_bytes())
        except (OSError, NoKeySet) as problem:
            log.error("token_keys_not_reloaded", error=type(problem).__name__)
        else:
            log.info("token_keys_reloaded", keys=len(self._keys.keys))


def judge(claims: dict[str, Any], rules: TokenRules, now: float) -> Claims:
    """Judge the claims of a token whose signature is good."""
    if claims.get("iss") != rules.issuer:
        raise TokenRefused("issuer")
    if rules.audience not in _audiences(claims):
        raise TokenRefused("audience")
    if not _opens_doors(claims):
        raise TokenRefused("kind")
    expires = _time(claims, "exp", required=True)
    if expires + rules.leeway <= now:
        raise TokenRefused("expired")
    for name in ("nbf", "iat"):
        if _time(claims, name, required=False) > now + rules.leeway:
            raise TokenRefused("not_yet_valid")
    if claims.get("acr", LEVEL_WHEN_ABSENT) != rules.acr:
        raise TokenRefused("acr")
    identity = claims.get("SubjectNameID")
    if not isinstance(identity, str) or _IDENTITY.fullmatch(identity) is None:
        raise TokenRefused("identity")
    return Claims(identity, expires, str(claims.get("sub", ""))[:200])


def _opens_doors(claims: dict[str, Any]) -> bool:
    """An ID, refresh or logout token has the same issuer, audience and signature, and is shown to others than us.

    Keycloak, behind Pro Santé Connect, says in ``typ`` what a token is; only an ID token vouches for another (``at_hash``).
    """
    return str(claims.get("typ", "Bearer")).lower() == "bearer" and "at_hash" not in claims


def _audiences(claims: dict[str, Any]) -> set[str]:
    """``aud``, one or several; Keycloak names the client in ``azp`` when ``aud`` is ``account``."""
    audience = claims.get("aud")
    named = {item for item in audience if isinstance(item, str)} if isinstance(audience, list) else set()
    return named | {item for item in (audience, claims.get("azp")) if isinstance(item, str)}


def _time(claims: dict[str, Any], name: str, *, required: bool) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**53) < value < 2**53:
        raise TokenRefused("malformed")
    return float(value)
