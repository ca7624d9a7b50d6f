"""Access tokens of an identity provider (Pro Santé Connect): the port, and the verifier over a local key set.

Promise (MSS-072, F72): signature by a key of the set with a pinned algorithm, exact issuer, our audience, times within a
small leeway, the required level of authentication, and a national identifier. A token is neither stored nor logged
(MSS-075). Failure: :class:`TokenRefused` with a stable reason word; :class:`TokensUnavailable` when keys cannot be had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

LONGEST_TOKEN = 16 * 1024
_IDENTITY = re.compile(r"[A-Za-z0-9./_-]{1,64}", re.ASCII)
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


class LocalKeys:
    """Verifies against a JWKS read once. ``clock`` gives epoch seconds."""

    def __init__(self, keys: KeySet, rules: TokenRules, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._rules = rules
        self._clock = clock

    @classmethod
    def from_file(cls, path: Path, rules: TokenRules, clock: Callable[[], float]) -> LocalKeys:
        return cls(KeySet.import_key_set(json.loads(path.read_bytes())), rules, clock)

    async def verify(self, token: str) -> Claims:
        if not token or len(token) > LONGEST_TOKEN or not token.isascii():
            raise TokenRefused("malformed")
        try:
            decoded = jwt.decode(token, self._keys, algorithms=list(self._rules.algorithms))
        except (JoseError, ValueError, TypeError, KeyError) as problem:
            raise TokenRefused("signature") from problem
        except RecursionError as problem:  # JSON nested deeper than the library reads
            raise TokenRefused("malformed") from problem
        return judge(decoded.claims, self._rules, self._clock())


def judge(claims: dict[str, Any], rules: TokenRules, now: float) -> Claims:
    """Judge the claims of a token whose signature is good."""
    if claims.get("iss") != rules.issuer:
        raise TokenRefused("issuer")
    if rules.audience not in _audiences(claims):
        raise TokenRefused("audience")
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
