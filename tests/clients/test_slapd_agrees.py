"""OpenLDAP's server as a second opinion: for the same entries, filters find the same in it and in our directory."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from directory.entry import Entry
from directory.ldap import ber, entries, questions
from directory.ldap.filters import And, Compare, Extensible, Filter, Match, Not, Or, Present, Substrings
from directory.search import holds
from tests.clients.programs import program, run
from tests.directory import ldap_requests as client
from tests.directory.ldap_requests import BASE
from tests.space.running import free_port

pytestmark = pytest.mark.client

FILTERS = 400
GIVEN, FAMILY = ("Marie", "Anne Marie", "Paul", ""), ("Martin", "Martin Durand", "Petit", "Marie")
ATTRIBUTES = (
    "cn",
    "sn",
    "givenName",
    "displayName",
    "mail",
    "uid",
    "title",
    "o",
    "ou",
    "l",
    "postalCode",
    "employeeType",
)
SCHEMA = Path("/etc/ldap/schema")


def people() -> list[Entry]:
    """Persons with every combination of names, some without this or that, and organisations."""
    found = [
        Entry(
            address=f"p{number}@op-a.mssante.test",
            type="PER",
            title=("Dr", "")[number % 2],
            family=family,
            given=given,
            profession=("Médecin", "Infirmier", "")[number % 3].replace("é", "e"),
            town=("Paris", "")[number % 2],
            postal_code=("75001", "69002", "")[number % 3],
        )
        for number, (family, given) in enumerate((family, given) for family in FAMILY for given in GIVEN)
    ]
    for number, name in enumerate(("Hopital Martin", "Clinique Marie", "Petit Paul")):
        address = f"o{number}@op-a.mssante.test"
        found.append(Entry(address=address, type="ORG", organisation=name, service=("Urgences", "")[number % 2]))
    return found


PEOPLE = people()


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[socket.socket]:
    """A connection to one that holds :func:`people`."""
    add, serve = program("slapadd"), program("slapd")
    folder, port = tmp_path_factory.mktemp("slapd"), free_port()
    (folder / "db").mkdir()
    includes = "".join(f"include {SCHEMA}/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
    settings = folder / "slapd.conf"
    settings.write_text(
        f"{includes}modulepath /usr/lib/ldap\nmoduleload back_mdb\nsizelimit unlimited\n"
        f'database mdb\nsuffix "{BASE}"\ndirectory {folder}/db\nindex cn,sn,mail pres,eq,sub\n'
    )
    (folder / "entries.ldif").write_text(ldif())
    added = run(add, "-q", "-f", str(settings), "-l", str(folder / "entries.ldif"))
    assert added.returncode == 0, added.stderr
    log = (folder / "log").open("wb")
    command = [serve, "-f", str(settings), "-h", f"ldap://127.0.0.1:{port}", "-d", "0"]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with reached(port, process) as connection:
            yield connection
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder / "db")


def ldif() -> str:
    lines = [f"dn: {BASE}", "objectClass: organizationalUnit", "ou: bal", ""]
    for entry in PEOPLE:
        shown = entries.attributes(entry, BASE)
        lines += [f"dn: {entries.name_of(entry, BASE)}", "objectClass: inetOrgPerson"]
        lines += [f"{name}: {value}" for name in ATTRIBUTES for value in shown.get(name, ())] + [""]
    return "\n".join(lines)


def reached(port: int, process: subprocess.Popen[bytes]) -> socket.socket:
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            assert process.poll() is None, "slapd did not start"
            assert time.monotonic() < deadline, "slapd does not answer"
            time.sleep(0.05)


def found_by(slapd: socket.socket, number: int, asked: Filter) -> set[str]:
    slapd.sendall(client.search(number, asked, scope=1, attributes=["mail"]))
    held, found = b"", set[str]()
    while True:
        held += slapd.recv(65536)
        while end := ber.whole(held, 0, 1 << 20):
            (answer,) = client.responses(held[:end])
            held = held[end:]
            if answer.tag != 0x64:
                assert answer.code == 0, answer
                return found
            found |= set(answer.attributes["mail"])


def some(draw: random.Random, depth: int = 3) -> Filter:
    """A filter as nobody would type it."""
    if depth and draw.random() < 0.5:
        if draw.random() < 0.3:
            return Not(some(draw, depth - 1))
        parts = tuple(some(draw, depth - 1) for _ in range(draw.randint(0, 3)))
        return And(parts) if draw.random() < 0.5 else Or(parts)
    name = draw.choice((*ATTRIBUTES, "commonName", "2.5.4.4", "objectClass", "unheardOf"))
    words = draw.choice(
        ("Marie", "martin", "Anne Marie", "marie martin", "Durand Paul", "dr", "hopital martin", "PETIT", "75001")
    )
    bit = (words[draw.randint(0, 3) :].strip() or words).encode()
    kind = draw.randint(0, 6)
    if kind == 0 or name == "objectClass":
        return draw.choice((Present(name), Compare("objectClass", Match.EQUAL, draw.choice((b"person", b"device")))))
    if kind == 1:
        return Compare(name, Match.EQUAL, words.encode())
    if kind == 2:
        return Extensible("" if name == "mail" else "caseIgnoreMatch", name, words.encode(), in_name=False)
    if kind == 3:
        return Compare(name, draw.choice((Match.GREATER, Match.LESS)), words.encode())
    pieces = ((bit, (), b""), (b"", (bit,), b""), (b"", (), bit))[kind - 4]
    return Substrings(name, *pieces)


def test_filters_find_what_slapd_finds(slapd: socket.socket) -> None:
    draw, different, telling = random.Random(20), [], 0
    for number in range(1, FILTERS):
        asked = some(draw)
        condition = questions.question(asked)
        ours = {entry.address for entry in PEOPLE if holds(condition, entry)}
        theirs = found_by(slapd, number, asked)
        telling += 0 < len(theirs) < len(PEOPLE)
        if ours != theirs:
            different.append((asked, sorted(ours - theirs), sorted(theirs - ours)))
    assert not different
    assert telling > 30  # found some and not all
