"""What changed between two white lists, as data (MSS-011, MSS-012, U13).

Promise: domains and bindings compare by canonical form, so a re-ordered or re-spelled list shows no change. Failure: none.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.trust import TrustList


@dataclass(frozen=True, slots=True)
class Difference:
    """Domains, sorted. ``changed`` are in both lists with other certificates."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def difference(before: TrustList | None, after: TrustList) -> Difference:
    """From no list at all, everything is added."""
    old = before.domains if before is not None else {}
    new = after.domains
    return Difference(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(domain for domain in new.keys() & old.keys() if new[domain] != old[domain])),
    )


def shrunk(before: TrustList, after: TrustList, limit: float) -> bool:
    """Whether more than the share ``limit`` of the domains or of the bindings would vanish (MSS-012).

    What vanishes is counted, not the sizes: a list in which every domain was replaced by another is no growth.
    """
    bindings = sum(map(len, before.domains.values()))
    lost_domains = sum(1 for domain in before.domains if domain not in after.domains)
    lost = sum(len(keys - after.domains.get(domain, frozenset())) for domain, keys in before.domains.items())
    return lost_domains > limit * len(before.domains) or lost > limit * bindings
