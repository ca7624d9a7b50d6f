"""Thunderbird ESR, driven in a real window: it reads, sees a new message arrive by IDLE, sends, deletes and moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import thunderbird
from tests.clients.programs import program
from tests.clients.thunderbird import Thunderbird
from tests.space import running
from tests.space.running import Space, letter

pytestmark = [pytest.mark.client, pytest.mark.slow]


@pytest.fixture(scope="module")
def screen() -> Iterator[dict[str, str]]:
    for name in ("thunderbird", "Xvfb", "xdotool", "certutil"):
        program(name)
    with thunderbird.display() as environment:
        yield environment


def append(space: Space, operator: dict, box: dict, subject: str) -> None:
    with space.imap(operator, box) as imap:
        imap.append("INBOX", "", None, letter(box["address"], box["address"], subject).as_bytes(policy=running.SMTP))


def count(space: Space, operator: dict, box: dict, folder: str, *criteria: str) -> int:
    with space.imap(operator, box) as imap:
        imap.select(f'"{folder}"', readonly=True)
        return len(imap.search(None, *criteria)[1][0].split())


def emptied(space: Space, operator: dict, box: dict) -> None:
    """The mailbox without what other tests of this process were sent or left in it."""
    with space.imap(operator, box) as imap:
        for folder in ("INBOX", "Trash", "Archive"):
            if imap.select(f'"{folder}"')[0] == "OK" and imap.search(None, "ALL")[1][0]:
                imap.store("1:*", "+FLAGS", "\\Deleted")
                imap.expunge()


def kept(profile: Path, mark: str) -> bool:
    """Whether the mark is in what Thunderbird keeps of INBOX: its offline store or its summary."""
    found = [*profile.glob("ImapMail/**/INBOX"), *profile.glob("ImapMail/**/INBOX.msf")]
    return any(mark.encode() in path.read_bytes() for path in found)


def test_a_physician_s_morning(space: Space, screen: dict[str, str], tmp_path: Path) -> None:
    operator, box = space.b, space.box(space.b, index=1)
    append(space, operator, box, "tbird-premier-01")
    profile = thunderbird.make_profile(tmp_path, box, operator, space.ca)
    client = Thunderbird(profile, screen | {"HOME": str(tmp_path)}, box["login"], box["device_password"])
    client.start()
    try:
        client.window("Thunderbird")
        client.wait_until(lambda: kept(profile, "tbird-premier-01"), "the first message was not read")
        append(space, operator, box, "tbird-second-02")
        # Polling is set to an hour: what is known when the window closes came by IDLE.
        client.quit(after=20)
        assert kept(profile, "tbird-second-02"), "the new message was not announced by IDLE"
    finally:
        client.stop()


def test_a_message_is_written_and_sent(space: Space, screen: dict[str, str], tmp_path: Path) -> None:
    operator, box, reader = space.b, space.box(space.b, index=1), space.box(space.a)
    profile = thunderbird.make_profile(tmp_path, box, operator, space.ca)
    client = Thunderbird(profile, screen | {"HOME": str(tmp_path)}, box["login"], box["device_password"])
    client.start("-compose", f"to={reader['address']},subject=tbird-envoi-03,body=Bonjour de Thunderbird")
    try:
        client.focus(client.window("tbird-envoi-03"))
        client.press("ctrl+Return")
        client.wait_until(
            lambda: count(space, operator, box, "Sent", "SUBJECT", "tbird-envoi-03") == 1, "no copy in Sent"
        )
    finally:
        client.stop()
    raw = space.wait_for(space.a, reader, "tbird-envoi-03")
    assert b"Bonjour de Thunderbird" in raw
    assert b"User-Agent: Mozilla Thunderbird" in raw


def test_a_message_is_deleted_and_another_moved(space: Space, screen: dict[str, str], tmp_path: Path) -> None:
    """One unread message is deleted (to Trash), the other archived: both are a MOVE to another folder."""
    operator, box = space.b, space.box(space.b, "CAB")
    emptied(space, operator, box)
    append(space, operator, box, "tbird-garder-04")
    append(space, operator, box, "tbird-jeter-05")
    profile = thunderbird.make_profile(tmp_path, box, operator, space.ca)
    with (profile / "user.js").open("a", encoding="utf-8") as preferences:
        preferences.write('user_pref("mail.server.server1.delete_model", 1);\n')
        preferences.write('user_pref("mail.identity.id1.archive_granularity", 0);\n')
        login = box["login"].replace("@", "%40")
        preferences.write(f'user_pref("mail.identity.id1.archive_folder", "imap://{login}@localhost/Archive");\n')
        preferences.write('user_pref("mail.server.server1.trash_folder_name", "Trash");\n')
    client = Thunderbird(profile, screen | {"HOME": str(tmp_path)}, box["login"], box["device_password"])
    client.start()
    try:
        main = client.window("Thunderbird")
        client.wait_until(lambda: kept(profile, "tbird-jeter-05"), "the messages were not read")
        client.focus(main)
        client.press("n")  # go to the first unread message
        client.press("Delete")
        client.wait_until(lambda: count(space, operator, box, "Trash", "ALL") == 1, "the message was not deleted")
        client.focus(main)
        client.press("n", "a")
        client.wait_until(lambda: count(space, operator, box, "Archive", "ALL") == 1, "the message was not archived")
    finally:
        client.stop()
    assert count(space, operator, box, "INBOX", "NOT", "DELETED") == 0
