"""What a pack of evidence is, of a message or of the end of a mailbox: the files in it, how they are written, and how the chain runs through them.

A pack is a ZIP archive of a few JSON and text files. ``manifest.json`` holds the digest of each, ``manifest.sig`` is the
operator's signature of it under ``certificate.pem``. ``chain.json`` holds stretches of the journal's chain, each from one anchor
to the next: of the message's own records the number, of all others the digest alone, so that nobody else's mail is told.
Promise: the same facts give the same octets. Failure: none here; see :mod:`gateway.record.evidence.gathering` and
:mod:`gateway.record.evidence.verification`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

FORMAT = "caducee evidence 1"
MANIFEST, SIGNATURE, CERTIFICATE = "manifest.json", "manifest.sig", "certificate.pem"
RECORDS, CHAIN, FOLLOWED, EXPLAINED, ABOUT, BODY, DESTROYED = (
    "records.json",
    "chain.json",
    "recipients.json",
    "explanation.json",
    "LISEZMOI.txt",
    "message.eml",
    "destruction.json",
)
SIGNED = (RECORDS, CHAIN, FOLLOWED, EXPLAINED, ABOUT, BODY, DESTROYED)
"""What the manifest speaks of; the body only when its owner asked for it, the destruction only of a mailbox."""

_THEN = (1980, 1, 1, 0, 0, 0)


def written(value: Any) -> bytes:
    """JSON as a pack holds it."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def manifest(facts: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """What is signed."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return written({"format": FORMAT, **facts, "files": sums})


def archive(files: Mapping[str, bytes]) -> bytes:
    """The pack itself."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name, _THEN), data, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


TEXT = """\
Dossier de preuve d'un message / Evidence of one message
=========================================================

Message : {message}
Opérateur / operator : {operator}
Établi le / made at (UTC) : {made}

FRANÇAIS
records.json      les enregistrements du journal qui parlent de ce message, tels qu'ils sont chaînés ; « told » redit en clair
                  ce qui y est scellé (adresses de patients)
chain.json        la chaîne du journal d'une ancre à la suivante autour de ces enregistrements ; des autres, l'empreinte seule
recipients.json   l'état de chaque destinataire, accusés compris
explanation.json  les décisions, en français et en anglais, avec leurs sources
message.eml       le message, seulement si son titulaire l'a demandé ; son empreinte est dans l'enregistrement message.accepted
manifest.json     l'empreinte SHA-256 de chaque fichier, signée (manifest.sig) avec la clé de certificate.pem

Vérifier : caducee evidence verify FICHIER. À la main : sha256sum des fichiers contre manifest.json ;
openssl x509 -in certificate.pem -noout -pubkey > cle.pem ; openssl dgst -sha256 -verify cle.pem -signature manifest.sig manifest.json ;
empreinte d'un enregistrement : SHA-256 de [seq,at,"kind","actor","message","recipient",mailbox,"detail"] en JSON sans espaces ;
maillon : SHA-256 (maillon précédent || empreinte). Une ancre est une valeur de la chaîne que l'opérateur garde hors de sa base :
demandez-lui, ou à qui garde ses ancres, si celles de chain.json en sont.

ENGLISH
records.json      the journal's records about this message, as they are chained; "told" says in clear what is sealed there
                  (addresses of patients)
chain.json        the journal's chain from one anchor to the next around these records; of others the digest alone
recipients.json   the state of each recipient, receipts included
explanation.json  the decisions, in French and English, with their sources
message.eml       the message, only if its owner asked for it; its digest is in the record message.accepted
manifest.json     the SHA-256 digest of each file, signed (manifest.sig) with the key of certificate.pem

Verify: caducee evidence verify FILE. By hand: sha256sum of the files against manifest.json;
openssl x509 -in certificate.pem -noout -pubkey > key.pem; openssl dgst -sha256 -verify key.pem -signature manifest.sig manifest.json;
digest of a record: SHA-256 of [seq,at,"kind","actor","message","recipient",mailbox,"detail"] as JSON without spaces;
link: SHA-256 (link before || digest). An anchor is a value of the chain that the operator keeps outside its database:
ask it, or whoever keeps its anchors, whether those of chain.json are among them.
"""

DESTRUCTION = """\
Certificat de destruction d'une boîte / Certificate of destruction of a mailbox
==============================================================================

Boîte / mailbox : {address} (n° {mailbox})
Opérateur / operator : {operator}
Établi le / made at (UTC) : {made}

FRANÇAIS
La clé de la boîte est détruite : son contenu, chiffré, n'est plus lisible, par l'exploitant non plus. destruction.json dit ce qui
a été constaté dans la base en service ; records.json et chain.json prouvent, par le journal, qui a fermé puis détruit la boîte,
quand et pourquoi. Une sauvegarde plus ancienne contient encore la clé, chiffrée par la clé maîtresse de son époque : elle est
illisible dès que cette clé maîtresse est détruite (caducee config rotate-key, puis export-keys).

ENGLISH
The mailbox's key is destroyed: its content, encrypted, cannot be read any more, by the operator neither. destruction.json says
what was found in the database in service; records.json and chain.json prove, by the journal, who closed and then destroyed the
mailbox, when and why. An older backup still holds the key, under the master key of its time: it cannot be read once that master
key is destroyed (caducee config rotate-key, then export-keys).

Vérifier / verify: caducee evidence verify FICHIER
"""
