"""How fast medical content is checked: ``python bench/hprim_speed.py``. Median of many runs on one core, beside its target."""

from __future__ import annotations

import random
import statistics
import string
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hprim.check import check_file, check_message  # noqa: E402
from hprim.dates import PartialDate  # noqa: E402
from hprim.findings import TEST_SPACE  # noqa: E402
from hprim.match import compare_prepared, prepare  # noqa: E402
from hprim.model import InsId, Part, Patient, Place, Source, Traits  # noqa: E402
from tests.hprim.builders import SUBJECT, cda, xdm  # noqa: E402
from tests.hprim.examples import TODAY, V1, text  # noqa: E402

SAMPLE = ROOT.parent / "shared" / "samples" / "cda" / "DOC_NON_STRUCTURE_CDA-R2-N1.xml"


def median(run, times: int) -> float:
    """Median of ``times`` runs, in milliseconds."""
    run()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        spent.append((time.perf_counter() - start) * 1e3)
    return statistics.median(spent)


def header_file() -> bytes:
    """A 12-line header, a printed report and 200 coded results."""
    result = "RES|CREATININE|CREA{}|N|8.3|mg/l|6.0|11.0|N|F|73.5|umol/l|53.1|97.4"
    return text([*V1[:16], *(result.format(i) for i in range(200)), *V1[19:]])


def big_cda() -> bytes:
    """A CDA of 450 kB: the published one when it is beside the project, else one of the same size."""
    if SAMPLE.is_file():
        return SAMPLE.read_bytes()
    return cda(extra=f"<x>{'QUJD' * 112_000}</x>")


def people(count: int) -> list[Patient]:
    """Made-up patients, one in four with an INS."""
    chance = random.Random(7)
    made = []
    for i in range(count):
        surname = "".join(chance.choices(string.ascii_uppercase, k=7))
        first = chance.choice(["MARIE", "PAUL", "JEAN-PIERRE", "ANDREE", "ZOE", "LOUIS", "FATIMA"])
        born = PartialDate(chance.randint(1930, 2020), chance.randint(1, 12), chance.randint(1, 28))
        ins = (InsId("1.2.250.1.213.1.4.8", f"{i:015d}"),) if i % 4 == 0 else ()
        traits = Traits(birth_surname=surname, first_name=first, birth_date=born, sex=chance.choice("MF"))
        made.append(Patient(Source.HPRIM, Place(), traits, ins))
    return made


def pairs_per_second(count: int = 700) -> float:
    """Pairs per second of CPU: every pair of ``count`` patients, each pair compared once, names normalised once per patient."""
    patients = [prepare(p) for p in people(count)]
    start = time.process_time()
    done = 0
    for i, a in enumerate(patients):
        for b in patients[i + 1 :]:
            compare_prepared(a, b)
            done += 1
    return done / (time.process_time() - start)


def main() -> None:
    hprim = header_file()
    archive = xdm(big_cda(), today=TODAY)
    parts = [
        Part("", "text/plain", "utf-8", b"Bonjour", True),
        Part("IHE_XDM.zip", "application/zip", "", archive, False),
    ]
    headers = {"X-MSS-INS": "O"}
    rows = [
        ("12-line header + 200 RES", median(lambda: check_file(hprim, "a.hpr", today=TODAY), 200), 2.0),
        (
            f"{len(big_cda()) // 1024} KiB CDA in XDM, whole mail",
            median(
                lambda: check_message(
                    parts, subject=SUBJECT, recipients=["a@b.fr"], headers=headers, profile=TEST_SPACE, today=TODAY
                ),
                50,
            ),
            50.0,
        ),
    ]
    for name, found, target in rows:
        print(f"{name:40} {found:8.2f} ms   target < {target:g} ms   {'ok' if found < target else 'MISSED'}")
    speed = max(pairs_per_second() for _ in range(5))
    print(
        f"{'identity comparison':40} {speed:8,.0f} pairs/s   target >= 200,000   {'ok' if speed >= 2e5 else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
