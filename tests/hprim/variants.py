"""Many forms of the same honest document, and many ways to put somebody else into a message. Generated, nothing is read from disk."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence

from hprim.model import Part, Report
from tests.hprim.builders import (
    ARC,
    DOC,
    META,
    NUMBER,
    OTHER_NUMBER,
    attached,
    body,
    cda,
    hxml,
    hxml_patient,
    mail,
    pid,
    rezip,
    sante,
    xdm,
    xdm_mail,
)
from tests.hprim.examples import V1, text, v1

Named = Iterator[tuple[str, bytes]]
SELF = cda()
OTHER = cda(
    ids=((ARC + "8", OTHER_NUMBER), ("1.2.3.4", "IPP77")),
    surname="DURAND",
    first="PAULE",
    listed="PAULE",
    oid="1.2.3.99.9",
)


# honest CDA documents


def encodings(document: str) -> Named:
    """The same document in every charset a sender may write, and as XML may spell it."""
    yield "utf-8-bom", b"\xef\xbb\xbf" + document.encode()
    for codec, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        wide = document.replace("UTF-8", "UTF-16").encode(codec)
        yield f"{codec}-bom", mark + wide
        yield f"{codec}-bare", wide
    accented = document.replace("Compte rendu", "Compte rendu d'été")
    for said, codec in [
        *(("ISO-8859-1", "latin-1"), ("iso_8859-1", "latin-1"), ("ISO8859-1", "latin-1"), ("latin-1", "latin-1")),
        *(("ISO-8859-15", "iso8859-15"), ("Windows-1252", "cp1252"), ("cp1252", "cp1252"), ("utf8", "utf-8")),
    ]:
        yield f"declared-{said}", accented.replace("UTF-8", said).encode(codec)
    yield "declared-us-ascii", document.replace("UTF-8", "US-ASCII").encode()
    yield "undeclared", document.partition("?>")[2].encode()
    yield "no-encoding", document.replace(' encoding="UTF-8"', "").encode()
    yield "single-quotes", document.replace('version="1.0" encoding="UTF-8"', "version='1.0' encoding='UTF-8'").encode()
    yield "standalone", document.replace('"UTF-8"', '"UTF-8" standalone="yes"').encode()


def spellings(document: str) -> Named:
    """The same document as other programs would write its markup."""
    opening = "?><ClinicalDocument"
    yield "blanks-first", ("\r\n\t " + document).encode()
    for name, end in (("crlf", "\r\n"), ("lf", "\n"), ("cr", "\r")):
        yield f"lines-{name}", document.replace("><", f">{end}  <").encode()
    yield "style-sheet", document.replace(opening, f'?><?xml-stylesheet href="http://x.test/a.xsl"{opening}').encode()
    yield "comment", document.replace(opening, "?><!-- <ClinicalDocument> --><ClinicalDocument").encode()
    yield "long-comment", document.replace(opening, f"?><!--{'x' * 100_000}--><ClinicalDocument").encode()
    yield "long-instruction", document.replace(opening, f"?><?a {'x' * 100_000}{opening}").encode()
    prefixed = re.sub(r"<(/?)([A-Za-z])", r"<\1cda:\2", document).replace("xmlns=", "xmlns:cda=")
    yield "prefixed", prefixed.encode()
    schema = (
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:hl7-org:v3 CDA.xsd"'
        ' xmlns:sdtc="urn:hl7-org:sdtc"'
    )
    yield "namespaces", document.replace("<ClinicalDocument", f"<ClinicalDocument{schema}").encode()
    yield "comment-in-name", document.replace(">LEFEVRE<", ">LEF<!-- x -->EVRE<").encode()
    yield "cdata", document.replace(">LEFEVRE<", "><![CDATA[LEFEVRE]]><").encode()
    yield "character-references", document.replace(">LEFEVRE<", ">&#76;EF&#x45;VRE<").encode()
    yield "blanks-in-name", document.replace(">LEFEVRE<", ">\n   LEFEVRE\n <").encode()
    for element in (
        "title",
        "setId",
        "versionNumber",
        "languageCode",
        "confidentialityCode",
        "effectiveTime",
        "realmCode",
    ):
        less = re.sub(rf"<{element}\b[^>]*/>|<{element}\b.*?</{element}>", "", document, count=1)
        yield f"without-{element}", less.encode()


def patients() -> Named:
    """Other identities and other bodies, each whole."""
    ins, ipp = (ARC + "8", NUMBER), ("1.2.3.4", "IPP42")
    social = (ARC + "13", OTHER_NUMBER)
    family, given = '<family qualifier="BR">LEFEVRE</family>', '<given qualifier="BR">ANDREE</given>'
    several = (
        f'<name>{family}<family qualifier="SP">MARTIN</family>{given}<given>ANDREE</given><given>MARIE</given></name>'
    )
    relative = (
        "<guardian><guardianPerson><name><family>DURAND</family><given>PAUL</given></name></guardianPerson></guardian>"
    )
    level_one = SELF.partition(b"<component>")[0] + (
        b'<component><nonXMLBody><text mediaType="application/pdf" representation="B64">'
        + base64.b64encode(b"%PDF-1.4" + bytes(2_000))
        + b"</text></nonXMLBody></component></ClinicalDocument>"
    )
    yield "level-one", level_one
    yield "waiting-number", cda(ids=((ARC + "9", NUMBER), ipp))
    yield "parents-social-number", cda(ids=(ins, social, ipp))
    yield "ins-alone", cda(ids=(ins,))
    yield "local-number-alone", cda(ids=(ipp,))
    yield "name-in-use", cda(used="MARTIN")
    yield "names-of-2022", cda(names=several, template="2022.01")
    yield "born-with-hour", cda(born="19610214103000+0100")
    yield "born-in-a-month", cda(born="196102")
    yield "born-in-a-year", cda(born="1961")
    yield "lunar", cda(born="19615000")
    yield "short-names", cda(surname="LI", first="YU", listed="YU")
    yield "accents", cda(surname="D'HÉRICOURT-LŒUILLET", first="Zoé", listed="Zoé Ève")
    yield "another-script", cda(surname="\u0645\u0631\u064a\u0636")
    yield "guardian", cda(more=relative)
    yield "own-address", cda(telecom=f'<telecom value="mailto:{NUMBER}@patient.mssante.fr"/>')
    yield "no-birth-place", cda(county="")
    yield "born-abroad", cda(county="99351")
    yield "undefined-sex", cda(sex="UN", ids=(ipp,))
    yield "another-kind", cda(code="11488-4", label="Consultation")


def showing_itself(document: bytes, templates: int = 0) -> bytes:
    """The document inside the style sheet that shows it, after its templates or alone."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet type="text/xsl" href="#"?>'
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:data="urn:asip-sante:ci-sis">'
        + '<xsl:template name="x">y</xsl:template>' * templates
        + f"<data:Contenu>{document.decode().partition('?>')[2]}</data:Contenu></xsl:stylesheet>"
    ).encode()


def documents() -> Named:
    """Every honest document."""
    yield "shows-itself", showing_itself(SELF)
    yield "shows-itself-at-the-end", showing_itself(SELF, 3_000)
    for make in (encodings, spellings):
        yield from make(SELF.decode())
    yield from patients()


# honest archives

Members = Mapping[str, bytes]


def members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return {name: source.read(name) for name in source.namelist()}


WHOLE = members(xdm())
HASH, SIZE = hashlib.sha1(WHOLE[DOC]).hexdigest(), len(WHOLE[DOC])


def zipped(
    held: Members, method: int = zipfile.ZIP_DEFLATED, *, folders: Sequence[str] = (), streamed: bool = False
) -> bytes:
    out = io.BytesIO()

    class Pipe:
        """Cannot go back: sizes come after the content, in data descriptors."""

        def write(self, data: bytes) -> int:
            return out.write(data)

        def flush(self) -> None:
            return

    target: object = Pipe() if streamed else out
    with zipfile.ZipFile(target, "w", method) as archive:  # type: ignore[call-overload]
        for name in folders:
            archive.writestr(name, b"")
        for name, data in held.items():
            archive.writestr(name, data)
    return out.getvalue()


def renamed(change: Callable[[str], str]) -> dict[str, bytes]:
    return {change(name): data for name, data in WHOLE.items()}


def described(change: Callable[[str], str]) -> bytes:
    """The archive with other metadata."""
    return zipped({**WHOLE, META: change(WHOLE[META].decode()).encode()})


def without_slot(name: str) -> bytes:
    return described(lambda text: re.sub(rf'<Slot name="{name}">.*?</Slot>', "", text))


def layouts() -> Named:
    """The same archive as other programs would pack it."""
    yield "stored", zipped(WHOLE, zipfile.ZIP_STORED)
    yield "streamed", zipped(WHOLE, streamed=True)
    yield "streamed-stored", zipped(WHOLE, zipfile.ZIP_STORED, streamed=True)
    yield "folders", zipped(WHOLE, folders=("IHE_XDM/", "IHE_XDM/SUBSET01/"))
    yield "lower-case", zipped(renamed(str.lower))
    yield "upper-case", zipped(renamed(str.upper))
    yield "subset-00", zipped(renamed(lambda name: name.replace("SUBSET01", "SUBSET00")))
    yield "other-folder", zipped(renamed(lambda name: name.replace("IHE_XDM/SUBSET01", "XDM/DOSSIER")))
    yield "flat", zipped(renamed(lambda name: name.rpartition("/")[2]))
    yield "in-a-folder", zipped(renamed(lambda name: f"export/{name}"))
    yield "dot-slash", zipped(renamed(lambda name: f"./{name}"))
    yield "backslashes", zipped(WHOLE).replace(b"IHE_XDM/SUBSET01/", b"IHE_XDM\\SUBSET01\\")
    for lost in ("INDEX.HTM", "README.TXT"):
        yield f"without-{lost}", zipped({name: data for name, data in WHOLE.items() if name != lost})
    yield "metadata-last", zipped(dict(sorted(WHOLE.items(), reverse=True)))
    yield (
        "mac",
        zipped({**WHOLE, "__MACOSX/IHE_XDM/._DOC0001.XML": b"\x00\x05\x16\x07" + bytes(90), ".DS_Store": bytes(9)}),
    )
    yield "accents", zipped({**WHOLE, "IHE_XDM/SUBSET01/Étude.TXT": "Étude jointe.\r\n".encode()})
    yield (
        "style-sheet",
        zipped({**WHOLE, "IHE_XDM/CDA.XSL": b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform"/>'}),
    )
    speaking = (
        b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform"><!-- of a <ClinicalDocument> -->'
        b"<x:template match='/'><x:text><![CDATA[<cda:ClinicalDocument >]]></x:text></x:template></x:stylesheet>"
    )
    yield "style-sheet-that-speaks-of-documents", zipped({**WHOLE, "IHE_XDM/CDA.XSL": speaking})
    yield "same-patient-in-hprim", zipped({**WHOLE, "IHE_XDM/SUBSET01/A.HPR": v1()})
    yield (
        "two-subsets",
        zipped({**WHOLE, **{n.replace("SUBSET01", "SUBSET02"): d for n, d in WHOLE.items() if "/" in n}}),
    )
    yield "two-documents", xdm(SELF, cda(oid="1.2.3.99.2"))
    yield "trailing-octets", zipped(WHOLE) + b"\r\n"
    yield "sixty-four-bits", _sixty_four()
    yield "dos-and-times", _dos()


def _sixty_four() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in WHOLE.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                file.write(data)
    return out.getvalue()


def _dos() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = b"fait par un logiciel"
        for name, data in WHOLE.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.compress_type = 0, zipfile.ZIP_DEFLATED
            entry.extra = struct.pack("<HHBl", 0x5455, 5, 1, 0)
            archive.writestr(entry, data)
    return out.getvalue()


def metadata() -> Named:
    """The same metadata as other programs would write them."""
    rim = r"<(/?)(Registry|Extrinsic|Slot|Value|Name|Localized|Classification|External|Association)"
    yield (
        "prefixes",
        described(lambda t: re.sub(rim, r"<\1rim:\2", t).replace(' xmlns="urn:oasis', ' xmlns:rim="urn:oasis')),
    )
    yield (
        "provide-and-register",
        described(
            lambda t: (
                t.replace("?>\n", '?>\n<p:ProvideAndRegister xmlns:p="urn:ihe:iti:xds-b:2007">', 1)
                + "</p:ProvideAndRegister>"
            )
        ),
    )
    yield "bom", zipped({**WHOLE, META: b"\xef\xbb\xbf" + WHOLE[META]})
    yield "latin-1", described(lambda t: t.replace("UTF-8", "ISO-8859-1"))
    yield "hash-in-capitals", described(lambda t: t.replace(HASH, HASH.upper()))
    yield "sha-256", described(lambda t: t.replace(HASH, hashlib.sha256(WHOLE[DOC]).hexdigest()))
    yield "hash-in-base64", described(lambda t: t.replace(HASH, base64.b64encode(bytes.fromhex(HASH)).decode()))
    for name in ("size", "sourcePatientId", "sourcePatientInfo", "languageCode", "creationTime"):
        yield f"without-{name}", without_slot(name)
    uri = "<Value>DOC0001.XML</Value>"
    for name, written in [
        ("dot", "./DOC0001.XML"),
        ("lower-case", "doc0001.xml"),
        ("whole", "IHE_XDM/SUBSET01/DOC0001.XML"),
        ("backslashes", "IHE_XDM\\SUBSET01\\DOC0001.XML"),
        ("escaped", "DOC%30001.XML"),
    ]:
        yield f"uri-{name}", described(lambda t, written=written: t.replace(uri, f"<Value>{written}</Value>"))
    yield "uri-in-pieces", described(lambda t: t.replace(uri, "<Value>1|DOC000</Value><Value>2|1.XML</Value>"))
    folder = '<RegistryPackage id="Folder"><Name><LocalizedString value="f"/></Name></RegistryPackage>'
    yield "a-folder", described(lambda t: t.replace("</RegistryPackage>", f"</RegistryPackage>{folder}"))
    yield (
        "two-sets",
        described(
            lambda t: t.replace(
                "</RegistryPackage>",
                "</RegistryPackage>" + _found(r"<RegistryPackage.*?</RegistryPackage>", t).replace("Set01", "Set02"),
            )
        ),
    )
    yield "other-slot-name", described(lambda t: t.replace("sourcePatientInfo", "SourcePatientInfo"))
    yield "identifier-type", described(lambda t: t.replace("&amp;ISO^NH", "&amp;ISO^INS-NIR"))
    yield "identifier-urn", described(lambda t: t.replace("&amp;1.2.250", "&amp;urn:oid:1.2.250"))
    more = f"<Value>PID-3|{NUMBER}^^^&amp;{ARC}8&amp;ISO~IPP42^^^&amp;1.2.3.4&amp;ISO</Value>"
    yield "identifiers-in-pid-3", described(lambda t: t.replace("<Value>PID-5|", f"{more}<Value>PID-5|"))
    name = "<Value>PID-5|LEFEVRE^ANDREE^ANDREE MARIE^^^^L</Value>"
    yield "name-in-use-first", described(lambda t: _put(t, name, f"<Value>PID-5|MARTIN^ANDREE^^^^^D</Value>{name}"))
    yield "birth-date-with-hyphens", described(lambda t: _put(t, "PID-7|19610214", "PID-7|1961-02-14"))
    yield "fields-in-one-value", described(lambda t: _put(t, "</Value><Value>PID-7", "&#10;PID-7"))


def _put(text: str, before: str, after: str) -> str:
    assert before in text
    return text.replace(before, after)


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    assert found is not None
    return found[0]


def archives() -> Named:
    """Every honest archive."""
    yield from layouts()
    yield from metadata()


# honest HPRIM texts


def lines(changes: Mapping[int, str] | None = None) -> list[str]:
    """V1 with accents; lines from 1 may be changed."""
    made = list(V1)
    for number, value in {
        2: "LEFÈVRE",
        3: "ANDRÉE",
        11: "BIOLAB     LABORATOIRE DE LA VALLÉE",
        **(changes or {}),
    }.items():
        made[number - 1] = value
    return made


def texts() -> Named:
    """The same letter as other programs would write it."""
    for name, end in (("crlf", "\r\n"), ("lf", "\n"), ("cr", "\r"), ("crcrlf", "\r\r\n")):
        for codec in (
            "cp850",
            "cp1252",
            "iso-8859-1",
            "iso-8859-15",
            "utf-8",
            "utf-8-sig",
            "utf-16",
            "utf-16-le",
            "mac-roman",
        ):
            yield f"{name}-{codec}", end.join(lines()).encode(codec)
    head, rest = lines()[:5], lines()[5:]
    yield "mixed-ends", "\r\n".join(head).encode("cp1252") + b"\r" + "\n".join(rest).encode("cp1252")
    yield "thirteen-blank", text([*lines()[:12], "", *lines()[12:]])
    yield "thirteen-free", text([*lines()[:12], "Tel 04 76 00 00 00", "", *lines()[12:]])
    yield "blank-first", text(["", *lines()])
    yield "greeting", text(["Bonjour,", "", *lines()])
    yield "forwarded", text([f"> {line}" for line in lines()])
    yield "trailing-blanks", text([f"{line}    " for line in lines()])
    yield "leading-blanks", text([f"  {line}" for line in lines()])
    yield "padded", text([*(line.ljust(36) for line in lines()[:12]), *lines()[12:]])
    yield "tabs", text([line.replace("  ", "\t") for line in lines()])
    for number in (1, 4, 5, 6, 8, 9, 10, 11, 12):
        yield f"line-{number}-empty", text(lines({number: ""}))
    for born in (
        "14/02/61",
        "1961-02-14",
        "14-02-1961",
        "14.02.1961",
        "14 02 1961",
        "14021961",
        "19610214",
        "14/2/1961",
    ):
        yield f"born-{born}", text(lines({7: born}))
    yield "born-with-hour", text(lines({7: "14/02/1961 00:00"}))
    for number in (
        "261023899900190",
        "2610238999001",
        "2 61 02 38 999 001 90",
        "2.61.02.38.999.001.90",
        "0",
        "2610238999001 91",
    ):
        yield f"number-{number}", text(lines({8: number}))
    for written in ("M-5128-23/10/06", "2025-11-03", "20251103", "03/11/2025 10:30"):
        yield f"file-date-{written}", text(lines({10: written}))
    for surname, first in [
        *(("D'HERICOURT", "ZOE"), ("LE GOFF-MARTIN", "JEAN-PIERRE"), ("N'GUESSAN", "AWA"), ("LI", "YU")),
        *(("O’BRIEN", "SEÁN"), ("DUPONT née MARTIN", "ANNE"), ("DUPONT (MARTIN)", "ANNE"), ("MME DUPONT", "ANNE")),
    ]:
        yield f"name-{surname}", "\r\n".join(lines({2: surname, 3: first})).encode()
    yield "no-tags", text(lines()[:-3])
    yield "small-tags", text([line.lower() if line.startswith("****FIN") else line for line in lines()])
    yield "three-stars", text([line.replace("****FIN****", "***FIN***") for line in lines()])
    yield "text-after", text([*lines()[:-1], "Cordialement", ""])
    yield "form-feed", text([*lines()[:-3], "\x0c", *lines()[-3:]])
    yield "dos-end", text(lines()) + b"\x1a"
    yield "long-line", text([*lines()[:14], "x" * 5_000, *lines()[14:]])
    yield "results-without-tag", text([line for line in lines() if line != "****LAB****"])
    yield "same-patient-twice", text([*lines()[:-3], "****FIN****", *lines()])
    yield (
        "same-patient-spelt-otherwise",
        text([*lines()[:-3], "****FIN****", *lines({2: "LEFEVRE", 3: "ANDREE MARIE"})]),
    )


def other_formats() -> Named:
    """HPRIM Santé, HPRIM XML and HL7, as other programs would write them."""
    head = "H|~^\\&|ESSAI01.HPR||LAB01~LABO TEST||ORU|||MED01~DR ESSAI||P|H2.3~C|202511031015"
    patient = "P|0001|506232||2511030001|LEFEVRE~ANDREE||19610214|F||12 RUE DE LA POSTE~~GRENOBLE~~38000|"
    order = "OBR|0001|251103A1~251103A1||CREA~Creatinine|R||202511030800"
    for name, end in (("cr", "\r"), ("lf", "\n"), ("crlf", "\r\n")):
        for codec in ("latin-1", "utf-8", "utf-8-sig", "cp850"):
            whole = end.join([head, patient.replace("LEFEVRE", "LEFÈVRE"), order, "L|1|", ""])
            yield f"sante-{name}-{codec}", whole.encode(codec)
    swapped = [line.translate({ord("~"): "\\", ord("\\"): "&", ord("&"): "~"}) for line in (head, patient, order)]
    yield "sante-other-alphabet", "\r".join([*swapped, "L|1|", ""]).encode()
    carets = [line.replace("~^\\&", "\0").replace("~", "^").replace("\0", "^~\\&") for line in (head, patient, order)]
    yield "sante-hl7-alphabet", "\r".join([*carets, "L|1|", ""]).encode()
    yield "sante-continued", "\r".join([head, patient[:40], f"A|{patient[40:]}", order, "L|1|", ""]).encode()
    yield "sante-comments", "\r".join([head, "C|1|L|x", patient, "C|1|L|y", order, "L|1|", ""]).encode()
    yield "sante-birth-name", sante(patient.replace("LEFEVRE~ANDREE|", "MARTIN~ANDREE|LEFEVRE"))
    yield "sante-french-date", sante(patient.replace("19610214", "14/02/1961"))
    yield "sante-twice", sante(patient, order, patient.replace("0001", "0002", 1), order)
    xml = hxml().decode("latin-1")
    yield "xml", xml.encode("latin-1")
    yield "xml-prefixed", re.sub(r"<(/?)([A-Za-z])", r"<\1h:\2", xml).replace("xmlns=", "xmlns:h=").encode("latin-1")
    yield "xml-utf-8", xml.replace("ISO-8859-1", "UTF-8").replace("ANDREE", "ANDRÉE").encode()
    yield "xml-no-sex", xml.replace(' sexe="F"', "").encode("latin-1")
    for name, end in (("cr", b"\r"), ("lf", b"\n"), ("crlf", b"\r\n")):
        yield f"hl7-{name}", pid().replace(b"\r", end)
    yield "hl7-framed", b"\x0b" + pid() + b"\x1c\r"
    yield "hl7-other-signs", pid().replace(b"|", b"#").replace(b"^", b"!").replace(b"~", b"+")
    yield "xml-old", without_namespace(hxml())
    yield "hl7-name-in-use", pid(name="LEFEVRE^ANDREE^ANDREE MARIE^^^^L~MARTIN^ANDREE^^^^^D")
    yield "hl7-time", pid(born="19610214000000")
    for name, data in (
        ("letter", v1()),
        ("note", b"Rien de notable."),
        ("docx", zipped({"[Content_Types].xml": b"<x/>"})),
    ):
        yield f"hl7-with-{name}", pid(obx=[f"OBX|1|ED|x||^A^B^Base64^{base64.b64encode(data).decode()}"])


# somebody else


def changed(change: Callable[[str], str]) -> bytes:
    """The archive around a changed document, hash and size mended: as software would make it from the wrong record."""
    mended = change(WHOLE[DOC].decode())
    assert mended != WHOLE[DOC].decode()
    return rezip(xdm(), {DOC: mended.encode()}, rehash=True)


def told(change: Callable[[str], str]) -> bytes:
    mended = change(WHOLE[META].decode())
    assert mended != WHOLE[META].decode()
    return zipped({**WHOLE, META: mended.encode()})


def page(changes: dict[int, str]) -> bytes:
    return f"<html><body>{'<br>'.join(v1(changes).decode('cp1252').splitlines())}</body></html>".encode()


STRANGER = {2: "DURAND", 3: "PAULE"}


def without_namespace(xml: bytes) -> bytes:
    """HPRIM XML as old exports write it."""
    return xml.replace(b' xmlns="http://www.hprim.org/hprimXML"', b"")


def in_the_document() -> Iterator[tuple[str, Report, str]]:
    """Another identity in the document of an archive made for this patient."""
    yield "surname", xdm_mail(changed(lambda t: t.replace(">LEFEVRE<", ">DURAND<"))), "HID-070"
    yield (
        "first-name",
        xdm_mail(changed(lambda t: t.replace("ANDREE MARIE", "PAULE").replace("ANDREE", "PAULE"))),
        "HID-071",
    )
    yield "birth-date", xdm_mail(changed(lambda t: t.replace("19610214", "19710214"))), "HID-072"
    yield "birth-date-slip", xdm_mail(changed(lambda t: t.replace("19610214", "19610215"))), "HID-072"
    yield "sex", xdm_mail(changed(lambda t: t.replace('code="F"', 'code="M"'))), "HID-073"
    yield "number", xdm_mail(changed(lambda t: t.replace(NUMBER, OTHER_NUMBER))), "HID-074"
    yield "key", xdm_mail(changed(lambda t: t.replace(NUMBER, f"{NUMBER[:13]}91"))), "HID-050"
    yield "authority", xdm_mail(changed(lambda t: t.replace(f"{ARC}8", f"{ARC}9"))), "HID-075"
    yield "local-number", xdm_mail(changed(lambda t: t.replace("IPP42", "IPP43"))), "HID-075"
    address = f'<telecom value="mailto:{OTHER_NUMBER}@patient.mssante.fr"/>'
    yield "address", xdm_mail(xdm(cda(telecom=address))), "HID-074"
    target = _found("<recordTarget.*?</recordTarget>", OTHER.decode())
    yield (
        "second-target",
        xdm_mail(changed(lambda t: t.replace("</recordTarget>", f"</recordTarget>{target}"))),
        "HID-060",
    )
    yield "content", xdm_mail(rezip(xdm(), {DOC: WHOLE[DOC].replace(b"Rien", b"Mal")})), "MSS-092"
    yield "hash", xdm_mail(told(lambda t: t.replace(HASH, HASH[::-1]))), "MSS-092"
    yield "size", xdm_mail(told(lambda t: t.replace(f"<Value>{SIZE}<", f"<Value>{SIZE + 1}<"))), "MSS-092"


def in_the_metadata() -> Iterator[tuple[str, Report, str]]:
    """Another identity in the metadata of this patient's document."""
    yield "info-surname", xdm_mail(told(lambda t: t.replace("PID-5|LEFEVRE", "PID-5|DURAND"))), "HID-076"
    yield "info-first-name", xdm_mail(told(lambda t: t.replace("^ANDREE^ANDREE MARIE", "^PAULE^PAULE"))), "HID-076"
    yield "info-birth-date", xdm_mail(told(lambda t: t.replace("PID-7|19610214", "PID-7|19710214"))), "HID-076"
    yield "info-sex", xdm_mail(told(lambda t: t.replace("PID-8|F", "PID-8|M"))), "HID-076"
    number = f"<Value>PID-3|{OTHER_NUMBER}^^^&amp;{ARC}8&amp;ISO</Value><Value>PID-5|"
    yield "info-number", xdm_mail(told(lambda t: t.replace("<Value>PID-5|", number))), "HID-054"
    rows = number.replace(OTHER_NUMBER, NUMBER).removesuffix("<Value>PID-5|") + number
    yield "info-second-number", xdm_mail(told(lambda t: t.replace("<Value>PID-5|", rows))), "HID-054"
    for name, written in (("lower-case", "pid-5|"), ("blanks", "PID-5 | ")):
        row = f"<Value>{written}DURAND^PAULE^PAULE^^^^L<"
        own = "<Value>PID-5|LEFEVRE^ANDREE^ANDREE MARIE^^^^L<"
        yield f"info-surname-{name}", xdm_mail(told(lambda t, a=own, b=row: t.replace(a, b))), "HID-076"
    for name, born in (("hyphens", "1961-03-15"), ("french", "14/02/1971")):
        yield (
            f"info-birth-date-{name}",
            xdm_mail(told(lambda t, b=born: t.replace("PID-7|19610214", f"PID-7|{b}"))),
            "HID-076",
        )
    second = "ISO</Value><Value>IPP43^^^&amp;1.2.3.4&amp;ISO</Value>"
    yield (
        "second-source",
        xdm_mail(told(lambda t: t.replace("1.2.3.4&amp;ISO</Value>", f"1.2.3.4&amp;{second}"))),
        "HID-075",
    )
    for name, scheme in (
        ("entry", "58a6f841-87b3-4a3e-92fd-a8ffeff98427"),
        ("set", "6b5aea1a-874d-4603-a4bc-96a0a7b38446"),
    ):
        before, after = (f'{scheme}" value="{one}' for one in (NUMBER, OTHER_NUMBER))
        yield f"{name}-patient", xdm_mail(told(lambda t, b=before, a=after: t.replace(b, a))), "HID-075"
    for name, scheme in (("entry", "58a6f841"), ("set", "6b5aea1a")):
        one = _found(
            f'<ExternalIdentifier [^>]*{scheme}[^>]*value="{NUMBER}.*?</ExternalIdentifier>', WHOLE[META].decode()
        )
        two = one + one.replace(NUMBER, OTHER_NUMBER)
        yield f"{name}-second-patient", xdm_mail(told(lambda t, b=one, a=two: t.replace(b, a))), "HID-075"
    yield "source-patient", xdm_mail(told(lambda t: t.replace("<Value>IPP42^", "<Value>IPP43^"))), "HID-075"
    yield "authority", xdm_mail(told(lambda t: t.replace(f"{ARC}8", f"{ARC}9"))), "HID-075"


def beside_the_document() -> Iterator[tuple[str, Report, str]]:
    """Somebody else elsewhere in the message."""
    yield "second-archive", xdm_mail(None, attached("IHE_XDM2.zip", xdm(OTHER))), "HID-080"
    yield "second-archive-of-any-name", xdm_mail(None, attached("documents.zip", xdm(OTHER))), "HID-080"
    for name, media in (
        ("b.xml", "text/xml"),
        ("b.bin", "application/octet-stream"),
        ("b.html", "text/html"),
        ("b.txt", "text/plain"),
    ):
        yield f"document-{name}", xdm_mail(None, attached(name, OTHER, media)), "HID-080"
    hidden = OTHER.replace(b"?><Cl", b"?><!--" + b"x" * 100_000 + b"--><Cl")
    yield "document-behind-a-comment", xdm_mail(None, attached("b.xml", hidden)), "HID-080"
    yield (
        "document-in-utf-16",
        xdm_mail(None, attached("b.xml", OTHER.decode().replace("UTF-8", "UTF-16").encode("utf-16-le"))),
        "HID-080",
    )
    yield "document-in-the-body", mail(body(OTHER), attached("IHE_XDM.zip", xdm())), "HID-080"
    for name in ("a.hpr", "a.txt", "a.dat", "a.pdf"):
        yield f"header-{name}", xdm_mail(None, attached(name, v1(STRANGER))), "HID-070"
    yield "header-other-date", xdm_mail(None, attached("a.hpr", v1({7: "14/02/1971"}))), "HID-072"
    yield (
        "header-in-utf-16",
        xdm_mail(None, attached("a.hpr", v1(STRANGER).decode("cp1252").encode("utf-16-le"))),
        "HID-070",
    )
    yield "header-in-the-body", mail(body(v1(STRANGER)), attached("IHE_XDM.zip", xdm())), "HID-070"
    whole = Part("", "text/html", "utf-8", page(STRANGER), is_body=True)
    yield "header-in-a-page", mail(whole, attached("IHE_XDM.zip", xdm())), "HID-070"
    yield "header-in-a-page-beside-a-right-one", mail(body(v1()), whole), "HID-070"
    yield "header-in-an-attached-page", mail(body(v1()), attached("cr.html", page(STRANGER), "text/html")), "HID-070"
    forwarded = Part("", "text/plain", "utf-8", v1(STRANGER), is_body=False)
    yield "header-in-a-forwarded-message", mail(body("x"), attached("IHE_XDM.zip", xdm()), forwarded), "HID-070"
    for name, written in (
        ("text", v1(STRANGER).decode("cp1252")),
        ("text-b64", base64.b64encode(v1(STRANGER)).decode()),
    ):
        told = 'mediaType="text/plain"' + (' representation="B64"' if name != "text" else "")
        inside = f"<component><nonXMLBody><text {told}>{written}</text></nonXMLBody></component></ClinicalDocument>"
        yield (
            f"letter-in-a-document-{name}",
            xdm_mail(xdm(SELF.partition(b"<component>")[0] + inside.encode())),
            "HID-070",
        )
    yield "two-letters", mail(attached("a.hpr", v1()), attached("b.hpr", v1(STRANGER)), subject="x"), "HID-011"
    yield (
        "mother-and-daughter",
        mail(attached("a.hpr", v1()), attached("b.hpr", v1({7: "14/02/1991"})), subject="x"),
        "HID-011",
    )
    forgotten = [
        *V1[:15],
        "77",
        "DURAND",
        "PAULE",
        "",
        "",
        "",
        "14/02/1961",
        "261023899900289",
        "77",
        "",
        ".",
        ".",
        "",
        *V1[15:],
    ]
    yield "header-behind-a-forgotten-tag", mail(body(text(forgotten)), subject="x"), "HID-011"
    for name, changes in (
        ("name", {"name": "DURAND^PAULE^PAULE^^^^L"}),
        ("birth-date", {"born": "19710214"}),
        ("sex", {"sex": "M"}),
    ):
        rule = {"name": "HID-070", "birth-date": "HID-072", "sex": "HID-073"}[name]
        yield f"hl7-{name}", xdm_mail(None, attached("a.hl7", pid(**changes))), rule  # type: ignore[arg-type]
    ids = f"{OTHER_NUMBER}^^^ASIP-SANTE-INS-NIR&{ARC}8&ISO^INS~IPP42^^^&1.2.3.4&ISO^PI"
    yield "hl7-number", xdm_mail(None, attached("a.hl7", pid(ids=ids))), "HID-074"
    yield (
        "hl7-local-number",
        xdm_mail(None, attached("a.hl7", pid(ids=ids.replace(OTHER_NUMBER, NUMBER).replace("42", "43")))),
        "HID-086",
    )
    inside = f"OBX|1|ED|x||^TEXT^XML^Base64^{base64.b64encode(OTHER).decode()}"
    yield "hl7-document-inside", xdm_mail(None, attached("a.hl7", pid(obx=[inside]))), "HID-080"
    for name, data, rule in (
        ("letter", v1(STRANGER), "HID-070"),
        ("archive", xdm(OTHER), "HID-080"),
        ("sante", sante("P|0001|1||1|DURAND~PAULE||19610214|F|"), "HID-088"),
        ("xml", hxml(hxml_patient(surname="DURAND")), "HID-088"),
        ("hl7", pid(name="DURAND^PAULE^PAULE^^^^L"), "HID-070"),
    ):
        held = f"OBX|1|ED|x||^APPLICATION^X^Base64^{base64.b64encode(data).decode()}"
        yield f"hl7-{name}-inside", xdm_mail(None, attached("a.hl7", pid(obx=[held]))), rule
    saved = b"From: a@b.test\r\nSubject: x\r\nContent-Type: text/plain; charset=cp1252\r\n\r\n" + v1(STRANGER)
    yield "message-in-an-archive", xdm_mail(None, attached("mails.zip", zipped({"a.eml": saved}))), "HID-070"
    packed = eml_of(OTHER)
    yield (
        "document-of-a-message-in-an-archive",
        xdm_mail(None, attached("mails.zip", zipped({"a.eml": packed}))),
        "HID-080",
    )
    for name, row in (
        ("name", "DURAND~PAULE||19610214|F"),
        ("birth-date", "LEFEVRE~ANDREE||19710214|F"),
        ("sex", "LEFEVRE~ANDREE||19610214|M"),
    ):
        yield f"sante-{name}", xdm_mail(None, attached("a.hpr", sante(f"P|0001|1||1|{row}|"))), "HID-088"
    for name, change in (
        ("name", {"surname": "DURAND"}),
        ("birth-date", {"born": "1971-02-14"}),
        ("sex", {"sex": "M"}),
    ):
        for spelling, xml in (
            ("", hxml(hxml_patient(**change))),
            ("old-", without_namespace(hxml(hxml_patient(**change)))),
        ):
            yield f"xml-{spelling}{name}", xdm_mail(None, attached("a.xml", xml)), "HID-088"


def eml_of(document: bytes) -> bytes:
    """A message saved with its attached document."""
    head = b"From: a@b.test\r\nSubject: x\r\nContent-Type: text/xml; name=cr.xml\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + base64.encodebytes(document)


def in_the_archive() -> Iterator[tuple[str, Report, str]]:
    """Somebody else among the files of the archive, named by its metadata or not."""
    where = "IHE_XDM/SUBSET01/"
    for name, data, rule in [
        ("DOC0009.XML", OTHER, "HID-080"),
        ("DOC0009", OTHER, "HID-080"),
        ("DOC0010.XML", showing_itself(OTHER), "HID-080"),
        ("DOC0011.XML", showing_itself(OTHER, 3_000), "HID-080"),
        ("DOC0012.XML", showing_itself(OTHER).replace(b"<data:", b"<!-- a <ClinicalDocument> --><data:", 1), "HID-080"),
        ("A.HPR", v1(STRANGER), "HID-070"),
        ("A.TXT", v1(STRANGER), "HID-070"),
        ("A.HL7", pid(name="DURAND^PAULE^PAULE^^^^L"), "HID-070"),
        ("B.HPR", sante("P|0001|1||1|DURAND~PAULE||19610214|F|"), "HID-070"),
        ("B.XML", hxml(hxml_patient(surname="DURAND")), "HID-070"),
        ("C.XML", without_namespace(hxml(hxml_patient(surname="DURAND"))), "HID-070"),
    ]:
        yield f"forgotten-{name}", xdm_mail(zipped({**WHOLE, where + name: data})), rule
    letter = v1(STRANGER)
    entry = _found("<ExtrinsicObject.*?</ExtrinsicObject>", WHOLE[META].decode())
    entry = (
        entry.replace("DOC0001.XML", "A.HPR")
        .replace("text/xml", "text/plain")
        .replace(HASH, hashlib.sha1(letter).hexdigest())
    )
    entry = entry.replace(f"<Value>{SIZE}<", f"<Value>{len(letter)}<")
    more = WHOLE[META].decode().replace("</ExtrinsicObject>", f"</ExtrinsicObject>{entry}", 1).encode()
    yield "described-letter", xdm_mail(zipped({**WHOLE, where + "A.HPR": letter, META: more})), "HID-070"
    packed = gzip.compress(OTHER, mtime=0)
    yield "packed-document", xdm_mail(rezip(xdm(), {DOC: packed}, rehash=True)), "MSS-114"
    hidden = OTHER.replace(b"?><Cl", b"?><!--" + b"x" * 100_000 + b"--><Cl")
    yield "hidden-document", xdm_mail(rezip(xdm(), {DOC: hidden}, rehash=True)), "HID-076"
    yield "another-archive-of-letters", xdm_mail(None, attached("resultats.zip", zipped({"a.hpr": letter}))), "HID-070"


def around_the_message() -> Iterator[tuple[str, Report, str]]:
    """Somebody else's archive under this patient's subject, address or letter."""
    patient = [f"{NUMBER}@patient.mssante.fr"]
    born = cda(ids=((ARC + "8", OTHER_NUMBER),), surname="DURAND", first="PAULE", listed="PAULE", born="19710305")
    yield "swapped-under-subject", xdm_mail(xdm(born)), "HID-077"
    yield "swapped-to-address", xdm_mail(xdm(OTHER), recipients=patient), "HID-089"
    yield "swapped-beside-letter", xdm_mail(xdm(OTHER), attached("a.hpr", v1())), "HID-070"
    yield "other-subject", xdm_mail(subject="XDM/1.0/DDM+CR hospitalier DURAND Paule 05/03/1971"), "HID-077"
    yield "two-addresses", xdm_mail(recipients=[*patient, f"{OTHER_NUMBER}@patient.mssante.fr"]), "HID-089"


def strangers() -> Iterator[tuple[str, Report, str]]:
    """Every message that another patient got into, and the rule that stops it."""
    for make in (in_the_document, in_the_metadata, beside_the_document, in_the_archive, around_the_message):
        for name, report, rule in make():
            yield f"{make.__name__}-{name}", report, rule
