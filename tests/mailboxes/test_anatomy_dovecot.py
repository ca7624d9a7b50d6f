"""What we answer and what Dovecot answers about the same messages: ENVELOPE, BODYSTRUCTURE, BODY and sections."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from mailboxes.anatomy import dissect, pack, section, unpack
from tests.mailboxes import dovecot_imap
from tests.mailboxes.imap_tokens import read_value
from tests.mailboxes.mail_samples import SAMPLES
from tests.property.test_anatomy import Writer

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not dovecot_imap.PROGRAM.exists(), reason="needs the Debian package dovecot-imapd"),
]

CLOSED_INSIDE = {"forwarded_multipart", "prefix_boundaries"}
"""Dovecot counts the line end before a boundary into a multipart that closed just above it; RFC 2046 5.1.1 does not."""
ITEMS = [b"ENVELOPE", b"BODYSTRUCTURE", b"BODY"]
SECTIONS = [b"BODY.PEEK[1]", b"BODY.PEEK[2]", b"BODY.PEEK[1.1]", b"BODY.PEEK[1.2]", b"BODY.PEEK[2.1]"]
SECTIONS += [
    b"BODY.PEEK[HEADER]",
    b"BODY.PEEK[TEXT]",
    b"BODY.PEEK[1.MIME]",
    b"BODY.PEEK[2.HEADER]",
    b"BODY.PEEK[2.TEXT]",
]


@pytest.fixture(scope="module")
def answers():
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "dovecot"
        home.mkdir()
        Path(name).chmod(0o755)
        return dovecot_imap.fetch(home, list(SAMPLES.values()), ITEMS + SECTIONS)


def meaning(answer: bytes):
    value, end = read_value(answer, 0)
    assert end == len(answer)
    return value


def structure(ours: bytes):
    """Our answer as the Dovecot at hand would write it."""
    return decoded(meaning(ours)) if dovecot_imap.decodes_parameters() else meaning(ours)


def decoded(value):
    """``(name* charset'language'octets)`` as ``(name text)``, in which a plain ``name`` beside it is not repeated."""
    if not isinstance(value, list):
        return value
    value = [decoded(each) for each in value]
    pairs = list(zip(value[::2], value[1::2], strict=False))
    extended = {name[:-1] for name, _ in pairs if isinstance(name, bytes) and name.endswith(b"*")}
    if not extended:
        return value
    told = [
        (name[:-1], unquote_to_bytes(text.split(b"'", 2)[-1])) if name[:-1] in extended else (name, text)
        for name, text in pairs
        if name not in extended
    ]
    return [each for pair in told for each in pair]


@pytest.mark.parametrize(("number", "name"), [*enumerate(SAMPLES, start=1)])
def test_envelope_and_structures(answers, number: int, name: str) -> None:
    a = dissect(SAMPLES[name])
    assert meaning(a.envelope) == meaning(answers[number, b"ENVELOPE"])
    if name != "forwarded_multipart":
        assert structure(a.bodystructure) == meaning(answers[number, b"BODYSTRUCTURE"])
        assert structure(a.body) == meaning(answers[number, b"BODY"])


@pytest.mark.parametrize(("number", "name"), [*enumerate(SAMPLES, start=1)])
def test_sections(answers, number: int, name: str) -> None:
    data = SAMPLES[name]
    summary = unpack(pack(dissect(data)))
    differing = {}
    for item in SECTIONS:
        label = item.removeprefix(b"BODY.PEEK[").removesuffix(b"]").decode()
        path = tuple(int(each) for each in label.split(".") if each.isdigit())
        span = section(summary, path, label.split(".")[-1] if label[-1].isalpha() else "")
        ours = None if span is None else data[span[0] : span[1]]
        theirs = meaning(answers[number, b"BODY[%s]" % label.encode()])
        if ours is None and path[-1:] == (1,):  # Dovecot takes 2.1 for 2 when part 2 has no parts; RFC 9051 does not
            assert theirs in (b"", None, meaning(answers[number, b"BODY[%d]" % path[0]]))
        elif name in CLOSED_INSIDE and theirs == (ours or b"") + b"\r\n":
            continue
        elif (ours or b"") != (theirs or b""):
            differing[label] = (ours, theirs)
    assert differing == {}


def collapsed(value):
    """Dovecot writes runs of white space inside names and subjects as one space."""
    if isinstance(value, list):
        return [collapsed(each) for each in value]
    return value if value is None else b" ".join(value.split())


def test_generated_messages() -> None:
    messages = [Writer(seed).message() for seed in range(150)]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "dovecot"
        home.mkdir()
        Path(name).chmod(0o755)
        theirs = dovecot_imap.fetch(home, messages, ITEMS)
    assert len(theirs) == len(messages) * len(ITEMS)
    for number, data in enumerate(messages, start=1):
        a = dissect(data)
        assert collapsed(meaning(a.envelope)) == collapsed(meaning(theirs[number, b"ENVELOPE"]))
        assert structure(a.bodystructure) == meaning(theirs[number, b"BODYSTRUCTURE"])
        assert structure(a.body) == meaning(theirs[number, b"BODY"])
