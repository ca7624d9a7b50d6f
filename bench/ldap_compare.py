"""The directory over LDAPS beside OpenLDAP's slapd, with the same entries, the same client and the same server certificate.

    python bench/ldap_compare.py [ENTRIES] [SEARCHES]

Prints, for each server and kind of question, answers a second over eight connections and the processor time of the server for
one, then what an idle connection takes of its memory. Ours is the real service on SQLite, its mailboxes opened by the ordinary operations,
every search counted, limited and told to the journal; slapd is the Debian package with back-mdb and an index for each attribute asked.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from directory.ldap import ber
from directory.ldap.filters import And, Compare, Filter, Match, Or, Present, Substrings
from gateway.admin.space import Space, free_ports
from gateway.compose import storage
from gateway.config import load
from gateway.people import people
from mailboxes.accounts import NewAccount
from mailboxes.register import NewMailbox
from mailboxes.unit import Unit
from policies.values import BalType
from tests.directory import ldap_requests as client

ENTRIES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
SEARCHES = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
CONNECTIONS, IDLE, BATCH = 8, 1000, 500
BEGIN = ("Ber", "Car", "Dau", "Fab", "Gau", "Lam", "Mar", "Per", "Rou", "Vil")
MIDDLE = ("a", "e", "i", "o", "u", "an", "en", "in", "on", "ou")
END = ("bert", "chon", "dier", "fort", "gnac", "lier", "mont", "nard", "quet", "tier")
GIVEN = ("Alice", "Bruno", "Claire", "Denis", "Elise", "Farid", "Hugo", "Ines", "Jules", "Nadia")
NAMES = [(b + m + e, g) for b, m, e, g in product(BEGIN, MIDDLE, END, GIVEN)]


@dataclass
class Server:
    name: str
    port: int
    login: str
    secret: str
    pid: int

    def seconds(self) -> float:
        """Processor time so far, of all its threads."""
        said = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """KiB that are its own."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text("utf-8").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


def person(number: int) -> tuple[str, str, str]:
    """Address, family and given name."""
    family, given = NAMES[number % len(NAMES)]
    again = number // len(NAMES)
    family += END[again] if again else ""
    return f"{given}.{family}.{number}@op-a.mssante.test".lower(), family, given


@contextmanager
def ours(folder: Path) -> Iterator[tuple[Server, str, Path, Path]]:
    """Our service; with it the authority, certificate and key it uses."""
    limits = {("ldap", "searches_per_minute"): 0, ("ldap", "entries_per_hour"): 0, ("service", "roles"): ["ldap"]}
    space = Space(folder, settings=limits)
    space.build()
    site, pki = space.sites[0], space.pki
    assert pki is not None
    fill(site.config)
    space.start()
    try:
        box = site.mailboxes[0]
        assert site.process is not None
        server = Server("ours", site.ports["ldaps"], box["address"], box["device_password"], site.process.pid)
        card = pki.operators["op-a"].server_curve
        yield server, str(pki.ca), card.certificate, card.key
    finally:
        space.stop()


def fill(config: Path) -> None:
    opened = storage(load(config))
    house = people(opened)

    def some(unit: Unit, start: int) -> None:
        for number in range(start, min(start + BATCH, ENTRIES)):
            address, family, given = person(number)
            login = f"p{number}"
            house.accounts.open(unit, NewAccount(login, family, given, f"ESSAI-{login}", "Dr", "", "bench"), "bench")
            house.register.open(unit, NewMailbox(address, BalType.PER, owner=login), "bench")

    for start in range(0, ENTRIES, BATCH):
        opened.committer.run_sync(partial(some, start=start))
    opened.close_sync()


@contextmanager
def slapd(folder: Path, ca: str, certificate: Path, key: Path) -> Iterator[Server]:
    port = free_ports(1)[0]
    (folder / "db").mkdir(parents=True)
    base, schema = client.BASE, "/etc/ldap/schema"
    (folder / "slapd.conf").write_text(
        f"include {schema}/core.schema\ninclude {schema}/cosine.schema\ninclude {schema}/inetorgperson.schema\n"
        f"modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/pid\nsizelimit 100\nthreads 2\n"
        f"TLSCACertificateFile {ca}\nTLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n"
        f'database mdb\nsuffix "{base}"\nrootdn "cn=admin,{base}"\nrootpw secret\ndirectory {folder}/db\n'
        "maxsize 1073741824\nindex objectClass eq\nindex mail,cn,sn,givenName pres,eq,sub\n",
        "utf-8",
    )
    with (folder / "entries.ldif").open("w", encoding="utf-8") as file:
        file.write(f"dn: {base}\nobjectClass: organizationalUnit\nou: bal\n\n")
        for number in range(ENTRIES):
            address, family, given = person(number)
            file.write(
                f"dn: mail={address},{base}\nobjectClass: inetOrgPerson\ncn: Dr {given} {family.upper()}\ncn: {given} {family}\n"
                f"cn: {family} {given}\nsn: {family}\ngivenName: {given}\nmail: {address}\nuid: {address}\n"
                f"displayName: Dr {given} {family.upper()}\nemployeeNumber: ESSAI-p{number}\nemployeeType: PER\n\n"
            )
    command = ["/usr/sbin/slapadd", "-q", "-f", str(folder / "slapd.conf"), "-l", str(folder / "entries.ldif")]
    subprocess.run(command, check=True)
    where = f"ldaps://127.0.0.1:{port}"
    process = subprocess.Popen(["/usr/sbin/slapd", "-f", str(folder / "slapd.conf"), "-h", where, "-d", "0"])
    try:
        yield Server("slapd", port, f"cn=admin,{base}", "secret", process.pid)
    finally:
        process.terminate()
        process.wait(20)


class Connection:
    """Asks one thing at a time."""

    async def open(self, server: Server, tls: ssl.SSLContext) -> Connection:
        for _ in range(100):
            try:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
        await self.ask(client.bind(1, server.login, server.secret), 0x61)
        return self

    async def ask(self, request: bytes, final: int) -> int:
        """Entries that came before the final response."""
        self.writer.write(request)
        held, entries = b"", 0
        while True:
            held += await self.reader.read(65536)
            at = 0
            while end := ber.whole(held, at, 1 << 24):
                message = ber.Reader(held, at, end).inside(ber.SEQUENCE)
                message.integer()
                at = end
                if message.tag() == final:
                    result = message.inside(final).integer(ber.ENUMERATED)
                    assert result in (0, 4), result
                    return entries
                entries += 1
            held = held[at:]


def whole_name(number: int) -> Filter:
    family, given = NAMES[number * 7919 % len(NAMES)]
    return Compare("cn", Match.EQUAL, f"{given} {family}".encode())


def typed(number: int) -> Filter:
    """What Thunderbird asks after five letters."""
    word = NAMES[number * 7919 % len(NAMES)][0][:5].lower().encode()
    parts = tuple(Substrings(name, b"", (word,), b"") for name in ("givenName", "sn", "cn", "mail"))
    return And((Present("objectClass"), Or(parts)))


def read_one(number: int) -> bytes:
    address = person(number * 7919 % ENTRIES)[0]
    return client.search(2, base=f"mail={address},{client.BASE}", scope=0, attributes=["cn", "mail"])


def request(make: Callable[[int], Filter]) -> Callable[[int], bytes]:
    return lambda number: client.search(2, make(number), limit=100, attributes=["cn", "mail"])


KINDS = (
    ("one entry by its name", read_one, 1),
    ("a whole name", request(whole_name), 1),
    ("five letters, anywhere in four attributes", request(typed), 4),
)


async def measure(server: Server, tls: ssl.SSLContext) -> None:
    connections = [await Connection().open(server, tls) for _ in range(CONNECTIONS)]
    for name, make, dearer in KINDS:
        count = max(SEARCHES // dearer, CONNECTIONS)
        await connections[0].ask(make(0), 0x65)
        numbers, found = iter(range(count)), 0

        async def some(connection: Connection, numbers=numbers, make=make) -> int:
            return sum([await connection.ask(make(number), 0x65) for number in numbers])

        began, used = time.perf_counter(), server.seconds()
        found = sum(await asyncio.gather(*map(some, connections)))
        took, spent = time.perf_counter() - began, server.seconds() - used
        print(
            f"{server.name:6} {name}: {count / took:.0f}/s, {spent / count * 1e3:.3f} ms of processor each, {found / count:.1f} entries"
        )
    await idle(server, tls)


async def idle(server: Server, tls: ssl.SSLContext) -> None:
    held = [await Connection().open(server, tls) for _ in range(50)]
    before = server.memory()
    held += [await Connection().open(server, tls) for _ in range(IDLE)]
    print(f"{server.name:6} idle connection, logged in: {(server.memory() - before) / IDLE:.1f} KiB")
    for each in held:
        each.writer.close()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ldap-compare-"))
    try:
        with ours(folder / "space") as (server, ca, certificate, key):
            tls = ssl.create_default_context(cafile=ca)
            tls.check_hostname = False
            asyncio.run(measure(server, tls))
        with slapd(folder / "slapd", ca, certificate, key) as server:
            asyncio.run(measure(server, tls))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
