"""How long a white list of 10 000 rows takes to load, and a lookup in it.

    python bench/trust_speed.py [ROWS]

Prints milliseconds for reading an unsigned and a signed list, and microseconds for one lookup and one whole judgement.
"""

from __future__ import annotations

import sys
import tempfile
import time
import timeit
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from directory.trustlist import Row, load
from directory.trustlist_publish import publish
from gateway.admin import pki
from gateway.smtp.chain import PathReader, read_certificates
from policies import trust
from policies.certificate import CertificateSettings, WhenUnknown

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
OPERATORS = 400
now = datetime.now(UTC).replace(microsecond=0)
space = pki.build(Path(tempfile.mkdtemp()), now)
own = space.operators["op-b"]
rows = [
    Row(
        f"etablissement-{number}.mssante.test",
        f"CN=smtp{number % OPERATORS}.operateur.test,OU=3{number % OPERATORS:014d},O=OPERATEUR {number % OPERATORS},ST=Test (99),C=FR",
        f"ETABLISSEMENT D'ESSAI {number}",
        "01 99 00 00 00, responsable@operateur.test",
        "01 99 00 00 00, support@operateur.test",
        now,
    )
    for number in range(ROWS - 1)
]
rows.append(Row("op-b.mssante.test", own.subject, updated=now))
anchors = read_certificates(space.ca)
key = load_pem_private_key(space.signing.key.read_bytes(), None)
lists = {
    "unsigned": publish(rows, now),
    "signed": publish(rows, now, key, read_certificates(space.signing.certificate)),
}


for name, data in lists.items():
    start = time.perf_counter()
    loaded = load(data, anchors=anchors, require_signature=name == "signed", now=now)
    spent = time.perf_counter() - start
    print(f"load {len(loaded.rows)} rows, {name}, {len(data) / 1e6:.1f} MB: {spent * 1000:.0f} ms")
listed = loaded.trust
calls = 20_000
reader = PathReader(anchors)
chain = [one.public_bytes(Encoding.DER) for one in read_certificates(own.client.certificate)]
settings = trust.TrustSettings(certificate=CertificateSettings(revocation_unknown=WhenUnknown.ACCEPT))
facts = reader.facts(chain, now)
for name, call in (
    ("lookup", lambda: listed.lists("etablissement-5000.mssante.test")),
    ("may_deliver", lambda: trust.may_deliver("etablissement-5000.mssante.test", listed, now, settings)),
    ("chain to facts, known path", lambda: reader.facts(chain, now)),
    ("judge_inbound", lambda: trust.judge_inbound(facts, "op-b.mssante.test", listed, now, settings)),
):
    print(f"{name}: {timeit.timeit(call, number=calls) / calls * 1e6:.2f} µs")
