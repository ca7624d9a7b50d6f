"""Evidence of one message: verified by the file alone, tampering found wherever it is, nothing of anybody else in it (TOU-A14)."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

import gateway.relay.tables  # noqa: F401 - before the tables are created
from gateway.record import journal
from gateway.record.evidence import gathering, pack, verification
from gateway.record.evidence.gathering import Signer, UnfitKey
from gateway.record.evidence.verification import Tampered, verify
from gateway.record.explain import UnknownMessage
from mailboxes.register import Mailbox
from policies.events import Event, Kind
from policies.values import Address, BalState, BalType
from tests.gateway.rig import NOW, OURS, THEIRS, Rig, letter, transaction, user

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def identity(folder: Path, key: Key) -> tuple[Path, Path]:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smtp.op-a.mssante.test")])
    begun = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(begun).not_valid_after(begun + timedelta(days=9))
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    paths = folder / "own.pem", folder / "own.key"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.read(*identity(tmp_path, ec.generate_private_key(ec.SECP256R1())))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


async def accepted(rig: Rig, subject: str = "Essai") -> str:
    content = letter(f"alice@{OURS}", subject)
    answer = await rig.intake.message(transaction(user(), f"alice@{OURS}", f"paul@{OURS}", f"jean@{THEIRS}"), content)
    assert answer.decision.accepted
    return answer.message


async def others(rig: Rig, count: int) -> None:
    for number in range(count):
        told = Event(Kind.LOGIN, actor="quelqu'un d'autre", mailbox=9, detail={"ip": f"192.0.2.{number}"})
        await rig.committer.run(lambda unit, told=told: unit.emit(told))


async def anchor(rig: Rig) -> tuple[int, bytes]:
    return await rig.reading.run(journal.head)


async def packed(
    rig: Rig, message: str, signer: Signer, anchors: list[tuple[int, bytes]], body: bytes | None = None
) -> bytes:
    facts, files = await rig.reading.run(
        lambda connection: gathering.gather(connection, message, anchors, operator="Opérateur A", now=NOW)
    )
    return gathering.sealed(facts, files if body is None else {**files, pack.BODY: body}, signer)


async def usual(rig: Rig, signer: Signer) -> tuple[str, bytes, list[tuple[int, bytes]]]:
    """A message among what others do, between two anchors."""
    await others(rig, 3)
    anchors = [await anchor(rig)]
    await others(rig, 2)
    message = await accepted(rig)
    await others(rig, 4)
    anchors.append(await anchor(rig))
    await others(rig, 3)
    return message, await packed(rig, message, signer, anchors), anchors


def opened(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def resigned(files: dict[str, bytes], signer: Signer) -> bytes:
    """What a forger with a certificate of his own, or the operator himself, would make of changed files."""
    told = json.loads(files[pack.MANIFEST])
    facts = {name: told[name] for name in ("message", "operator", "made", "software")}
    kept = {name: data for name, data in files.items() if name in pack.SIGNED}
    return gathering.sealed(facts, kept, signer)


async def test_a_pack_holds_by_itself_and_leads_from_anchor_to_anchor(rig: Rig, signer: Signer) -> None:
    message, data, anchors = await usual(rig, signer)
    found = verify(data)
    assert (found.message, found.operator, found.unproven, found.missing) == (message, "Opérateur A", (), ())
    assert [(seq, bytes.fromhex(value)) for seq, value in found.anchors] == anchors
    assert found.signer == "CN=smtp.op-a.mssante.test"
    assert verify(data, anchors).missing == ()
    assert verify(data, anchors[:1]).missing == (anchors[1][0],)
    records = json.loads(opened(data)[pack.RECORDS])
    assert [one["kind"] for one in records] == ["message.accepted", "message.delivered", "message.queued"]


async def test_nothing_of_anybody_else_is_in_it(rig: Rig, signer: Signer) -> None:
    await accepted(rig, "avant")
    _, data, _ = await usual(rig, signer)
    whole = b"".join(opened(data).values())
    assert b"192.0.2.1" not in whole.replace(b"192.0.2.7", b"")
    assert b"quelqu'un d'autre" not in whole
    assert b"Essai" not in whole  # nor the subject, nor the body


async def test_the_same_facts_make_the_same_file(rig: Rig, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)  # its signatures do not change from one to the next
    signer = Signer.read(*identity(tmp_path, key))
    message, data, anchors = await usual(rig, signer)
    assert await packed(rig, message, signer, anchors) == data
    assert verify(data).records == 3


@pytest.mark.parametrize("kind", ["rsa", "ec"])
async def test_openssl_verifies_the_signature(rig: Rig, tmp_path: Path, kind: str) -> None:
    """Whoever does not trust our command needs nothing of ours."""
    key: Key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    _, data, _ = await usual(rig, Signer.read(*identity(tmp_path, key)))
    for name, content in opened(data).items():
        (tmp_path / name).write_bytes(content)
    public = subprocess.run(
        ["openssl", "x509", "-in", "certificate.pem", "-noout", "-pubkey"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    ).stdout
    (tmp_path / "key.pem").write_bytes(public)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "manifest.sig", "manifest.json"]
    assert b"OK" in subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    (record, *_) = json.loads((tmp_path / pack.RECORDS).read_bytes())
    row = [record[name] for name in ("seq", "at", "kind", "actor", "message", "recipient", "mailbox", "detail")]
    told = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
    (stretch,) = json.loads((tmp_path / pack.CHAIN).read_bytes())
    before = bytes.fromhex(stretch["before"])
    for seq, linked in enumerate(stretch["links"], start=stretch["first"]):
        digest = bytes.fromhex(linked) if linked else hashlib.sha256(told).digest()
        before = hashlib.sha256(before + digest).digest()
        if seq == record["seq"]:
            break
    assert before.hex() == record["hash"]


async def test_a_key_that_cannot_sign_is_said(tmp_path: Path) -> None:
    paths = identity(tmp_path, ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(UnfitKey):
        Signer.read(*paths)


async def test_any_octet_that_changes_is_found(rig: Rig, signer: Signer) -> None:
    _, data, _ = await usual(rig, signer)
    files = opened(data)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sampled_from(sorted(files)), st.integers(0, 1 << 20), st.integers(1, 255))
    def changed(name: str, place: int, by: int) -> None:
        content = bytearray(files[name])
        content[place % len(content)] ^= by
        with pytest.raises(Tampered):
            verify(pack.archive({**files, name: bytes(content)}))

    changed()


async def test_a_damaged_archive_is_refused_or_says_the_same(rig: Rig, signer: Signer) -> None:
    _, data, _ = await usual(rig, signer)
    whole = verify(data)

    @settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, len(data) - 1), st.integers(1, 255))
    def damaged(place: int, by: int) -> None:
        content = bytearray(data)
        content[place] ^= by
        try:
            assert verify(bytes(content)) == whole  # a date or an attribute of the archive: no fact
        except Tampered:
            pass

    damaged()


Change = Callable[[dict[str, Any]], None]


def record(number: int, **values: object) -> Change:
    def change(told: dict[str, Any]) -> None:
        told["records"][number].update(values)

    return change


def drop_record(told: dict[str, Any]) -> None:
    del told["records"][1]


def drop_link(told: dict[str, Any]) -> None:
    del told["chain"][0]["links"][0]


def swap_links(told: dict[str, Any]) -> None:
    links = told["chain"][0]["links"]
    links[0], links[1] = links[1], links[0]


def hide_record(told: dict[str, Any]) -> None:
    """Left out, and its digest given as that of somebody else's."""
    one = told["records"].pop(1)
    first = told["chain"][0]["first"]
    told["chain"][0]["links"][one["seq"] - first] = "00" * 32


def no_chain(told: dict[str, Any]) -> None:
    told["chain"] = []


def other_anchor(told: dict[str, Any]) -> None:
    told["chain"][0]["before"] = "11" * 32


def short_hash(told: dict[str, Any]) -> None:
    told["chain"][0]["before"] = ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (record(0, actor="un autre"), "chain"),
        (record(1, at=1), "chain"),
        (record(1, recipient="x@y"), "chain"),
        (record(1, hash="00" * 32), "chain"),
        (record(0, message="autre"), "records"),
        (record(0, detail=None), "chain"),
        (record(0, seq="x"), "unreadable"),
        (drop_record, "chain"),
        (drop_link, "chain"),
        (swap_links, "chain"),
        (hide_record, "chain"),
        (no_chain, "chain"),
        (other_anchor, "chain"),
        (short_hash, "chain"),
    ],
)
async def test_what_is_changed_and_signed_again_breaks_the_chain(
    rig: Rig, signer: Signer, change: Change, word: str
) -> None:
    """Whoever signs anew cannot make the records lead to the anchors."""
    _, data, _ = await usual(rig, signer)
    files = opened(data)
    told = {"records": json.loads(files[pack.RECORDS]), "chain": json.loads(files[pack.CHAIN])}
    change(told)
    files[pack.RECORDS], files[pack.CHAIN] = pack.written(told["records"]), pack.written(told["chain"])
    with pytest.raises(Tampered) as caught:
        verify(resigned(files, signer))
    assert caught.value.word == word


async def test_a_chain_written_anew_does_not_meet_the_anchors_kept_elsewhere(rig: Rig, signer: Signer) -> None:
    """A forger of everything, signature included, is caught by anchors somebody else kept."""
    message, data, anchors = await usual(rig, signer)
    files = opened(data)
    records, (stretch,) = json.loads(files[pack.RECORDS]), json.loads(files[pack.CHAIN])
    records[0]["actor"] = "un autre"
    held = {one["seq"]: one for one in records}
    before = bytes.fromhex(stretch["before"])
    for seq, linked in enumerate(stretch["links"], start=stretch["first"]):
        one = held.get(seq)
        digest = bytes.fromhex(linked) if one is None else journal.digest(seq, verification._row(one))
        before = journal.link(before, digest)
        if one is not None:
            one["hash"] = before.hex()
    stretch["after"] = before.hex()
    files[pack.RECORDS], files[pack.CHAIN] = pack.written(records), pack.written([stretch])
    forged = resigned(files, signer)
    assert verify(forged).message == message  # it holds in itself
    assert verify(forged, anchors).missing == (anchors[1][0],)


async def test_the_body_must_be_the_one_that_was_accepted(rig: Rig, signer: Signer) -> None:
    message, _, anchors = await usual(rig, signer)
    (body,) = await rig.inbox(2)
    assert verify(await packed(rig, message, signer, anchors, body=bytes(body))).body
    with pytest.raises(Tampered) as caught:
        verify(await packed(rig, message, signer, anchors, body=bytes(body) + b"x"))
    assert caught.value.word == "body"


async def test_records_far_apart_cost_two_stretches_and_not_all_between(rig: Rig, signer: Signer) -> None:
    message = await accepted(rig)
    anchors = [await anchor(rig)]
    await others(rig, 40)
    anchors.append(await anchor(rig))
    late = Event(Kind.RECEIPT, message=message, recipient=f"paul@{OURS}", detail={"disposition": "displayed"})
    await rig.committer.run(lambda unit: unit.emit(late))
    data = await packed(rig, message, signer, anchors)  # no anchor since: the head of the chain ends it
    first, second = json.loads(opened(data)[pack.CHAIN])
    assert len(first["links"]) + len(second["links"]) < 10
    assert second["anchored"] == {"before": True, "after": False}
    assert verify(data).records == 4


async def test_an_anchor_of_another_chain_is_none(rig: Rig, signer: Signer) -> None:
    message, _, anchors = await usual(rig, signer)
    wrong = [anchors[0], (anchors[1][0], bytes(32))]
    assert [seq for seq, _ in verify(await packed(rig, message, signer, wrong)).anchors] == [anchors[0][0]]


async def test_a_chain_too_long_is_said_and_an_unknown_message_too(
    rig: Rig, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, _, anchors = await usual(rig, signer)
    with pytest.raises(UnknownMessage):
        await packed(rig, "0" * 26, signer, anchors)
    monkeypatch.setattr(gathering, "LONGEST", 3)
    with pytest.raises(gathering.TooLong):
        await packed(rig, message, signer, anchors)


async def test_records_of_an_older_release_are_told_as_proven_by_the_journal_only(rig: Rig, signer: Signer) -> None:
    """They are chained over the record itself: the pack cannot lead past others' without showing them."""
    message, _, anchors = await usual(rig, signer)

    def formerly(unit: Any) -> None:
        before = journal.GENESIS
        rows = unit.connection.execute(
            text("SELECT seq, at, kind, actor, message, recipient, mailbox, detail FROM journal ORDER BY seq")
        )
        for row in rows.all():
            before = journal.formerly_linked(before, row[0], tuple(row[1:]))
            unit.connection.execute(text("UPDATE journal SET hash = :h WHERE seq = :s"), {"h": before, "s": row[0]})
        unit.connection.execute(text("UPDATE journal_head SET hash = :h"), {"h": before})

    await rig.committer.run(formerly)
    assert await rig.reading.run(journal.verify) is None
    data = await packed(rig, message, signer, [await anchor(rig)])
    found = verify(data)
    assert len(found.unproven) == found.records == 3
    await others(rig, 2)
    assert await rig.reading.run(journal.verify) is None  # and goes on as this release chains
    assert anchors


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"\x00" * 1000, pack.archive({"a.txt": b"x"}), pack.archive({pack.MANIFEST: b"{}"})],
    ids=["empty", "short", "zeros", "stranger", "bare"],
)
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    with pytest.raises(Tampered):
        verify(data)


def test_an_archive_that_swells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "LARGEST", 1 << 20)
    with pytest.raises(Tampered) as caught:
        verify(pack.archive({pack.MANIFEST: bytes(2 << 20)}))
    assert caught.value.word == "too_large"


async def destroyed(rig: Rig, signer: Signer, *what: str) -> bytes:
    """A certificate over records that say ``what`` of mailbox 5, whatever the truth."""
    for one in what:
        detail = {
            "what": one,
            "type": "ORG",
            "state": "deleted" if one == "delete" else one,
            "reason": "x",
            "address": "",
        }
        await rig.committer.run(
            lambda unit, detail=detail: unit.emit(Event(Kind.MAILBOX, actor="operator:x", mailbox=5, detail=detail))
        )
    box = Mailbox(
        id=5, address=Address("fin", OURS), type=BalType.ORG, owner_id=0, structure="", description="", service="",
        responsible="", phone="", red_list=False, paperless=False, rank=0, state=BalState.DELETED, state_at=0,
        state_by="operator:x", state_reason="x", created_at=0, last_login_at=0,
    )  # fmt: skip
    facts, files = await rig.reading.run(
        lambda connection: gathering.destruction(connection, box, [], operator="Opérateur A", now=NOW)
    )
    return gathering.sealed(facts, files, signer)


async def test_a_certificate_of_destruction_needs_the_record_of_it(rig: Rig, signer: Signer) -> None:
    """TOU-E07: a mailbox that is only closed, or was opened again since, is not destroyed whatever the certificate says."""
    data = await destroyed(rig, signer, "closed", "delete")
    assert verify(data).mailbox == f"fin@{OURS}"
    files = opened(data)
    assert set(files) == {*files, pack.DESTROYED}
    with pytest.raises(Tampered):
        verify(pack.archive({**files, pack.DESTROYED: files[pack.DESTROYED].replace(b'"key": 0', b'"key": 1')}))
    with pytest.raises(Tampered) as caught:
        verify(await destroyed(rig, signer, "active"))
    assert caught.value.word == "not_destroyed"


async def test_a_mailbox_with_its_key_has_no_certificate(rig: Rig, signer: Signer) -> None:
    box = Mailbox(
        id=1, address=Address("alice", OURS), type=BalType.PER, owner_id=0, structure="", description="", service="",
        responsible="", phone="", red_list=False, paperless=False, rank=0, state=BalState.DELETED, state_at=0,
        state_by="", state_reason="", created_at=0, last_login_at=0,
    )  # fmt: skip
    with pytest.raises(gathering.NotDestroyed):
        await rig.reading.run(lambda connection: gathering.destruction(connection, box, [], operator="A", now=NOW))
