"""isync's mbsync against a running operator: a mailbox comes down, changes go up, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space, letter

pytestmark = pytest.mark.client


def configure(space: Space, home: Path) -> Path:
    box, where = space.box(space.a, index=1), space.a["imaps"]
    (home / "mail").mkdir()
    rc = home / "mbsyncrc"
    rc.write_text(
        f"IMAPAccount a\nHost localhost\nPort {where['port']}\nUser {box['login']}\n"
        f"Pass {box['device_password']}\nSSLType IMAPS\nCertificateFile {space.ca}\n\n"
        "IMAPStore far\nAccount a\n\n"
        f"MaildirStore near\nPath {home}/mail/\nInbox {home}/mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\nSyncState *\n",
        "ascii",
    )
    return rc


def sync(rc: Path) -> None:
    done = run(program("mbsync"), "-c", str(rc), "c")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_way_synchronisation(space: Space, tmp_path: Path) -> None:
    rc = configure(space, tmp_path)
    box = space.box(space.a, index=1)
    with space.imap(space.a, box) as imap:
        for number in range(20):
            imap.append("INBOX", "", None, letter(box["address"], box["address"], f"mbsync {number}").as_bytes())
    sync(rc)
    inbox = tmp_path / "mail" / "INBOX"
    files = sorted([*(inbox / "cur").iterdir(), *(inbox / "new").iterdir()])
    assert len(files) >= 20

    seen = next(path for path in files if "," in path.name and b"mbsync 3\n" in path.read_bytes().replace(b"\r", b""))
    target = inbox / "cur" / (seen.name.partition(":2,")[0] + ":2,FS")
    seen.rename(target)
    written = letter(box["address"], box["address"], "mbsync from below").as_bytes()
    (inbox / "new" / "1700000000.1_1.here").write_bytes(written)
    sync(rc)
    with space.imap(space.a, box) as imap:
        _, up = imap.search(None, "SUBJECT", '"mbsync from below"')
        assert len(up[0].split()) == 1
        _, flagged = imap.search(None, "FLAGGED", "SEEN", "SUBJECT", '"mbsync 3"')
        assert len(flagged[0].split()) == 1

        imap.store(up[0].split()[0].decode(), "+FLAGS", "\\Deleted")
        imap.expunge()
    sync(rc)
    left = [
        path for path in [*(inbox / "cur").iterdir(), *(inbox / "new").iterdir()] if b"from below" in path.read_bytes()
    ]
    assert not left
