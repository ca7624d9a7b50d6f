"""Judge what a message holds: size, build, loops, infection, dangerous attachments (MSS-044 to MSS-047, F66 to F68).

Promise: every name under which a mail program might save an attachment is looked at, as a user would see it: right-to-left
tricks, trailing dots and spaces, double extensions. No file name enters a decision, since a name may be a patient's.
Failure: none; a problem word this module does not know refuses the message as malformed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from policies.catalogue import rule
from policies.decision import Decision, decide

MIB = 1024 * 1024

# Words the reader of the message may use, and the rule each leads to. Any other word is content.malformed.
PROBLEMS = {
    "bare_cr": "content.bare_line_end",
    "bare_lf": "content.bare_line_end",
    "nul": "content.bare_line_end",
    "header_too_large": "content.header_too_big",
    "too_deep": "content.too_complex",
    "too_many_parts": "content.too_complex",
    "too_large": "content.too_complex",
    "too_many_fields": "content.too_complex",
    "too_many_parameters": "content.too_complex",
}

# Files that Windows, macOS or a mail program may run, by extension.
_PROGRAM_WORDS = (
    "ade adp apk app application appref-ms appx appxbundle asp bas bat cab chm cmd com command cpl crt "
    "csh desktop dll dmg dylib ear elf exe fxp gadget hlp hta img inf ins iqy isp iso jar jnlp js jse ksh "
    "lib lnk mad maf mag mam maq mar mas mat mau mav maw mda mdb mde mdt mdw mdz msc msh msh1 msh2 mshxml "
    "msi msix msp mst ops osd pcd pif pkg pl plg prf prg ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psm1 py pyc "
    "pyo pyw pyz reg rpm run scf scr sct settingcontent-ms sh shb shs slk so svgz swf sys tsk url vb "
    "vbe vbp vbs vhd vhdx vsmacros vsw vxd webloc website wim workflow ws wsc wsf wsh xbap xll xnk xpi "
    "docm dotm xlsm xltm xlam pptm potm ppam ppsm sldm "
)
PROGRAMS = frozenset(_PROGRAM_WORDS.split())
# Marks that turn the direction of writing, so that "gpj.exe" is shown as "exe.jpg".
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NAME_LIMIT = 1024
_FAR = " " * 20


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What the one walk over the message found.

    ``attachment_names`` are all names of all parts, decoded (filename, filename*, name, continuations).
    ``content_types`` are lower-case ``type/subtype`` of all parts. ``received`` counts the Received fields;
    ``own_traces`` those that bear our own host name or Delivered-To lines of the recipient.
    """

    size: int = 0
    problems: tuple[str, ...] = ()
    received: int = 0
    own_traces: int = 0
    content_types: tuple[str, ...] = ()
    attachment_names: tuple[str, ...] = ()
    infection: str = ""
    scanned: bool = True


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """``size`` in octets; ``hops`` the greatest number of Received fields; ``own_hops`` of our own among them.
    ``programs`` are refused extensions, lower case without the dot."""

    size: int = 25 * MIB
    hops: int = 50
    own_hops: int = 5
    programs: frozenset[str] = PROGRAMS


DEFAULT = ContentSettings()


def judge(facts: ContentFacts, settings: ContentSettings = DEFAULT) -> Decision:
    """One decision about the whole content; the order is from what makes reading unsafe to what reading found."""
    if facts.size > settings.size:
        return judge_size(facts.size, settings)
    if facts.problems:
        word = facts.problems[0]
        name = PROBLEMS.get(word, "content.malformed")
        return decide(rule(name), " ".join(facts.problems), problem=word.replace("_", " "))
    if facts.received > settings.hops or facts.own_traces > settings.own_hops:
        return decide(rule("content.loop"), f"{facts.received} hops, {facts.own_traces} of ours")
    if facts.infection:
        return decide(rule("content.infected"), facts.infection)
    if not facts.scanned:
        return decide(rule("scan.unavailable"))
    return _judge_parts(facts, settings)


def judge_size(size: int, settings: ContentSettings = DEFAULT) -> Decision:
    """The size announced (MAIL SIZE=) or found, in octets."""
    if size > settings.size:
        return decide(rule("content.too_big"), str(size), limit=settings.size // MIB)
    return decide(rule("content.accepted"))


def _judge_parts(facts: ContentFacts, settings: ContentSettings) -> Decision:
    if "message/partial" in facts.content_types:
        return decide(rule("content.partial"))
    if "message/external-body" in facts.content_types:
        return decide(rule("content.external_body"))
    for name in facts.attachment_names:
        if disguised(name):
            return decide(rule("content.disguised_attachment"))
        kind = program(name, settings.programs)
        if kind:
            return decide(rule("content.dangerous_attachment"), kind=f".{kind}")
    return decide(rule("content.accepted"))


def judge_archived(names: Iterable[str], settings: ContentSettings = DEFAULT) -> Decision:
    """The names inside archives: a program is no less one for being packed. Disguise is not looked for, since archives of
    other systems hold odd names, and what a system runs it runs by the end of the name."""
    for name in names:
        kind = program(name, settings.programs)
        if kind:
            return decide(rule("content.archived_program"), kind=f".{kind}")
    return decide(rule("content.accepted"))


def program(name: str, programs: frozenset[str] = PROGRAMS) -> str:
    """The extension under which a system would run the file, or an empty string.

    Read as Windows does: the last path component, without trailing dots and spaces. A colon starts an NTFS stream for one
    program and becomes an underscore for another, so each side of it counts.
    """
    seen = unicodedata.normalize("NFKC", name[-_NAME_LIMIT:]).lower()
    last = seen.replace("\\", "/").rpartition("/")[2]
    for piece in last.split(":"):
        _, dot, kind = piece.rstrip(" .\t").rpartition(".")
        if dot and kind.strip(" ") in programs:
            return kind.strip(" ")
    return ""


def disguised(name: str) -> bool:
    """Whether the name shows another nature than the file has.

    True for direction overrides in it, for control characters, for names too long to be shown, and for a run of spaces
    that pushes the true extension out of sight (padded columns of practice software pass, and so does "Dr. Martin").
    """
    if len(name) > _NAME_LIMIT or not _DIRECTION.isdisjoint(name):
        return True
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in name):
        return True
    seen = unicodedata.normalize("NFKC", name)
    stem, dot, last = seen.rstrip(" .").rpartition(".")
    return bool(dot) and (_FAR in stem or last.startswith(_FAR))
