"""A user changes operator: folders, flags and dates follow, over IMAP and through an encrypted archive."""

from __future__ import annotations

import imaplib
import json
import subprocess
import sys
from pathlib import Path

from tests.space.running import ROOT, SMTP, Space, letter

COUNT = 55


def fill(space: Space, operator: dict, box: dict) -> None:
    with space.imap(operator, box) as imap:
        imap.create("Dossiers/2025")
        for number in range(COUNT):
            folder = "INBOX" if number % 5 else '"Dossiers/2025"'
            flags = "(\\Seen \\Flagged)" if number % 3 == 0 else ""
            date = imaplib.Time2Internaldate(1_700_000_000 + number * 3600)
            message = letter(box["address"], box["address"], f"déménagement {number}").as_bytes(policy=SMTP)
            assert imap.append(folder, flags, date, message)[0] == "OK"


def content(space: Space, operator: dict, box: dict, folder: str) -> list[tuple[bytes, bytes]]:
    """(flags and date, message) of every message of a folder."""
    with space.imap(operator, box) as imap:
        imap.select(f'"{folder}"', readonly=True)
        _, data = imap.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        found = [item for item in data if isinstance(item, tuple)]
        return sorted((b" ".join(head.split(b"(", 1)[1].split(b" BODY")[0].split()[:12]), body) for head, body in found)


def run(space: Space, operator: dict, *words: str, answer: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "gateway.cli",
        "--config",
        operator["config"],
        "mailbox",
        *words,
        "--stdin",
        "--json",
    ]
    return subprocess.run(
        command, input=answer + "\n", capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )


def test_a_user_arrives_from_another_operator(space: Space) -> None:
    old, new = space.box(space.b, "CAB"), space.box(space.a, "CAB")
    fill(space, space.b, old)
    where = space.b["imaps"]
    place = f"imaps://{old['login'].replace('@', '%40')}@localhost:{where['port']}"
    done = run(space, space.a, "import", new["address"], place, "--ca", space.ca, answer=old["device_password"])
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["moved"] >= COUNT
    assert report["refused"] == []
    for folder in ("INBOX", "Dossiers/2025"):
        theirs = [body for _, body in content(space, space.b, old, folder)]
        ours = [body for _, body in content(space, space.a, new, folder)]
        assert theirs == ours
    again = run(space, space.a, "import", new["address"], place, "--ca", space.ca, answer=old["device_password"])
    assert json.loads(again.stdout)["moved"] == 0


def test_a_user_leaves_with_an_encrypted_archive_and_comes_back(space: Space, tmp_path: Path) -> None:
    box, other = space.box(space.b, index=1), space.box(space.a, index=1)
    with space.imap(space.b, box) as imap:
        imap.append(
            "INBOX", "(\\Answered)", None, letter(box["address"], box["address"], "archive 1").as_bytes(policy=SMTP)
        )
    path = str(tmp_path / "boite.zip")
    left = run(space, space.b, "export", box["address"], path, answer="phrase d'essai")
    assert left.returncode == 0, left.stderr
    assert b"archive 1" not in Path(path).read_bytes()
    wrong = run(space, space.a, "import", other["address"], path, answer="autre phrase")
    assert wrong.returncode == 3
    back = run(space, space.a, "import", other["address"], path, answer="phrase d'essai")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["digest"] == json.loads(left.stdout)["digest"]
    assert any(b"archive 1" in body for _, body in content(space, space.a, other, "INBOX"))


def test_a_wrong_password_or_a_plain_server_is_a_clear_no(space: Space) -> None:
    box = space.box(space.b)
    place = f"imaps://{box['login'].replace('@', '%40')}@localhost:{space.b['imaps']['port']}"
    done = run(space, space.a, "import", space.box(space.a)["address"], place, "--ca", space.ca, answer="faux")
    assert done.returncode == 3
    assert "faux" not in done.stderr
    said = done.stderr.replace(" :", ":")
    assert f"{box['login']}: [AUTHENTICATIONFAILED]" in said  # the server's words, not how Python quotes them
    assert "where it stopped" not in done.stderr  # the same command would only fail again
    unknown = run(space, space.a, "import", space.box(space.a)["address"], place, answer=box["device_password"])
    assert unknown.returncode == 3  # an authority we do not know
    assert "--ca" in unknown.stderr
    half = space.facts["pki"]["revoked"]["client_cert"]  # holds the intermediate authority, but no root
    for words, code in [
        (("--ca", half), 3),
        (("--ca", str(Path(space.ca).parent / "absent.pem")), 2),
        (("--ca", box_file(space)), 2),
    ]:
        done = run(space, space.a, "import", space.box(space.a)["address"], place, *words, answer="x")
        assert done.returncode == code, done.stderr
        assert "--ca" in done.stderr
        assert "Traceback" not in done.stderr


def box_file(space: Space) -> str:
    """A file that holds no certificate."""
    return str(space.a["config"])


def test_a_place_that_cannot_be_is_a_clear_no(space: Space, tmp_path: Path) -> None:
    address = space.box(space.a)["address"]
    (tmp_path / "mine").write_text("x")
    for words, code, said in [
        (("import", address, "imaps://no-user:port"), 2, "imaps://"),
        (("import", address, str(tmp_path / "absent")), 2, "absent"),
        (("import", address, str(tmp_path / "mine")), 3, "mine"),
        (("export", address, str(tmp_path / "absent" / "a")), 3, "absent"),
        (("export", address, str(tmp_path / "mine")), 2, "mine"),
        (("export", address, str(tmp_path / "a"), "--report", str(tmp_path / "absent" / "r")), 3, "absent"),
    ]:
        done = run(space, space.a, *words, answer="phrase d'essai")
        assert done.returncode == code, (words, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not done.stdout
