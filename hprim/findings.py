"""What is found wrong while one message is read, and how grave that is in this deployment.

Promise: a :class:`Profile` may change severities, but never lower a rule that is ``R!`` (another patient's data could be filed
wrongly). Failure: an unknown rule name raises :class:`KeyError` when a profile is built, never while a message is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hprim.model import Place, Problem, Rule, Severity, Words
from hprim.rules import CATALOGUE
from hprim.shown import shown
from hprim.xmlsafe import Unreadable


@dataclass(frozen=True, slots=True)
class Profile:
    """What a deployment asks for. All the rest is the same everywhere.

    ``severities``: rule name to severity; rules that are ``R!`` keep it. ``require_header``: refuse when no text part has an
    HPRIM header (Apicrypt recipients). ``test_identities``: a test space, where OIDs .10/.11 count as INS. ``lab_batches``:
    one file may hold several patients when each message in it is whole. ``qualified_nia``: a NIA may be announced
    ``X-MSS-INS: O``. ``check_test_keys``: check the key of test matricules too. ``channel``: ``mssante``, ``apicrypt`` (subject in
    clear) or ``internet``. ``strict_restrictions``: only the three published combinations of restriction flags may be
    mailed; otherwise "nothing hidden, professionals only" may too.
    ``extra_oids``: further OIDs that this deployment accepts as INS.
    """

    name: str = "default"
    severities: Mapping[str, Severity] = field(default_factory=dict)
    require_header: bool = False
    test_identities: bool = False
    lab_batches: bool = False
    qualified_nia: bool = False
    check_test_keys: bool = True
    channel: str = "mssante"
    strict_restrictions: bool = False
    extra_oids: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in self.severities:
            if name not in CATALOGUE:
                raise KeyError(f"no medical rule is called {name}")

    def severity(self, rule: Rule, asked: Severity | None = None) -> Severity:
        """How grave ``rule`` is here; ``asked`` is the reader's own view of this one case (worse or lighter than the default)."""
        usual = asked or rule.severity
        return usual if usual is Severity.SAFETY else self.severities.get(rule.name, usual)


DEFAULT = Profile()
"""Production between professionals."""

TEST_SPACE = Profile(name="test", test_identities=True)
"""A test space: published test patients are welcome, real ones are not."""

APICRYPT = Profile(name="apicrypt", require_header=True, channel="apicrypt")
"""Mail to Apicrypt users: the header is compulsory and the subject travels in clear."""

_LIMIT = 500
MAX_MARKUP = 450_000
MAX_LINES = 600_000


class Findings:
    """Problems gathered while one message is read, and the work still allowed for it.

    At most 500 remarks are kept, and as many refusals again: remarks can never crowd out a refusal.

    The budget is for the whole message, so that a thousand small hostile parts cost no more than one large part.
    """

    __slots__ = ("lines", "markup", "problems", "profile")

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.problems: list[Problem] = []
        self.markup = MAX_MARKUP
        self.lines = MAX_LINES

    def spend_markup(self, data: bytes) -> None:
        """Count the tags of an XML text before it is parsed; :class:`hprim.xmlsafe.Unreadable` when the budget is gone."""
        self.markup -= data.count(b"<")
        if self.markup < 0:
            raise Unreadable("trop de balises XML dans le message", "too much XML markup in the message")

    def spend_lines(self, data: bytes) -> None:
        """Count the lines of a text before it is cut; same failure."""
        self.lines -= min(data.count(b"\n") + data.count(b"\r"), 200_000)
        if self.lines < 0:
            raise Unreadable("trop de lignes dans le message", "too many lines in the message")

    def add(
        self, name: str, place: Place, severity: Severity | None = None, /, **parameters: str | Words | int
    ) -> None:
        """Record that ``name`` is broken at ``place``."""
        rule = CATALOGUE[name]
        grave = self.profile.severity(rule, severity)
        room = 2 * _LIMIT if grave.rank >= Severity.REFUSE.rank else _LIMIT
        if len(self.problems) >= room:
            return
        said = {k: str(v) if isinstance(v, int) else v for k, v in parameters.items()}
        self.problems.append(Problem(rule, grave, place, said))

    def too_many(self, place: Place, fr: str, en: str) -> None:
        """A limit stopped the reading: what was not read cannot be vouched for, so the part is refused (MSS-114)."""
        name = shown(place.part) or Words("du corps", "of the body")
        self.add("MSS-114", place, name=name, detail=Words(fr, en))
