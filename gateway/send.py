"""From a patient and a document to a whole conformant message: what practice software needs to know of mail, which is nothing.

A CDA becomes ``IHE_XDM.zip`` with its metadata, the subject of ECO.2.1.3 and a PDF copy beside it (ECO.2.1.5); a PDF is
attached under the name of ECO.2.1.6; a text is the body; for a patient, or whoever asks for a CDA, both go inside one. The twelve HPRIM lines open the body unless the document says who
the patient is by itself and no recipient asks for them; Apicrypt users also get them as a ``.hpr`` file. X-MSS fields and the
request for a reading receipt are written.
Promise: what is built has passed :func:`hprim.check.check_message` with the header in it, so an identity that disagrees with
the document never leaves; the same arguments give the same message. Failure: :class:`gateway.identity.BadIdentity`,
:class:`BadDocument`, :class:`WouldBeRefused`; their texts name what is missing and no value.
Sources: ECO.2.1.2 to 2.1.6, ECO.2.4.1 to 2.4.3, TOU-B01, TOU-C03.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.policy import SMTP

from gateway.enclosing import enclosed
from gateway.identity import BadIdentity, Identity, Unsendable
from gateway.medical.question import PartBytes, Question, ReaderOptions, Reading
from gateway.medical.worker import read
from hprim import cda, compose, ins
from hprim.check import check_file
from hprim.compose import ComposeError, HeaderFields, SubmissionSet
from hprim.dates import PartialDate, read_compact
from hprim.detect import detect
from hprim.findings import TEST_SPACE, Findings
from hprim.model import Document, Format, Place, Traits
from hprim.names import Level, compare_surname
from hprim.oid import unregistered
from policies import patient
from policies.decision import Decision
from policies.patient import PatientFacts, PatientSettings
from policies.values import Address, Door

LARGEST_TEXT = 1 << 20
_BEFORE_PDF = b"\xef\xbb\xbf \t\r\n"


class BadDocument(Unsendable):
    """The document cannot be sent as it is."""


class WouldBeRefused(ValueError):
    """The rules of this operator refuse the message; ``decisions``, the gravest first, say why and name no patient."""

    def __init__(self, decisions: tuple[Decision, ...]) -> None:
        super().__init__(decisions[0].rule.name)
        self.decisions = decisions


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One sending. ``identity`` is None when the document itself says who it is about. ``sender_name`` and
    ``recipient_names`` are display names; ``label`` what the document is, for subject and file names; ``nil`` the product
    number of X-MSS-NIL; ``copy`` puts a PDF beside a CDA; ``as_cda`` puts a PDF or a text inside one whoever it is for;
    ``sender_type`` is the type of the sending mailbox, by which the configuration may judge."""

    sender: Address
    recipients: tuple[Address, ...]
    identity: Identity | None
    document: bytes
    document_name: str = ""
    sender_name: str = ""
    recipient_names: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    text: str = ""
    nil: str = ""
    receipt: bool = True
    closing: bool = False
    copy: bool = True
    reply_to: Address | None = None
    sender_type: str = ""
    as_cda: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is not in the document: when, unique words, our host, how patients are judged, and the recipient domains, with
    all below them, that get a CDA."""

    now: datetime
    token: str
    hostname: str
    policy: PatientSettings = patient.DEFAULT
    options: ReaderOptions = field(default_factory=ReaderOptions)
    cda_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A message ready for submission, its Message-ID with brackets, and what the reader found in it."""

    content: bytes
    message_id: str
    reading: Reading


def build(outgoing: Outgoing, around: Circumstances) -> Built:
    """The whole message. :class:`BadDocument` when the document cannot be read or is not about this patient."""
    kind = detect(outgoing.document, outgoing.document_name)
    if kind is Format.CDA:
        return _cda_message(outgoing, around)
    if kind is Format.PDF:
        return _pdf_message(outgoing, around)
    if kind in (Format.TEXT, Format.HPRIM_MEDECINS):
        return _text_message(outgoing, around)
    raise _unexpected()


def _unexpected() -> BadDocument:
    return BadDocument("un document CDA, un PDF ou un texte est attendu", "a CDA document, a PDF or a text is expected")


def _cda_message(outgoing: Outgoing, around: Circumstances) -> Built:
    document = cda.read(outgoing.document, Place(), Findings(TEST_SPACE), around.now.date())
    if not document.patients:
        raise BadDocument("ce document CDA ne nomme aucun patient", "this CDA document names no patient")
    _same_sex(document, outgoing.identity)
    outgoing = _as_called(outgoing, document.patients[0].traits)
    traits, label = document.patients[0].traits, outgoing.label or document.label or document.title or "Document"
    try:
        archive = compose.xdm_archive(
            [outgoing.document], _submission(outgoing, around, label), today=around.now.date()
        )
    except ComposeError as problem:
        raise _of_compose(BadDocument, problem) from None
    clear = _in_clear(outgoing)
    subject = label if clear else compose.subject(label, traits, replaces=bool(document.replaces))
    letter = _Letter(outgoing, around, subject, label)
    letter.attach("IHE_XDM.zip", archive, "application", "zip")
    if outgoing.copy:
        letter.attach(*_copy(outgoing, around, document, label), "application", "pdf")
    if outgoing.closing:
        letter.headers["X-MSS-MES"] = "FIN"
    text = outgoing.text or f"Veuillez trouver ci-joint : {label}."
    return letter.finish(text, with_header=_header_asked(outgoing, around))


def _copy(outgoing: Outgoing, around: Circumstances, document: Document, label: str) -> tuple[str, bytes]:
    """The PDF beside the archive, and its name (ECO.2.1.5, ECO.2.1.6, MSS-111)."""
    from gateway.medical.paper import TooLong, copy_of

    act = read_compact(document.details.get("act", "") or document.written)
    day = act.first_day() if act else around.now.date()
    number = outgoing.identity.file_number if outgoing.identity else ""
    try:
        content = copy_of(outgoing.document, around.now)
    except TooLong:
        raise BadDocument(
            "il est trop long pour une copie PDF ; --no-pdf l’envoie sans copie",
            "it is too long for a PDF copy; --no-pdf sends it without one",
        ) from None
    return compose.pdf_name(day, label, document.patients[0].traits, number), content


def _cda_asked(outgoing: Outgoing, around: Circumstances) -> bool:
    if outgoing.as_cda or patient.to_patients(outgoing.recipients, around.policy):
        return True
    return any(patient.under(one.domain, around.cda_domains) for one in outgoing.recipients)


def _enclosed_message(
    outgoing: Outgoing, around: Circumstances, content: bytes, media_type: str, called: Outgoing | None = None
) -> Built:
    """``called``: the same under the name that the content gives the patient, which the header of the message repeats."""
    label = outgoing.label or "Document"
    to_patient = bool(patient.to_patients(outgoing.recipients, around.policy))
    try:
        document = enclosed(content, media_type, known(outgoing), label, around.now, to_patient=to_patient)
    except ComposeError as problem:
        raise _of_compose(BadIdentity, problem) from None
    return _cda_message(replace(called or outgoing, document=document, label=label), around)


def _pdf_message(outgoing: Outgoing, around: Circumstances) -> Built:
    if _cda_asked(outgoing, around):
        return _enclosed_message(outgoing, around, outgoing.document.lstrip(_BEFORE_PDF), "application/pdf")
    label = outgoing.label or "Document"
    letter = _Letter(outgoing, around, label, label)
    # Under the name of the header: another would look like a stranger's.
    traits = replace(traits_of(known(outgoing)), birth_surname="")
    name = compose.pdf_name(around.now.date(), label, traits, known(outgoing).file_number)
    letter.attach(name, outgoing.document, "application", "pdf")
    text = outgoing.text or f"{label} : le document est joint à ce message, en PDF."
    return letter.finish(text, with_header=True)


def _text_message(outgoing: Outgoing, around: Circumstances) -> Built:
    from hprim.charset import decode

    if len(outgoing.document) > LARGEST_TEXT:
        raise BadDocument("un texte d’au plus 1 Mio est attendu", "a text of at most 1 MiB is expected")
    text = decode(outgoing.document, "").text
    if "\x00" in text or text.lstrip().startswith("{\\rtf") or b"%PDF-" in outgoing.document[:1_024]:
        fr, en = "ce fichier n’est pas un texte lisible", "this file is no readable text"
        raise BadDocument(
            f"{fr} ; un document CDA, un PDF ou un texte est attendu",
            f"{en}; a CDA document, a PDF or a text is expected",
        )
    label = outgoing.label or "Document"
    own = _own_header(outgoing, around)
    letter = _Letter(_as_called(outgoing, own) if own else outgoing, around, label, label)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if _cda_asked(outgoing, around):
        letter.agrees(lines)
        return _enclosed_message(outgoing, around, lines.encode("utf-8"), "text/plain", letter.outgoing)
    return letter.finish(text, with_header=True) if own is None else letter.finish_own(lines)


def _own_header(outgoing: Outgoing, around: Circumstances) -> Traits | None:
    """Whom a text that is a whole HPRIM file already is about; a second header before its own would hide it."""
    told = check_file(outgoing.document, "texte", profile=TEST_SPACE, today=around.now.date())
    heads = [one for one in told.documents if one.format is Format.HPRIM_MEDECINS and one.patients]
    return heads[0].patients[0].traits if heads and "HID-004" not in told.rules else None


def _as_called(outgoing: Outgoing, told: Traits) -> Outgoing:
    """The patient under the name the document calls him by: birth and use may differ, and one header holds one name."""
    one = outgoing.identity
    if one is None or not one.birth_surname or _is_called(one.surname, told):
        return outgoing
    if not _is_called(one.birth_surname, told):
        return outgoing
    return replace(outgoing, identity=replace(one, surname=one.birth_surname))


def _is_called(surname: str, told: Traits) -> bool:
    names = (told.birth_surname, told.surname, told.used_surname)
    return any(compare_surname(surname, name) <= Level.NOTE for name in names if name)


def _of_compose(kind: type[Unsendable], problem: ComposeError) -> Unsendable:
    """``french / english`` in one text."""
    french, _, english = str(problem).partition(" / ")
    return kind(french, english or french)


def _same_sex(document: Document, identity: Identity | None) -> None:
    """Sex has no line in the header: what was given is compared with each patient the document names."""
    given = identity.sex if identity else ""
    if any(given and one.traits.sex and one.traits.sex != given for one in document.patients):
        raise BadDocument(
            "[HID-073] le document indique un autre sexe que l’identité donnée",
            "[HID-073] the document tells another sex than the identity given",
        )


def _same_number(reading: Reading, identity: Identity | None) -> None:
    """The rest of the identity is compared by the reader, from the header lines; a number has no line there."""
    if identity is None or not identity.ins or not reading.ins:
        return
    given = ins.clean(identity.ins)[:13]
    if all(number[:13] != given for _, number in reading.ins):
        raise BadDocument(
            "[HID-074] le document porte un autre matricule INS que l’identité donnée",
            "[HID-074] the document bears another INS number than the identity given",
        )


def build_dropped(outgoing: Outgoing, around: Circumstances) -> Built:
    """A file that says itself who it is about: a whole HPRIM text, or a CDA. ``outgoing.identity`` is not looked at."""
    from hprim.charset import decode

    kind = detect(outgoing.document, outgoing.document_name)
    if kind is Format.CDA:
        _someone(
            outgoing, "un CDA ne dit pas à qui il va : donnez --to", "a CDA does not tell whom it is for: give --to"
        )
        return _cda_message(replace(outgoing, identity=_identity_of_cda(outgoing.document, around)), around)
    if kind not in (Format.TEXT, Format.PDF):
        raise _unexpected()
    if kind is Format.PDF:
        raise BadDocument(
            "un PDF ne dit pas de qui il parle : donnez --patient ou, dans un dossier, un fichier du même nom en .json",
            "a PDF does not tell whom it is about: give --patient or, in a folder, a file of the same name in .json",
        )
    if len(outgoing.document) > LARGEST_TEXT:
        raise BadDocument("un texte d’au plus 1 Mio est attendu", "a text of at most 1 MiB is expected")
    _someone(
        outgoing,
        "la ligne 12 de l’en-tête ne donne aucune adresse de messagerie",
        "line 12 of the header gives no mail address",
    )
    label = outgoing.label or "Document"
    asked = replace(around, options=replace(around.options, header_required=True))
    text = decode(outgoing.document, "").text.replace("\r\n", "\n").replace("\r", "\n")
    return _Letter(outgoing, asked, label, label).finish_as(text, text)


def _someone(outgoing: Outgoing, french: str, english: str) -> None:
    """Somebody to send to. :class:`BadDocument`, in these words, when there is nobody."""
    if not outgoing.recipients:
        raise BadDocument(french, english)


def receivers_of(document: bytes, name: str = "") -> tuple[str, ...]:
    """Addresses written in line 12 of an HPRIM header; none for anything else."""
    from hprim.charset import decode

    if detect(document, name) is not Format.TEXT:
        return ()
    lines = decode(document[:16_384], "").text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:13]
    return tuple(word.strip("<>;,") for word in lines[11].split() if "@" in word) if len(lines) > 11 else ()


def _identity_of_cda(data: bytes, around: Circumstances) -> Identity:
    document = cda.read(data, Place(), Findings(TEST_SPACE), around.now.date())
    if not document.patients:
        raise BadDocument("ce document CDA ne nomme aucun patient", "this CDA document names no patient")
    traits = document.patients[0].traits
    born = traits.birth_date
    if (
        born is None
        or born.month is None
        or born.day is None
        or not traits.any_surname()
        or not traits.any_first_name()
    ):
        raise BadDocument(
            "ce document CDA ne donne pas nom, prénom et date de naissance complète",
            "this CDA document does not tell surname, first name and whole birth date",
        )
    return Identity(traits.any_surname(), traits.any_first_name(), date(born.year, born.month, born.day))


def _submission(outgoing: Outgoing, around: Circumstances, label: str) -> SubmissionSet:
    source = unregistered(around.hostname.encode())
    unique = unregistered(f"{source} {around.now.isoformat()} {around.token}".encode())
    return SubmissionSet(around.now, unique, source, label, outgoing.sender_name or str(outgoing.sender))


def _header_asked(outgoing: Outgoing, around: Circumstances) -> bool:
    return patient.header_required(outgoing.recipients, outgoing.sender_type, around.policy)


def _in_clear(outgoing: Outgoing) -> bool:
    """Apicrypt's own addresses: the subject travels in clear, so it names nobody (HID-079)."""
    return any(
        patient.under(one.domain, ("apicrypt.org",)) and one.domain != "interop-mssante.apicrypt.org"
        for one in outgoing.recipients
    )


def traits_of(identity: Identity) -> Traits:
    """The names and the birth date, as documents tell them."""
    born = identity.birth_date
    return Traits(
        birth_surname=identity.birth_surname,
        surname=identity.surname,
        first_name=identity.first_name,
        birth_date=PartialDate(born.year, born.month, born.day),
    )


def known(outgoing: Outgoing) -> Identity:
    """The identity given. :class:`BadIdentity` when there is none."""
    if outgoing.identity is None:
        raise BadIdentity("l’identité du patient manque", "the patient's identity is missing")
    return outgoing.identity


def header_fields(outgoing: Outgoing, around: Circumstances) -> HeaderFields:
    """The twelve lines for this sending."""
    one, receiver = known(outgoing), outgoing.recipients[0]
    return HeaderFields(
        surname=one.surname,
        first_name=one.first_name,
        birth_date=one.birth_date,
        patient_code=one.patient_code,
        address=one.address,
        postcode=one.postcode,
        city=one.city,
        nir=one.nir,
        file_number=one.file_number,
        file_date=one.file_date or around.now.date(),
        sender=outgoing.sender_name or outgoing.sender.local,
        receiver=outgoing.recipient_names.get(receiver.key, "") or receiver.local,
    )


@dataclass(slots=True)
class _Letter:
    """The message being put together."""

    outgoing: Outgoing
    around: Circumstances
    subject: str
    label: str
    headers: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes, str, str]] = field(default_factory=list)

    def attach(self, name: str, data: bytes, main: str, sub: str) -> None:
        self.files.append((name, data, main, sub))

    def finish(self, text: str, *, with_header: bool) -> Built:
        """Check it with its header, add what the check computed, and give the octets."""
        headed = self._headed(text)
        return self.finish_as(headed, headed if with_header else text)

    def finish_own(self, text: str) -> Built:
        """A text with a header of its own goes as it is, once that header agrees with the identity given."""
        self._checked(self._question(self._headed(text)))
        return self.finish_as(text, text)

    def agrees(self, text: str) -> None:
        """Judge a text beside the identity given as if it went to ourselves: inside a CDA only a whole header of its own is read."""
        alone = replace(self, outgoing=replace(self.outgoing, recipients=(self.outgoing.sender,)))
        alone._checked(alone._question(alone._headed(text)))

    def _headed(self, text: str) -> str:
        try:
            return compose.hprim_text(header_fields(self.outgoing, self.around), text)
        except ComposeError as problem:
            raise _of_compose(BadIdentity, problem) from None

    def finish_as(self, headed: str, body: str) -> Built:
        """``headed`` is what is checked, ``body`` what is sent."""
        reading = self._checked(self._question(headed))
        if _header_asked(self.outgoing, self.around):
            data, _ = compose.latin_bytes(headed)
            self.attach("message.hpr", data, "application", "octet-stream")
        if reading.codes:
            self.headers["X-MSS-CODECDA"] = ",".join(reading.codes)
            self.headers["X-MSS-INS"] = "O" if reading.qualified else "N"
        return Built(self._octets(body), self._message_id(), reading)

    def _checked(self, question: Question) -> Reading:
        """Judge the message with its header, whether or not the header will be sent."""
        reading = read(question)
        _same_number(reading, self.outgoing.identity)
        facts = PatientFacts(
            Door.SUBMISSION,
            reading.findings,
            self.outgoing.recipients,
            self.outgoing.sender.domain,
            self.outgoing.sender_type,
            has_header=True,
            has_cda=reading.has_cda,
            attachments=reading.attachments,
            body_length=reading.body_length,
            qualified=reading.qualified,
            closing=self.headers.get("X-MSS-MES", ""),
            header_asked=self.around.options.header_required,
        )
        decisions = patient.judge(facts, self.around.policy)
        if not decisions[0].accepted:
            raise WouldBeRefused(decisions)
        return reading

    def _question(self, headed: str) -> Question:
        parts = [PartBytes("", "text/plain", "utf-8", headed.encode("utf-8"), is_body=True)]
        parts += [PartBytes(name, f"{main}/{sub}", "", data, is_body=False) for name, data, main, sub in self.files]
        recipients = tuple(self._reader_address(address) for address in self.outgoing.recipients)
        headers = {"X-MSS-NIL": self.outgoing.nil or "-", **self.headers}
        return Question(tuple(parts), self.subject, recipients, headers, self.around.options, self.around.now.date())

    def _reader_address(self, address: Address) -> str:
        domain = "patient.mssante.fr" if address.domain in self.around.policy.patient_domains else address.domain
        return f"{address.local}@{domain}"

    def _message_id(self) -> str:
        return f"<{self.around.token}@{self.around.hostname}>"

    def _octets(self, body: str) -> bytes:
        outgoing = self.outgoing
        message = EmailMessage(policy=SMTP)
        message["From"] = _shown(outgoing.sender, outgoing.sender_name)
        message["To"] = [_shown(one, outgoing.recipient_names.get(one.key, "")) for one in outgoing.recipients]
        message["Subject"] = " ".join(self.subject.split())
        message["Date"] = self.around.now
        message["Message-ID"] = self._message_id()
        if outgoing.reply_to is not None:
            message["Reply-To"] = str(outgoing.reply_to)
        if outgoing.receipt:
            message["Disposition-Notification-To"] = str(outgoing.sender)
        if outgoing.nil:
            message["X-MSS-NIL"] = " ".join(outgoing.nil.split())
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(body.replace("\r\n", "\n"), cte="base64" if len(body) > 100_000 else "quoted-printable")
        for name, data, main, sub in self.files:
            message.add_attachment(data, main, sub, filename=name)
        return message.as_bytes()


def _shown(address: Address, name: str) -> MailAddress:
    return MailAddress(compose.display_name(name) if name else "", address.local, address.domain)


def recipients_of(written: Sequence[str]) -> tuple[Address, ...]:
    """Addresses as given on a command line. ``policies.address.AddressError`` for one that is not an address."""
    from policies.address import parse

    return tuple(dict.fromkeys(parse(text) for text in written))
