"""On well-formed mail, the walk and the standard library's parser read the same message."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone
from email.header import Header
from email.message import EmailMessage, Message
from email.utils import format_datetime
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailboxes.anatomy import base_subject, decode_part, decode_words, dissect, pack, parse_date, section, unpack
from policies.address import AddressError, addresses
from tests.mailboxes.imap_tokens import read_value

SMTP = email.policy.SMTP.clone(refold_source="none")

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))
WORDS = st.text(LETTERS, max_size=40).map(lambda text: " ".join(text.split()))
SEEDS = st.integers(min_value=0, max_value=1 << 32)


class Writer:
    """Writes a made-up message; the same seed gives the same one."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.parts = 0

    def text(self, letters: str, longest: int) -> str:
        return "".join(self.random.choices(letters, k=self.random.randint(1, longest)))

    def address(self) -> str:
        return f"{self.text('abcdef', 8)}.{self.text('xyz', 4)}@{self.text('abc', 6)}.test"

    def leaf(self) -> EmailMessage:
        part = EmailMessage(policy=SMTP)
        if self.random.random() < 0.5:
            lines = [self.text("abcé ù€-.=_<>--\t", 90) for _ in range(self.random.randint(0, 8))]
            kind = self.random.choice(["plain", "html"])
            part.set_content("\n".join(lines), kind, cte=self.random.choice(["base64", "quoted-printable"]))
            return part
        data = self.random.randbytes(self.random.randint(0, 300))
        name = "a" + self.text("abcé ._-", 40) + "z"
        place = self.random.choice(["attachment", "inline"])
        part.set_content(data, "application", "octet-stream", filename=name, disposition=place)
        return part

    def body(self, depth: int = 0) -> EmailMessage:
        kind = self.random.choice(["leaf", "leaf", "mixed", "alternative", "rfc822"]) if depth < 4 else "leaf"
        if kind == "leaf":
            return self.leaf()
        whole = EmailMessage(policy=SMTP)
        if kind == "rfc822":
            inner = self.body(depth + 1)
            inner["Subject"] = "inside"
            whole.set_content(inner)
            return whole
        self.parts += 1
        whole["Content-Type"] = f'multipart/{kind}; boundary="=_{self.parts}=_"'
        whole.set_payload([self.body(depth + 1) for _ in range(self.random.randint(1, 3))])
        return whole

    def message(self) -> bytes:
        whole = self.body()
        whole["Subject"] = " ".join(self.text("abcé€ù?=_", 30) for _ in range(self.random.randint(0, 6)))
        whole["From"] = f'"{self.text("abc ,;<>()", 12)}" <{self.address()}>'
        whole["To"] = ", ".join(self.address() for _ in range(self.random.randint(1, 6)))
        zone = timezone(timedelta(minutes=self.random.randint(-700, 700)))
        whole["Date"] = format_datetime(datetime.fromtimestamp(self.random.randint(0, 1 << 32), zone))
        whole["Message-ID"] = "<1@x.test>"
        if "MIME-Version" not in whole:
            whole["MIME-Version"] = "1.0"
        return whole.as_bytes()


@settings(max_examples=400, deadline=None)
@given(st.text('ab@.,:;<>()"\\ \t', max_size=60))
@example('"":')
def test_any_address_field_is_an_envelope_whose_groups_are_closed(text: str) -> None:
    """Whatever is written, RFC 9051 7.5.2: pairs of NIL ends around what a group holds, strings elsewhere."""
    envelope, _ = read_value(dissect(b"To: " + text.encode() + b"\r\n\r\n").envelope, 0)
    inside = False
    for _name, _route, local, domain in envelope[5] or []:
        if domain is None:
            assert (local is None) is inside
            inside = local is not None
        else:
            assert local is not None
            assert domain
    assert not inside


def messages() -> st.SearchStrategy[bytes]:
    return SEEDS.map(lambda seed: Writer(seed).message())


def leaves_of(message: Message) -> list[Message]:
    return [part for part in message.walk() if not part.is_multipart()]


@settings(max_examples=400)
@given(messages())
def test_structure_and_payloads(data: bytes) -> None:
    theirs = email.message_from_bytes(data, policy=email.policy.compat32)
    ours = dissect(data)
    assert [part.full_type for part in ours.parts] == [part.get_content_type() for part in theirs.walk()]
    containers = [part for part in ours.parts if not part.children]
    for mine, yours in zip(containers, leaves_of(theirs), strict=True):
        body = decode_part(data[mine.body_start : mine.body_end], mine.encoding)
        expected = yours.get_payload(decode=True)
        assert body == expected
    assert ours.problems == frozenset()


@settings(max_examples=200)
@given(messages())
def test_headers_and_facts(data: bytes) -> None:
    theirs = email.message_from_bytes(data, policy=email.policy.default)
    ours = dissect(data)
    assert sorted(ours.values) == sorted({name.lower().encode() for name in theirs})
    assert [str(each) for each in ours.from_addresses] == [each.addr_spec for each in theirs["From"].addresses]
    assert [str(each) for each in ours.listed(b"to").addresses] == [each.addr_spec for each in theirs["To"].addresses]
    assert ours.subject.split() == str(theirs["Subject"]).split()
    assert ours.date is not None
    assert ours.date.epoch == int(theirs["Date"].datetime.timestamp())
    names = {part.get_filename() for part in theirs.walk() if part.get_filename()}
    assert {" ".join(name.split()) for name in names} <= {" ".join(name.split()) for name in ours.file_names}


@settings(max_examples=200)
@given(messages())
def test_each_numbered_part_is_where_the_summary_says(data: bytes) -> None:
    ours = dissect(data)
    summary = unpack(pack(ours))
    structure, _ = read_value(summary.bodystructure, 0)
    for path, size in sizes(structure, ()):
        span = section(summary, path)
        assert span is not None
        assert span[1] - span[0] == size
    assert summary.envelope == ours.envelope


def sizes(structure, path):
    """(part number, size) of each leaf of a BODYSTRUCTURE."""
    if isinstance(structure[0], list):
        children = [each for each in structure if isinstance(each, list)]
        count = next(index for index, each in enumerate(structure) if not isinstance(each, list))
        for number, child in enumerate(children[:count], start=1):
            yield from sizes(child, (*path, number))
        return
    leaf = path if path and path[-1] != 0 else (1,)
    yield leaf, int(structure[6][1:])
    if structure[0].lower() == b"message" and len(structure) > 9 and isinstance(structure[8], list):
        inner = structure[8]
        if isinstance(inner[0], list):
            yield from sizes(inner, leaf)
        else:
            yield from sizes(inner, (*leaf, 1))


@given(st.lists(WORDS, max_size=4))
def test_encoded_words_come_back(words: list[str]) -> None:
    value = Header(" ".join(words), "utf-8").encode(linesep="\r\n").encode()
    assert decode_words(value).split() == " ".join(words).split()


@given(st.integers(0, 1 << 33), st.integers(-720, 840))
def test_dates_come_back(epoch: int, offset: int) -> None:
    moment = datetime.fromtimestamp(epoch, timezone(timedelta(minutes=offset)))
    assert parse_date(format_datetime(moment).encode()) == (epoch, offset)
    assert parse_date(format_datetime(moment.astimezone(UTC), usegmt=True).encode()) == (epoch, 0)


SUBJECTS = st.lists(
    st.sampled_from(["Re:", "re :", "Fwd:", "[liste]", "[a] re:", "(fwd)", "[fwd:", "]", "x", " ", "Sujet"]), max_size=9
).map("".join)


@given(SUBJECTS)
def test_a_base_subject_is_its_own(subject: str) -> None:
    """What base_subject removed does not come back, whatever was put before it."""
    once = base_subject(subject)
    again = base_subject(once.text)
    assert again.text == once.text or once.text.startswith("[")
    assert base_subject("Re: " + subject).text == once.text or not once.text
    assert base_subject("Re: " + subject).reply


@given(
    st.lists(
        st.sampled_from([b"a@b.test", b"<", b">", b",", b"(", b")", b'"', b" ", b":", b";", b"x"]), max_size=14
    ).map(b"".join)
)
def test_the_envelope_shows_the_addresses_policies_judged(value: bytes) -> None:
    """When policies read a list, IMAP shows the same addresses in the same order."""
    a = dissect(b"From: " + value + b"\r\n\r\n")
    try:
        judged = addresses(value)
    except AddressError:
        return
    shown, _ = read_value(a.envelope, 0)
    listed = [entry for entry in shown[2] or () if entry[3] is not None]
    assert [(entry[2].decode(), entry[3].decode()) for entry in listed] == [
        (each.local, each.domain) for each in judged
    ]
