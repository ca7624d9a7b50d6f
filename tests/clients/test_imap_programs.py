"""Real mail programs against our IMAP server: curl, mbsync, offlineimap, neomutt, imapclient. All on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.clients.programs import program
from tests.mailboxes.imap.harness import Pki, Running, make_pki, message, serving

pytestmark = pytest.mark.client
USER = "u1@op-a.mssante.test"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def running(tmp_path: Path, pki: Pki) -> AsyncIterator[Running]:
    async with serving(tmp_path, pki) as one:
        yield one


async def run(*words: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None, rc: int = 0) -> str:
    """Run a program to its end; its output, and its exit code checked."""
    if not shutil.which(str(words[0])):
        pytest.skip(f"{words[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(env or {})},
    )
    out, _ = await asyncio.wait_for(process.communicate(stdin), 120)
    text = out.decode("utf-8", "replace")
    assert process.returncode == rc, text
    return text


async def fill(running: Running, count: int, folder: str = "INBOX") -> None:
    client = await running.login()
    for number in range(count):
        await client.append(message(f"Message {number}", f"Texte {number}"), folder)
    await client.close()


# curl


async def test_curl_reads_a_message_over_imaps_and_starttls(running: Running, pki: Pki) -> None:
    await fill(running, 2)
    login = ("--cacert", str(pki.ca), "-u", f"{USER}:secret", "-s", "-S")
    read = await run("curl", *login, f"imaps://127.0.0.1:{running.imaps}/INBOX;UID=2")
    assert "Subject: Message 1\r\n" in read
    assert read.endswith("Texte 1\r\n")
    read = await run("curl", *login, "--ssl-reqd", f"imap://127.0.0.1:{running.imap}/INBOX;UID=1;SECTION=TEXT")
    assert read == "Texte 0\r\n"


async def test_curl_lists_searches_and_appends(running: Running, pki: Pki, tmp_path: Path) -> None:
    await fill(running, 3)
    login = ("--cacert", str(pki.ca), "-u", f"{USER}:secret", "-s", "-S")
    url = f"imaps://127.0.0.1:{running.imaps}/"
    assert '"/" INBOX' in await run("curl", *login, url)
    assert "* SEARCH 2" in await run("curl", *login, url + "INBOX?SUBJECT%20%22Message%201%22")
    mail = tmp_path / "one.eml"
    mail.write_bytes(message("Venu de curl"))
    await run("curl", *login, "-T", mail, url + "INBOX")
    client = await running.login(select="INBOX")
    assert await client.ok("SEARCH SUBJECT curl") == [b"* SEARCH 4"]
    await client.close()


async def test_curl_is_refused_without_tls_and_with_a_wrong_password(running: Running, pki: Pki) -> None:
    plain = f"imap://127.0.0.1:{running.imap}/"
    await run("curl", "-s", "-S", "-u", f"{USER}:secret", plain, rc=67)
    tls = f"imaps://127.0.0.1:{running.imaps}/"
    await run("curl", "-s", "-S", "--cacert", pki.ca, "-u", f"{USER}:wrong", tls, rc=67)


# mbsync


def mbsync_config(tmp_path: Path, running: Running, pki: Pki) -> Path:
    (tmp_path / "mail").mkdir(exist_ok=True)
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""IMAPStore far
Host localhost
Port {running.imaps}
User {USER}
Pass secret
SSLType IMAPS
CertificateFile {pki.ca}
AuthMechs LOGIN

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""
    )
    return config


def maildir(path: Path) -> list[Path]:
    return sorted([*(path / "cur").iterdir(), *(path / "new").iterdir()])


async def test_mbsync_goes_both_ways(running: Running, pki: Pki, tmp_path: Path) -> None:
    await fill(running, 5)
    config = mbsync_config(tmp_path, running, pki)
    await run("mbsync", "-c", config, "-a")
    inbox = tmp_path / "mail" / "INBOX"
    assert len(maildir(inbox)) == 5
    # a flag and an erasure here, a message and a flag there
    first, second = maildir(inbox)[:2]
    seen = first.name.split(":")[0] + ":2,FS"
    first.rename(inbox / "cur" / seen)
    second.unlink()
    (inbox / "new" / "123.near.host").write_bytes(message("Ecrit ici"))
    client = await running.login(select="INBOX")
    await client.ok("STORE 5 +FLAGS (\\Answered)")
    await client.append(message("Ecrit la-bas"))
    await run("mbsync", "-c", config, "-a")
    assert len(maildir(inbox)) == 6
    untagged = await client.ok("NOOP")
    assert any(line.endswith(b"EXPUNGE") for line in untagged)
    assert await client.ok('SEARCH SUBJECT "Ecrit"') == [b"* SEARCH 5 6"]
    assert await client.ok("SEARCH FLAGGED SEEN") == [b"* SEARCH 1"]
    assert sum(path.name.endswith("R") for path in maildir(inbox)) == 1
    # nothing left to do
    before = maildir(inbox)
    await run("mbsync", "-c", config, "-a")
    assert maildir(inbox) == before
    await client.close()


async def test_mbsync_creates_folders_both_ways(running: Running, pki: Pki, tmp_path: Path) -> None:
    config = mbsync_config(tmp_path, running, pki)
    client = await running.login()
    await client.ok('CREATE "Suivi/R&AOk-sultats"')
    await client.append(message("Au fond"), '"Suivi/R&AOk-sultats"')
    for sub in ("cur", "new", "tmp"):
        (tmp_path / "mail" / "Local" / sub).mkdir(parents=True)
    (tmp_path / "mail" / "Local" / "new" / "1.a.b").write_bytes(message("Local"))
    await run("mbsync", "-c", config, "-a")
    untagged = await client.ok("STATUS Local (MESSAGES)")
    assert untagged == [b"* STATUS Local (MESSAGES 1)"]
    near = [path for path in (tmp_path / "mail").rglob("new") if "sultats" in str(path)]
    assert len(near) == 1
    await client.close()


@pytest.mark.slow
async def test_mbsync_fetches_a_large_folder(running: Running, pki: Pki, tmp_path: Path) -> None:
    client = await running.login()
    for start in range(0, 2000, 100):
        many = b"".join(b" {%d+}\r\n%b" % (len(one), one) for one in (message(f"No {start + n}") for n in range(100)))
        assert (await client.command(b"APPEND INBOX" + many)).startswith(b"OK")
    await run("mbsync", "-c", mbsync_config(tmp_path, running, pki), "-a")
    assert len(maildir(tmp_path / "mail" / "INBOX")) == 2000
    await client.close()


# offlineimap


async def test_offlineimap_goes_both_ways(running: Running, pki: Pki, tmp_path: Path) -> None:
    await fill(running, 3)
    config = tmp_path / "offlineimaprc"
    config.write_text(
        f"""[general]
accounts = a
metadata = {tmp_path}/meta
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/off
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {running.imaps}
remoteuser = {USER}
remotepass = secret
ssl = yes
sslcacertfile = {pki.ca}
auth_mechanisms = PLAIN
"""
    )
    await run("offlineimap", "-o", "-c", config, env={"HOME": str(tmp_path)})
    inbox = tmp_path / "off" / "INBOX"
    assert len(maildir(inbox)) == 3
    (inbox / "new" / "99.local").write_bytes(message("Hors ligne"))
    maildir(inbox)[0].unlink()
    await run("offlineimap", "-o", "-c", config, env={"HOME": str(tmp_path)})
    client = await running.login(select="INBOX")
    assert await client.ok('SEARCH SUBJECT "Hors ligne"') != [b"* SEARCH"]
    assert await client.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 3)"]
    await client.close()


# neomutt


async def test_neomutt_moves_a_message(running: Running, pki: Pki, tmp_path: Path) -> None:
    await fill(running, 3)
    client = await running.login()
    await client.ok("CREATE Classement")
    rc = tmp_path / "neomuttrc"
    rc.write_text(
        f"""set folder = "imaps://{USER.replace("@", "%40")}@localhost:{running.imaps}/"
set imap_user = "{USER}"
set imap_pass = "secret"
set spoolfile = "+INBOX"
set certificate_file = "{pki.ca}"
set ssl_ca_certificates_file = "{pki.ca}"
set ssl_verify_host = no
set mailcap_path = "/dev/null"
set confirmappend = no
set delete = yes
set quit = yes
set move = no
set header_cache = ""
"""
    )
    keys = (
        "push <tag-pattern>~s<space>'Message 1'<enter><tag-prefix><save-message>+Classement<enter><sync-mailbox><exit>"
    )
    line = f'{program("neomutt")} -n -F {rc} -e "{keys}"'
    await run("script", "-qec", line, "/dev/null", env={"TERM": "xterm", "HOME": str(tmp_path)})
    assert await client.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 2)"]
    assert await client.ok("STATUS Classement (MESSAGES)") == [b"* STATUS Classement (MESSAGES 1)"]
    await client.close()


# imapclient


def _with_imapclient(running: Running, pki: Pki) -> dict[str, object]:
    import ssl

    context = ssl.create_default_context(cafile=str(pki.ca))
    found: dict[str, object] = {}
    with IMAPClient("localhost", port=running.imaps, ssl_context=context) as server:
        server.login(USER, "secret")
        found["folders"] = [name for _, _, name in server.list_folders()]
        server.create_folder("Été")
        server.append("Été", message("Accents"), flags=[b"\\Seen"])
        server.select_folder("Été")
        uids = server.search(["SUBJECT", "Accents"])
        found["fetched"] = server.fetch(uids, ["ENVELOPE", "FLAGS", "RFC822.SIZE", "INTERNALDATE"])[uids[0]]
        server.move(uids, "INBOX")
        server.select_folder("INBOX")
        server.idle()
        found["idle"] = server.idle_check(timeout=0)
        server.idle_done()
        found["sorted"] = server.sort("REVERSE DATE")
        found["threads"] = server.thread("REFERENCES")
        found["namespace"] = server.namespace()
        found["quota"] = server.get_quota_root("INBOX")
    return found


async def test_imapclient_does_a_day(running: Running, pki: Pki) -> None:
    found = await asyncio.to_thread(_with_imapclient, running, pki)
    assert "INBOX" in found["folders"]
    fetched = found["fetched"]
    assert fetched[b"FLAGS"] == (b"\\Seen",) or b"\\Seen" in fetched[b"FLAGS"]
    assert fetched[b"ENVELOPE"].subject == b"Accents"
    assert found["sorted"] == [1]
    assert found["threads"] == ((1,),)
