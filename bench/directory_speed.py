"""The directory with as many entries as the national one: import, the next day's difference, searches.

``python bench/directory_speed.py [--entries 600000] [--url sqlite:////tmp/x.db] [--keep]`` writes a made-up extraction, imports
it twice into a database of its own, and asks questions. Processor time of the whole process is told beside the clock's: other
work on the machine makes the clock's longer. On PostgreSQL the server's own is not counted.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from directory.index import Index
from directory.search import Condition, Every, Field, Not, Way, words
from directory.sources.extraction import COLUMNS
from gateway.directory import own
from gateway.directory.feed import Feed, Limits
from gateway.migrations import upgrade
from mailboxes.commit import Committer, NoJournal, Reading
from mailboxes.engine import Database, open_database

HEAD = (
    "Type de BAL|Adresse BAL|Type Identifiant PP|Identifiant PP|Identification nationale PP|Type identifiant structure"
    "|Identification Structure|Service de rattachement|Civilité d'exercice|Nom d'exercice|Prénom d'exercice"
    "|Catégorie profession|Libellé de catégorie profession|Code Profession|Libellé Profession|Code savoir-faire"
    "|Libellé savoir-faire|Dématérialisation|Raison Sociale structure BAL|Enseigne commerciale structure BAL"
    "|L2COMPLEMENTLOCALISATION structure BAL|L3COMPLEMENTDISTRIBUTION structure BAL|L4NUMEROVOIE structure BAL"
    "|L4COMPLEMENTNUMEROVOIE structure BAL|NL4TYPEVOIE structure BAL|L4LIBELLEVOIE structure BAL"
    "|L5LIEUDITMENTION structure BAL|L6LIGNEACHEMINEMENT structure BAL|Code postal structure BAL"
    "|Département structure BAL|Pays structure BAL"
)
SYLLABLES = [
    "mar",
    "tin",
    "du",
    "rand",
    "ber",
    "nard",
    "pe",
    "tit",
    "ro",
    "bert",
    "ri",
    "chard",
    "mo",
    "reau",
    "lau",
    "rent",
    "si",
    "mon",
    "mi",
    "chel",
    "le",
    "fe",
    "vre",
    "ga",
    "rcia",
    "da",
    "vid",
]
PROFESSIONS = [("10", "Médecin", 45), ("60", "Infirmier", 25), ("70", "Masseur-Kinésithérapeute", 15)]
PROFESSIONS += [("21", "Pharmacien", 8), ("40", "Chirurgien-Dentiste", 5), ("50", "Sage-Femme", 2)]
SPECIALTIES = [("SM26", "Qualifié en Médecine Générale"), ("SM04", "Cardiologie et maladies vasculaires")]
SPECIALTIES += [("SM24", "Gynécologie médicale"), ("SM40", "Pédiatrie"), ("", "")]


def word(chance: random.Random, parts: int) -> str:
    return "".join(chance.choices(SYLLABLES, k=parts))


def extraction(path: Path, entries: int, seed: int = 1, changed: float = 0.0) -> None:
    """A made-up list; a share ``changed`` of its lines differs from that of another seed of change."""
    chance, other = random.Random(seed), random.Random(seed + 1)
    given = [word(chance, 2).capitalize() for _ in range(3000)]
    towns = [(f"{chance.randrange(1000, 95999):05}", word(chance, 3).upper()) for _ in range(9000)]
    houses = [f"Centre hospitalier {word(chance, 3).capitalize()}" for _ in range(30000)]
    domains = [f"{word(chance, 2)}{number}.mssante.fr" for number in range(5000)]
    weights = [weight for *_, weight in PROFESSIONS]
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD + "\n")
        for number in range(entries):
            fields = [""] * COLUMNS
            family, first = word(chance, chance.choice((2, 3, 3, 4))), chance.choice(given)
            code, town = chance.choice(towns)
            domain = domains[min(int(chance.expovariate(1 / 400)), len(domains) - 1)]
            if other.random() < changed:
                town += " CEDEX"
            if chance.random() < 0.85:
                (profession, label, _), (specialty, told) = (
                    chance.choices(PROFESSIONS, weights)[0],
                    chance.choice(SPECIALTIES),
                )
                rpps = f"1{chance.randrange(10**10):010}"
                fields[:5] = ["PER", f"{first.lower()}.{family}{number}@{domain}", "8", rpps, f"8{rpps}"]
                fields[8:11] = ["Docteur", family.upper(), first]
                fields[13:18] = [profession, label, specialty, told, "O"]
            else:
                house = chance.choice(houses)
                fields[:2] = ["ORG", f"secretariat.{family}{number}@{domain}"]
                fields[5:8] = ["FINESS", f"{chance.randrange(10**9):09}", f"Service de {family}"]
                fields[18] = house
            fields[22], fields[24], fields[25] = str(chance.randrange(1, 200)), "RUE", word(chance, 3).upper()
            fields[27:31] = [f"{code} {town}", code, code[:2], "FRANCE"]
            file.write("|".join(fields) + "\n")


@dataclass
class Bench:
    """What an import needs of an open store."""

    database: Database

    def __post_init__(self) -> None:
        upgrade(self.database)
        self.clock = time.time
        self.committer = Committer(self.database, journal=NoJournal(), clock=time.time)
        self.reading = Reading(self.database)

    def close(self) -> None:
        self.committer.close_sync()
        self.reading.close_sync()
        self.database.dispose()


QUESTIONS: list[tuple[str, Condition]] = [
    ("RPPS, whole", Field("person", Way.IS, "{rpps}")),
    ("address, whole", Field("address", Way.IS, "{address}")),
    ("words: name", words("{family}")),
    ("words: name and first name", words("{family} {given}")),
    ("words: name, calling", words("{family} medecin")),
    ("words: calling, town", words("cardiologie {town}")),
    ("words: a calling of many", words("medecin")),
    ("words: two letters", words("ma")),
    ("inside a name", Field("family", Way.CONTAINS, "rtindu")),
    ("beginning of a name", Field("family", Way.BEGINS, "martin")),
    ("end of an address", Field("address", Way.ENDS, "7@{domain}")),
    (
        "postal code and calling",
        Every((Field("postal_code", Way.IS, "{code}"), Field("profession_code", Way.IS, "10"))),
    ),
    ("everything", Every(())),
    ("two letters nobody has", words("zq")),
    ("nobody: negation", Every((Field("type", Way.IS, "PER"), Not(Field("person", Way.PRESENT))))),
    ("nobody: often, never together", Every((words("medecin"), Field("service", Way.CONTAINS, "service")))),
]


def anonymous() -> int:
    """MiB that are the process's own; the database file it maps is the system's to take back."""
    found = re.search(r"RssAnon:\s*(\d+)", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) // 1024 if found else 0


def timed(work: Callable[[], object]) -> tuple[float, float]:
    began, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=600_000)
    parser.add_argument("--url", default="")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        bench = Bench(open_database(given.url or f"sqlite:///{place}/caducee.db"))
        held: list[int] = []
        bench.committer.run_sync(lambda unit: own.begin(unit.connection))
        for name, changed in (("first import", 0.0), ("the same again", 0.0), ("one in a hundred changed", 0.01)):
            extraction(place / "list.txt", given.entries, changed=changed)
            held.clear()
            feed = Feed(bench, Limits(), rest=lambda _took: held.append(anonymous()))
            counts = []
            wall, spent = timed(lambda: counts.append(feed.bring(place / "list.txt")))  # noqa: B023
            print(f"{name}: {wall:.0f} s, processor {spent:.0f} s, {max(held)} MiB at most, {counts[0]}", flush=True)
        size = sum(path.stat().st_size for path in place.glob("caducee.db*")) / 2**20
        print(f"list {(place / 'list.txt').stat().st_size / 2**20:.0f} MiB, database {size:.0f} MiB", flush=True)
        ask(bench, place / "list.txt", given.rounds)
        bench.close()


def ask(bench: Bench, path: Path, rounds: int) -> None:
    """Median and longest of some rounds, in milliseconds of processor time and of the clock."""
    with path.open(encoding="utf-8") as file:
        lines = [line.split("|") for number, line in enumerate(file) if number % 997 == 5 and line.startswith("PER")]
    chance, index = random.Random(3), Index(own.visible())
    print(f"{'question':32} {'found':>5} {'median ms':>9} {'longest':>8} {'processor':>9}")
    for name, condition in QUESTIONS:
        walls, spents, found = [], [], 0
        for _ in range(rounds):
            line = chance.choice(lines)
            facts = {"rpps": line[4], "address": line[1], "family": line[9], "given": line[10], "code": line[28]}
            facts |= {"town": line[27].split()[1], "domain": line[1].split("@")[1]}
            asked = filled(condition, facts)
            answers = []
            wall, spent = timed(lambda: answers.append(bench.reading.run_sync(lambda c: index.find(c, asked, 50))))  # noqa: B023
            walls.append(wall * 1000)
            spents.append(spent * 1000)
            found = len(answers[0].entries)
        print(
            f"{name:32} {found:5} {statistics.median(walls):9.1f} {max(walls):8.1f} {statistics.median(spents):9.1f}",
            flush=True,
        )


def filled(condition: Condition, facts: dict[str, str]) -> Condition:
    if isinstance(condition, Field):
        return Field(condition.name, condition.way, condition.text.format(**facts))
    if isinstance(condition, Not):
        return Not(filled(condition.part, facts))
    return type(condition)(tuple(filled(part, facts) for part in condition.parts))


if __name__ == "__main__":
    main()
