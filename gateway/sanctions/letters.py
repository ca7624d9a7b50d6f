"""The notices of a case or a suspension: which paragraphs, with which facts, in French and English.

They are owed in the transaction of the act they tell of (:mod:`gateway.relay.outbox`) and leave like any notice, with the null
reverse-path. The contact of a person lies outside the trust space, where nothing is ever sent: ``caducee sanction letter`` prints the
same text for the post.
Promise: every sentence is of the catalogue; facts are bounded and of one line. Failure: none; a paragraph that another release
wrote and this one does not know is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.config import postmaster
from gateway.policy_settings import penalties
from gateway.relay import outbox
from gateway.relay.parcel import Result
from gateway.relay.tables import NEVER
from gateway.relay.tracking import NoBodies
from gateway.settings import Config
from mailboxes.commit import Unit
from policies.catalogue import rule
from policies.decision import CatalogueError, Decision, Language, decide
from policies.penalties import Scale, Step, amount_of
from policies.values import DsnRequest

LONGEST = 500
"""Characters of a fact in an administrator's words."""

SANCTION = "sanction"
"""The action of :class:`gateway.relay.outbox.Owed`."""

CHARTER, AMOUNTS, OFFER, PAYMENT, CONTEST = (
    "sanction.charter",
    "sanction.amounts",
    "sanction.offer",
    "sanction.payment",
    "sanction.contest",
)
PARAGRAPHS: Mapping[str, tuple[str, ...]] = {
    "sanction.letter_warned": (CHARTER, AMOUNTS, CONTEST),
    "sanction.letter_charged": (CHARTER, AMOUNTS, OFFER, PAYMENT, CONTEST),
    "sanction.letter_suspended": (CHARTER, AMOUNTS, PAYMENT, CONTEST),
    "sanction.letter_adjusted": (PAYMENT, CONTEST),
    "sanction.letter_cancelled": (),
    "sanction.letter_lowered": (),
    "sanction.letter_paid": (),
    "sanction.letter_announced": (CONTEST,),
    "sanction.letter_immediate": (CONTEST,),
    "sanction.letter_persists": (CONTEST,),
    "sanction.letter_lifted": (),
    "sanction.letter_opened": (),
    "sanction.letter_delay_over": (),
    "sanction.letter_partner": (CHARTER, CONTEST),
    "sanction.letter_reported": (),
    "sanction.letter_not_reported": (),
}
"""The paragraphs that follow the first, by its rule."""
_NEEDS_TEXT = {PAYMENT: "payment"}


@dataclass(frozen=True, slots=True)
class Words:
    """What every notice of an operator may tell."""

    scale: Scale
    contest: str
    charter: str
    payment: str
    operator: str

    def facts(self) -> dict[str, str]:
        """Those that do not depend on the case."""
        return {
            "contest": self.contest,
            "charter": one_line(self.charter),
            "payment": one_line(self.payment),
            "operator": one_line(self.operator),
        }

    def repeat(self, step: Step) -> dict[str, str]:
        """What the next cases cost, after one of this step."""
        following = [Step.CHARGED, Step.SUSPENDED] if step is Step.WARNED else [Step.SUSPENDED]
        return {
            f"further_{language}": "; ".join(self._costs(each, language) for each in following)
            for language in ("fr", "en")
        }

    def _costs(self, step: Step, language: Language) -> str:
        sums = [euros(amount_of(step, band.least, self.scale), language) for band in self.scale.bands]
        ends = [f"{band.least}" for band in self.scale.bands[1:]]
        if language == "fr":
            when = "deuxième envoi" if step is Step.CHARGED else "envois suivants, avec suspension jusqu’au paiement"
            parts = [
                f"{sums[0]} en dessous de {ends[0]} destinataires",
                *(f"{each} à partir de {end}" for each, end in zip(sums[1:], ends, strict=True)),
            ]
            return f"{when} : {', '.join(parts)}"
        when = "second piece" if step is Step.CHARGED else "each further piece, with suspension until paid"
        parts = [
            f"{sums[0]} below {ends[0]} recipients",
            *(f"{each} from {end} on" for each, end in zip(sums[1:], ends, strict=True)),
        ]
        return f"{when}: {', '.join(parts)}"


def words(config: Config) -> Words:
    """From the configuration."""
    own = config.penalties
    contest = own.contest or postmaster(config.operator)
    return Words(penalties(config), contest, own.charter, own.payment, config.operator.name)


def euros(cents: int, language: Language) -> str:
    """An amount as people write it."""
    whole, part = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    return f"{sign}{whole},{part:02} €" if language == "fr" else f"{sign}€{whole}.{part:02}"


def money(name: str, cents: int) -> dict[str, str]:
    """A parameter that is an amount, in both languages."""
    return {f"{name}_fr": euros(cents, "fr"), f"{name}_en": euros(cents, "en")}


def day(name: str, seconds: float) -> dict[str, str]:
    """A parameter that is a day, in both languages."""
    local = datetime.fromtimestamp(seconds).astimezone()
    return {f"{name}_fr": f"{local:%d/%m/%Y}", f"{name}_en": f"{local:%Y-%m-%d}"}


def one_line(text: str) -> str:
    """An administrator's words inside a sentence: of one line, bounded, without the full stop that the sentence has."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text[:LONGEST])
    return " ".join(plain.split()).rstrip(".")


def owe(unit: Unit, to: str, decision: Decision, about: str = "") -> None:
    """Owe a notice, in the caller's transaction; ``to`` is an address."""
    draft = outbox.Draft(NoBodies())
    subject = outbox.About(about, 0, b"", to, to, DsnRequest(frozenset({"SUCCESS"})), unit.now, NEVER)
    draft.add(SANCTION, subject, Result(0, decision, decision.enhanced))
    draft.commit(unit)


def text(name: str, parameters: Mapping[str, str]) -> str:
    """The whole notice, French before English."""
    both = (_paragraphs(name, parameters, "fr"), _paragraphs(name, parameters, "en"))
    return "\n\n-- \n\n".join("\n\n".join(each) for each in both)


def _paragraphs(name: str, parameters: Mapping[str, str], language: Language) -> list[str]:
    found = []
    for each in (name, *PARAGRAPHS.get(name, ())):
        if parameters.get(_NEEDS_TEXT.get(each, ""), "said"):
            try:
                found.append(decide(rule(each), **parameters).sentence(language).replace(". .", "."))
            except CatalogueError:
                continue
    return found
