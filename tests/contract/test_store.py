"""What every database must do behind :class:`mailboxes.store.MailStore`."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

import pytest

from mailboxes import provision, upkeep
from mailboxes.seal import FRAME
from mailboxes.sql import Sql
from mailboxes.sqlstore import SqlStore
from mailboxes.store import (
    Corrupted,
    Delivery,
    FlagChange,
    FolderExists,
    MailboxGone,
    NewMessage,
    NoSuchFolder,
    OverQuota,
    Placed,
    StoreError,
)
from mailboxes.unit import Unit
from policies.events import Event, Kind
from tests import stores

INBOX = 1


def message(content: bytes = b"Subject: x\r\n\r\nbody\r\n", flags: str = "", **more: int) -> NewMessage:
    return NewMessage(content, b"summary of " + content[:20], flags, **more)


async def fill(store: SqlStore, count: int, folder_id: int = INBOX) -> list[int]:
    messages = [message(b"message %d" % number) for number in range(count)]
    _, appended = await store.append(1, folder_id, messages)
    return [one.uid for one in appended]


async def change(store: SqlStore, uids: list[int], operation: str, *flags: str, unchanged: int | None = None):
    return await store.store_flags(1, INBOX, uids, FlagChange(operation, frozenset(flags), unchanged))


async def refs(store: SqlStore) -> dict[int, int]:
    def read(connection):
        return dict(tuple(row) for row in connection.exec_driver_sql("SELECT body_id, refs FROM body").all())

    return await store.reading.run(read)


# folders


async def test_a_new_mailbox_has_the_six_folders(store: SqlStore) -> None:
    folders = {folder.name: folder for folder in await store.folders(1)}
    assert {name: folder.special_use for name, folder in folders.items()} == {
        "INBOX": "",
        "Sent": "\\Sent",
        "Drafts": "\\Drafts",
        "Trash": "\\Trash",
        "Junk": "\\Junk",
        "Archive": "\\Archive",
    }
    assert folders["INBOX"].id == INBOX
    assert all(folder.subscribed and folder.uidnext == 1 for folder in folders.values())
    assert len({folder.object_id for folder in folders.values()}) == 6


async def test_inbox_is_found_in_any_case(store: SqlStore) -> None:
    assert (await store.folder(1, "inBox")).id == INBOX


async def test_a_folder_of_another_mailbox_is_not_found(store: SqlStore) -> None:
    created = await store.create_folder(2, "Private")
    with pytest.raises(NoSuchFolder):
        await store.folder(1, "Private")
    with pytest.raises(NoSuchFolder):
        await store.snapshot(1, created.id)


async def test_a_folder_cannot_exist_twice(store: SqlStore) -> None:
    with pytest.raises(FolderExists):
        await store.create_folder(1, "Sent")


async def test_no_folder_is_created_where_no_mailbox_is(store: SqlStore) -> None:
    with pytest.raises(MailboxGone):
        await store.create_folder(77, "Sent")


async def test_uidvalidity_grows_when_a_name_comes_back(store: SqlStore) -> None:
    first = await store.create_folder(1, "Lab", "\\Important")
    await store.delete_folder(1, first.id)
    second = await store.create_folder(1, "Lab")
    assert second.uidvalidity > first.uidvalidity
    assert second.id != first.id
    assert (first.special_use, second.special_use) == ("\\Important", "")


async def test_deleting_a_folder_releases_its_bodies(store: SqlStore) -> None:
    folder = await store.create_folder(1, "Lab")
    await fill(store, 3, folder.id)
    await store.delete_folder(1, folder.id)
    assert await refs(store) == {}
    with pytest.raises(NoSuchFolder):
        await store.snapshot(1, folder.id)
    with pytest.raises(StoreError):
        await store.delete_folder(1, INBOX)


async def test_renaming_takes_inferiors_along(store: SqlStore) -> None:
    lab = await store.create_folder(1, "Lab")
    await store.create_folder(1, "Lab/2026")
    await store.create_folder(1, "Laboratory")
    uids = await fill(store, 1, lab.id)
    await store.rename_folder(1, lab.id, "Biology")
    names = [folder.name for folder in await store.folders(1)]
    assert "Biology/2026" in names
    assert "Laboratory" in names
    assert "Lab" not in names
    renamed = await store.folder(1, "Biology")
    assert (renamed.id, renamed.uidvalidity, renamed.object_id) == (lab.id, lab.uidvalidity, lab.object_id)
    assert [entry.uid for entry in (await store.snapshot(1, lab.id)).entries] == uids


async def test_renaming_onto_a_name_that_exists_changes_nothing(store: SqlStore) -> None:
    lab = await store.create_folder(1, "Lab")
    await store.create_folder(1, "Lab/2026")
    await store.create_folder(1, "Biology/2026")
    with pytest.raises(FolderExists):
        await store.rename_folder(1, lab.id, "Biology")
    with pytest.raises(FolderExists):
        await store.rename_folder(1, lab.id, "Lab/inside")
    assert (await store.folder(1, "Lab/2026")).name == "Lab/2026"


async def test_renaming_inbox_moves_its_messages(store: SqlStore) -> None:
    await fill(store, 2)
    await store.rename_folder(1, INBOX, "Old mail")
    assert (await store.snapshot(1, INBOX)).entries == []
    assert (await store.folder(1, "INBOX")).uidnext == 3
    assert (await store.folder(1, "Old mail")).messages == 2


async def test_subscriptions_do_not_need_a_folder(store: SqlStore) -> None:
    await store.subscribe(1, "Not there", True)
    await store.subscribe(1, "Not there", True)
    await store.subscribe(1, "Sent", False)
    assert "Not there" in await store.subscriptions(1)
    assert not (await store.folder(1, "Sent")).subscribed


async def texts(store: SqlStore, *columns: str) -> list[Any]:
    """What the database holds, as whoever copied it would read it."""

    def read(connection):
        return [text for one in columns for text in connection.exec_driver_sql(one).scalars()]

    return await store.reading.run(read)


NAMES = ("SELECT name FROM folder ORDER BY mailbox_id, id", "SELECT name FROM subscription ORDER BY mailbox_id")


async def test_names_of_folders_are_sealed(store: SqlStore) -> None:
    """Physicians name folders after patients. The same name is another text in another mailbox, and tells no length."""
    for mailbox in (1, 2):
        await store.create_folder(mailbox, "Dupont")
        await store.create_folder(mailbox, "Dupont/Jean")
        await store.subscribe(mailbox, "Dupont", True)
    held = await texts(store, *NAMES)
    assert [name for name in held if "Dupont" in name or "Sent" in name] == []
    assert held.count("INBOX") == 4
    assert {len(name) for name in held if name != "INBOX"} == {len(held[1])}
    assert len(set(held)) == 1 + 2 * (5 + 2)  # folders, of which some are subscribed to
    assert (await store.folder(1, "Dupont")).subscribed


async def test_a_name_sealed_for_another_mailbox_or_altered_is_none(store: SqlStore) -> None:
    made = await store.create_folder(2, "Dupont")
    (foreign,) = await texts(store, f"SELECT name FROM folder WHERE mailbox_id = 2 AND id = {made.id}")
    for wrong in (foreign, "Dupont", "é", ""):
        move = f"UPDATE folder SET name = '{wrong}' WHERE mailbox_id = 1 AND id = 3"
        await store.committer.run(lambda unit, move=move: unit.connection.exec_driver_sql(move))
        with pytest.raises(Corrupted):
            await store.folders(1)


async def test_a_mailbox_that_was_never_made_lends_its_key_to_nobody(store: SqlStore) -> None:
    """Its transaction failed: the next one of its number has another key, and its names must open under that."""

    def fail(unit: Unit) -> None:
        store.provision(unit, 3, 0)
        raise LookupError

    with pytest.raises(LookupError):
        await store.committer.run(fail)
    await store.committer.run(lambda unit: store.provision(unit, 3, 0))
    store.keyring.forget(3)
    assert len(await store.folders(3)) == 6


async def test_names_that_an_older_release_left_in_clear_are_sealed_once(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_IN_CLEAR", Sql(upkeep._IN_CLEAR._sqlite.replace("LIMIT 50", "LIMIT 1"), lock=True))
    lab = await store.create_folder(1, "Dupont")

    def older(unit: Unit) -> None:
        for statement in (
            f"UPDATE folder SET name = 'Dupont é' WHERE mailbox_id = 1 AND id = {lab.id}",
            "DELETE FROM folder WHERE id NOT IN (1, 7)",
            "DELETE FROM subscription",
            "INSERT INTO subscription VALUES (1, 'INBOX'), (1, 'Dupont é'), (2, 'Durand')",
            "INSERT INTO folder SELECT 2, 7, 'Durand', '', 'F2', 2, 1, 1, 0, 0, 0, 0",
            "INSERT INTO names_in_clear VALUES (1), (2), (9)",  # the last one's key is destroyed
        ):
            unit.connection.exec_driver_sql(statement)

    await store.committer.run(older)
    for _ in range(2):
        after: int | None = 0
        while after is not None:
            after = await store.committer.run(partial(upkeep.seal_names, keyring=store.keyring, after=after))
        assert [folder.name for folder in await store.folders(1)] == ["Dupont é", "INBOX"]
        assert await store.subscriptions(1) == ["Dupont é", "INBOX"]
        assert [folder.name for folder in await store.folders(2)] == ["Durand", "INBOX"]
        assert await store.subscriptions(2) == ["Durand"]
    assert [name for name in await texts(store, *NAMES) if name.startswith("Du")] == []
    assert await texts(store, "SELECT mailbox_id FROM names_in_clear") == [9]


FLAGS = "SELECT flags FROM entry ORDER BY mailbox_id, folder_id, uid"


@pytest.mark.parametrize("at_once", [1, 2, 3, 9, 10, 11, 20_000])
async def test_a_folder_is_read_packed_as_its_rows_are(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("mailboxes.packed.AT_ONCE", at_once)
    assert (await store.snapshot(1, INBOX)).packed == ([], [], set(), [])
    flags = ["", "a,b", "\\Seen", "", "\\Flagged \\Seen $Junk", "Dupont_Jean", "a,b", "", "", "\\Draft", "", ""]
    messages = [message(b"n" * number, one, internal_date=1 << number * 3) for number, one in enumerate(flags)]
    _, appended = await store.append(1, INBOX, messages)
    await change(store, [appended[3].uid, appended[-1].uid], "add", "\\Deleted")
    await store.expunge(1, INBOX, None)
    read, rows = await store.snapshot(1, INBOX), (await store.changes(1, INBOX, 0)).changed
    assert read.entries == rows
    assert len(rows) == read.folder.messages == 10
    assert [type(value) for value in read.entries[0]] == [type(value) for value in rows[0]]
    assert read.packed.uids == [entry.uid for entry in rows]
    assert read.packed.flags == [entry.flags for entry in rows]
    assert read.packed.spoken == set(flags)
    assert len(read.packed.portions) == -(-10 // at_once)


async def test_keywords_are_sealed_whatever_sets_them(store: SqlStore) -> None:
    """Physicians make labels of patients' names. APPEND, STORE, COPY, MOVE, REPLACE and a delivery write none in clear."""
    sent = await store.folder(1, "Sent")
    _, [first] = await store.append(1, INBOX, [message(flags="\\Seen Dupont_Jean $Forwarded")])
    added = await store.append_to(1, "INBOX", [message(flags="Dupont_Jean")])
    assert added.entries[0].flags == "Dupont_Jean"
    stored = await change(store, [first.uid], "add", "Diabete", "dupont_JEAN")
    assert stored.changed[0].flags == "\\Seen $Forwarded Diabete Dupont_Jean"
    assert (await store.changes(1, INBOX, 0)).changed == (await store.snapshot(1, INBOX)).entries
    await store.copy(1, INBOX, [first.uid], sent.id)
    await store.copy(1, INBOX, [first.uid], sent.id, kept=frozenset(("\\*",)))
    await store.move(1, INBOX, [first.uid], sent.id)
    await store.replace(1, INBOX, added.entries[0].uid, INBOX, message(flags="Dupont_Jean"))
    sealed = await store.sealer.seal(b"new", b"summary")
    outcomes = await store.committer.run(
        lambda unit: (
            store.put_body(unit, [sealed]),
            store.deliver(unit, [Delivery(sealed, 2, 5, flags="Dupont_Jean")]),
        )
    )
    assert isinstance(outcomes[1][0], Placed)
    flags = [entry.flags for folder in (INBOX, sent.id) for entry in (await store.snapshot(1, folder)).entries]
    assert flags == [
        "Dupont_Jean",
        "\\Seen $Forwarded Diabete Dupont_Jean",
        "$Forwarded Diabete Dupont_Jean",
        "\\Seen $Forwarded Diabete Dupont_Jean",
    ]
    assert [entry.flags for entry in (await store.snapshot(2, INBOX)).entries] == ["Dupont_Jean"]
    held = await texts(store, FLAGS)
    assert [text for text in held if "Dup" in text or "dup" in text or "Diab" in text] == []
    assert held[0] != held[-1]  # the same word in another mailbox
    assert len({token for text in held for token in text.split(" ") if token.startswith("%")}) == 3


async def test_a_keyword_that_does_not_open_harms_no_folder(store: SqlStore) -> None:
    """It is not told, stays through other changes, and goes when the flags are replaced as a whole."""
    [uid] = await fill(store, 1)
    foreign = "%AAAA"
    damage = Sql("UPDATE entry SET flags = ?")
    await store.committer.run(lambda unit: damage(unit.cursor, f"\\Flagged {foreign}") and None)
    assert [entry.flags for entry in (await store.snapshot(1, INBOX)).entries] == ["\\Flagged"]
    assert (await change(store, [uid], "add", "Dupont")).changed[0].flags == "\\Flagged Dupont"
    assert (await change(store, [uid], "remove", "\\Flagged", "Dupont")).changed[0].flags == ""
    assert await texts(store, FLAGS) == [foreign]
    await change(store, [uid], "set", "\\Seen")
    assert await texts(store, FLAGS) == ["\\Seen"]


async def test_keywords_that_an_older_release_left_in_clear_are_sealed_portion_by_portion(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that was cut goes on; MODSEQs stay, because to mail programs nothing changed."""
    monkeypatch.setattr(upkeep, "KEYWORDS_TOGETHER", 3)
    monkeypatch.setattr(upkeep, "MAILBOX_COST", 1)
    uids = await fill(store, 7)
    await change(store, uids[5:], "add", "Dupont_Jean")  # sealed already
    await store.copy(1, INBOX, uids, (await store.folder(1, "Sent")).id)
    before = (await store.snapshot(1, INBOX)).entries

    def older(unit: Unit) -> None:
        for statement in (
            "UPDATE entry SET flags = 'Dupont_Jean $Junk' WHERE uid IN (1, 3)",
            "UPDATE entry SET flags = 'Durand' WHERE uid = 2 AND folder_id <> 1",
            "INSERT INTO keywords_in_clear VALUES (1), (2), (9)",  # the last one's key is destroyed
        ):
            unit.connection.exec_driver_sql(statement)

    await store.committer.run(older)
    for steps in (2, 99):
        after: upkeep.Place | None = (0, 0, 0)
        while after is not None and steps:
            after = await store.committer.run(partial(upkeep.seal_keywords, keyring=store.keyring, after=after))
            steps -= 1
    assert after is None
    entries = (await store.snapshot(1, INBOX)).entries
    assert [entry.flags for entry in entries] == [
        "$Junk Dupont_Jean",
        "",
        "$Junk Dupont_Jean",
        "",
        "",
        *["Dupont_Jean"] * 2,
    ]
    assert [entry[:2] for entry in entries] == [entry[:2] for entry in before]
    held = await texts(store, FLAGS)
    assert [text for text in held if "Du" in text] == []
    assert len({word for text in held for word in text.split(" ") if word.startswith("%")}) == 2
    assert await texts(store, "SELECT mailbox_id FROM keywords_in_clear") == [9]


# messages


async def test_what_was_appended_is_read_back_byte_for_byte(store: SqlStore) -> None:
    content = os.urandom(5000) + b"\r\n.\r\n\0"
    given = NewMessage(content, b"the summary", "\\seen \\Recent Work $Forwarded \\Seen", 1_600_000_000, 42)
    uidvalidity, [appended] = await store.append(1, INBOX, [given])
    snapshot = await store.snapshot(1, INBOX)
    [entry] = snapshot.entries
    assert uidvalidity == snapshot.folder.uidvalidity
    assert (entry.uid, entry.modseq, entry.body_id) == (appended.uid, appended.modseq, appended.body_id)
    assert entry.flags == "\\Seen $Forwarded Work"
    assert (entry.size, entry.internal_date, entry.thread_id) == (len(content), 1_600_000_000, 42)
    assert await store.bodies(1, [entry]) == [content]
    assert await store.summaries(1, [entry]) == [b"the summary"]
    reader = await store.open_body(1, entry)
    assert reader.size == len(content)
    assert await reader.read(4990, 100) == content[4990:5090]


async def test_an_empty_message_is_a_message(store: SqlStore) -> None:
    await store.append(1, INBOX, [message(b"")])
    snapshot = await store.snapshot(1, INBOX)
    assert await store.bodies(1, snapshot.entries) == [b""]


async def test_appending_several_is_all_or_none(store: SqlStore) -> None:
    await store.committer.run(lambda unit: store.set_quota(unit, 1, 100))
    with pytest.raises(OverQuota):
        await store.append(1, INBOX, [message(b"x" * 60), message(b"x" * 60)])
    assert (await store.snapshot(1, INBOX)).entries == []
    assert await refs(store) == {}
    await store.append(1, INBOX, [message(b"x" * 60)])
    quota = await store.quota(1)
    assert (quota.bytes_used, quota.bytes_limit, quota.messages) == (60, 100, 1)


async def test_appending_to_a_folder_that_is_gone_keeps_nothing(store: SqlStore) -> None:
    with pytest.raises(NoSuchFolder):
        await store.append(1, 99, [message()])
    assert await refs(store) == {}


async def test_counters_follow_every_change(store: SqlStore) -> None:
    uids = await fill(store, 4)
    await change(store, uids[:2], "add", "\\Seen")
    await change(store, uids[1:], "add", "\\Deleted")
    folder = await store.folder(1, "INBOX")
    assert (folder.messages, folder.unseen, folder.bytes) == (4, 2, 4 * len(b"message 0"))
    await store.expunge(1, INBOX, None)
    folder = await store.folder(1, "INBOX")
    assert (folder.messages, folder.unseen, folder.uidnext) == (1, 0, 5)


async def test_flags_are_set_added_and_removed(store: SqlStore) -> None:
    [uid] = await fill(store, 1)
    await change(store, [uid], "add", "\\Flagged", "Urgent")
    stored = await change(store, [uid], "add", "urgent", "\\SEEN")
    assert stored.changed[0].flags == "\\Flagged \\Seen Urgent"
    stored = await change(store, [uid], "remove", "URGENT", "\\flagged")
    assert stored.changed[0].flags == "\\Seen"
    stored = await change(store, [uid], "set", "\\Draft")
    assert stored.changed[0].flags == "\\Draft"
    assert stored.highestmodseq == stored.changed[0].modseq


async def test_a_change_of_nothing_keeps_the_modseq(store: SqlStore) -> None:
    [uid] = await fill(store, 1)
    first = await change(store, [uid], "add", "\\Seen")
    again = await change(store, [uid], "add", "\\Seen")
    assert again.highestmodseq == first.highestmodseq
    assert again.changed == first.changed


async def test_unchanged_since_protects_what_changed_meanwhile(store: SqlStore) -> None:
    uids = await fill(store, 3)
    before = (await store.folder(1, "INBOX")).highestmodseq
    await change(store, [uids[1]], "add", "\\Flagged")
    stored = await change(store, uids, "add", "\\Seen", unchanged=before)
    assert stored.modified == [uids[1]]
    assert [entry.uid for entry in stored.changed] == [uids[0], uids[2]]


async def test_an_unknown_flag_operation_is_an_error(store: SqlStore) -> None:
    uids = await fill(store, 1)
    with pytest.raises(ValueError, match="flag operation"):
        await change(store, uids, "toggle", "\\Seen")


async def test_copies_share_the_body_and_count_toward_the_quota(store: SqlStore) -> None:
    uids = await fill(store, 3)
    sent = await store.folder(1, "Sent")
    copied = await store.copy(1, INBOX, [uids[2], uids[0], 999], sent.id)
    assert copied.source == [uids[0], uids[2]]
    assert copied.destination == [1, 2]
    assert copied.uidvalidity == sent.uidvalidity
    there = await store.snapshot(1, sent.id)
    assert await store.bodies(1, there.entries) == [b"message 0", b"message 2"]
    assert sorted((await refs(store)).values()) == [1, 2, 2]
    await store.committer.run(lambda unit: store.set_quota(unit, 1, 46))
    with pytest.raises(OverQuota):
        await store.copy(1, INBOX, uids, sent.id)
    assert (await store.quota(1)).messages == 5


async def test_the_last_reference_takes_the_body_away(store: SqlStore) -> None:
    uids = await fill(store, 2)
    sent = await store.folder(1, "Sent")
    await store.copy(1, INBOX, uids[:1], sent.id)
    await change(store, uids, "add", "\\Deleted")
    assert await store.expunge(1, INBOX, None) == uids
    assert list((await refs(store)).values()) == [1]
    [kept] = (await store.snapshot(1, sent.id)).entries
    assert await store.bodies(1, [kept]) == [b"message 0"]


async def test_a_large_message_is_read_to_its_end_whoever_erases_it(store: SqlStore) -> None:
    content = os.urandom(3 * FRAME)
    _, [added] = await store.append(1, INBOX, [message(content)])
    [entry] = (await store.snapshot(1, INBOX)).entries
    reader = await store.open_body(1, entry)
    assert await reader.read(0, 1000) == content[:1000]
    await change(store, [added.uid], "add", "\\Deleted")
    assert await store.expunge(1, INBOX, None) == [added.uid]
    await store.settle()
    assert [found async for found in store.blobs.stored()] == []
    assert await reader.read(1000, len(content)) == content[1000:]


async def test_moving_gives_new_uids_and_leaves_a_trace(store: SqlStore) -> None:
    uids = await fill(store, 2)
    before = (await store.folder(1, "INBOX")).highestmodseq
    trash = await store.folder(1, "Trash")
    moved = await store.move(1, INBOX, uids[:1], trash.id)
    assert (moved.source, moved.destination) == ([uids[0]], [1])
    changes = await store.changes(1, INBOX, before)
    assert (changes.vanished, changes.changed) == ([uids[0]], [])
    assert list((await refs(store)).values()) == [1, 1]


async def test_moving_within_a_folder_renumbers(store: SqlStore) -> None:
    uids = await fill(store, 2)
    moved = await store.move(1, INBOX, uids[:1], INBOX)
    assert moved.destination == [3]
    snapshot = await store.snapshot(1, INBOX)
    assert [entry.uid for entry in snapshot.entries] == [2, 3]
    assert snapshot.folder.messages == 2
    assert snapshot.folder.uidnext == 4


async def test_expunge_takes_only_what_is_deleted_and_named(store: SqlStore) -> None:
    uids = await fill(store, 3)
    await change(store, uids[:2], "add", "\\Deleted")
    assert await store.expunge(1, INBOX, uids[1:]) == [uids[1]]
    assert await store.expunge(1, INBOX, []) == []
    assert await store.expunge(1, INBOX, None) == [uids[0]]


async def test_changes_tell_what_came_what_changed_and_what_went(store: SqlStore) -> None:
    uids = await fill(store, 3)
    since = (await store.folder(1, "INBOX")).highestmodseq
    assert (await store.changes(1, INBOX, since)).changed == []
    await change(store, uids[:1], "add", "\\Seen")
    await change(store, uids[1:2], "add", "\\Deleted")
    await store.expunge(1, INBOX, None)
    new = await fill(store, 1)
    changes = await store.changes(1, INBOX, since)
    assert [entry.uid for entry in changes.changed] == [uids[0], *new]
    assert changes.vanished == [uids[1]]
    assert changes.uidnext == new[0] + 1
    assert changes.highestmodseq == (await store.folder(1, "INBOX")).highestmodseq


async def test_replace_is_one_change(store: SqlStore) -> None:
    uids = await fill(store, 2)
    uidvalidity, appended = await store.replace(1, INBOX, uids[0], INBOX, message(b"second draft"))
    snapshot = await store.snapshot(1, INBOX)
    assert [entry.uid for entry in snapshot.entries] == [uids[1], appended.uid]
    assert snapshot.folder.messages == 2
    assert uidvalidity == snapshot.folder.uidvalidity
    drafts = await store.folder(1, "Drafts")
    await store.replace(1, INBOX, appended.uid, drafts.id, message(b"third draft"))
    assert [entry.uid for entry in (await store.snapshot(1, INBOX)).entries] == [uids[1]]
    assert (await store.folder(1, "Drafts")).messages == 1
    assert len(await refs(store)) == 2


async def test_a_sparse_choice_of_uids_is_served_like_a_dense_one(store: SqlStore) -> None:
    uids = await fill(store, 300)
    chosen = uids[::60]
    stored = await change(store, chosen, "add", "\\Seen")
    assert [entry.uid for entry in stored.changed] == chosen


# metadata


async def test_metadata_is_kept_per_folder_and_removed_by_none(store: SqlStore) -> None:
    await store.set_metadata(1, INBOX, {"/private/comment": b"for Dr Test", "/shared/x": b""})
    await store.set_metadata(1, 0, {"/private/vendor": b"\0\xff"})
    await store.set_metadata(1, INBOX, {"/private/comment": b"changed", "/shared/x": None})
    assert await store.metadata(1, INBOX) == {"/private/comment": b"changed"}
    assert await store.metadata(1, 0) == {"/private/vendor": b"\0\xff"}
    held = await texts(store, "SELECT value FROM folder_metadata")
    assert [value for value in map(bytes, held) if b"changed" in value] == []
    assert await store.metadata(2, INBOX) == {}
    with pytest.raises(NoSuchFolder):
        await store.set_metadata(1, 99, {"/private/comment": b""})


async def test_a_special_use_is_given_and_taken(store: SqlStore) -> None:
    folder = await store.create_folder(1, "Indésirables")
    await store.set_metadata(1, folder.id, {"/private/x": b"1"}, "\\Junk")
    assert (await store.folder(1, "Indésirables")).special_use == "\\Junk"
    await store.set_metadata(1, folder.id, {})
    assert (await store.folder(1, "Indésirables")).special_use == "\\Junk"
    await store.set_metadata(1, folder.id, {}, "")
    assert (await store.folder(1, "Indésirables")).special_use == ""
    assert await store.metadata(1, folder.id) == {"/private/x": b"1"}


async def test_a_mark_is_raised_and_each_step_is_given_once(store: SqlStore) -> None:
    steps = await asyncio.gather(*[store.raise_mark(1, INBOX, "x/mark", value) for value in (3, 9, 9, 5)])
    assert steps.count(0) == 1  # one was first, nobody else could think so
    assert await store.metadata(1, INBOX) == {"x/mark": b"9"}
    assert await store.raise_mark(1, INBOX, "x/mark", 4) == 9
    assert await store.raise_mark(1, 2, "x/mark", 4) == 0
    with pytest.raises(NoSuchFolder):
        await store.raise_mark(1, 99, "x/mark", 1)
    await fill(store, 10)
    await fill(store, 2, 3)
    assert await store.beyond(1, [INBOX, 2, 3], "x/mark") == {INBOX: 2, 2: 0, 3: 2}


# the gateway's own transaction


async def sealed(store: SqlStore, content: bytes):
    return await store.sealer.seal(content, b"summary")


async def test_one_message_reaches_many_mailboxes_once_encrypted(store: SqlStore) -> None:
    one, two = await sealed(store, b"to both"), await sealed(store, b"to one")

    def accept(unit):
        store.put_body(unit, [one, two])
        return store.deliver(
            unit,
            [
                Delivery(one, 1, 0),
                Delivery(one, 2, 0, folder="Archive", flags="\\Flagged"),
                Delivery(two, 1, 5, folder="No such folder"),
                Delivery(two, 404, 0),
            ],
        )

    first, second, third, fourth = await store.committer.run(accept)
    assert (first.uid, third.uid, third.folder_id) == (1, 2, INBOX)
    assert isinstance(second, Placed)
    assert isinstance(fourth, MailboxGone)
    inbox = await store.snapshot(1, INBOX)
    assert await store.bodies(1, inbox.entries) == [b"to both", b"to one"]
    assert inbox.entries[1].internal_date == 5
    archive = await store.snapshot(2, second.folder_id)
    assert await store.bodies(2, archive.entries) == [b"to both"]
    assert archive.entries[0].flags == "\\Flagged"
    assert archive.entries[0].key != inbox.entries[0].key
    assert (archive.folder.name, archive.folder.unseen) == ("Archive", 1)
    assert await refs(store) == {one.body_id: 2, two.body_id: 1}


async def test_a_full_mailbox_refuses_alone(store: SqlStore) -> None:
    await store.committer.run(lambda unit: store.set_quota(unit, 1, 10))
    one = await sealed(store, b"123456")

    def accept(unit):
        store.put_body(unit, [one])
        return store.deliver(unit, [Delivery(one, 1, 0), Delivery(one, 2, 0), Delivery(one, 1, 0)])

    first, second, third = await store.committer.run(accept)
    assert isinstance(first, Placed)
    assert isinstance(second, Placed)
    assert isinstance(third, OverQuota)
    assert await refs(store) == {one.body_id: 2}


async def test_the_queue_holds_a_body_and_lets_it_go(store: SqlStore) -> None:
    one = await sealed(store, b"to a partner")
    wrapped = store.sealer.wrap(one, 0)

    def accept(unit):
        store.put_body(unit, [one])
        store.hold_body(unit, one, 2)

    await store.committer.run(accept)
    reader = await store.open_queued(one.body_id, wrapped)
    assert await reader.read(0, 100) == b"to a partner"
    await store.committer.run(lambda unit: store.release_body(unit, one.body_id))
    assert await refs(store) == {one.body_id: 1}
    await store.committer.run(lambda unit: store.release_body(unit, one.body_id))
    assert await refs(store) == {}


async def test_what_a_mailbox_holds_becomes_unreadable_with_its_key(store: SqlStore) -> None:
    await fill(store, 1)
    snapshot = await store.snapshot(1, INBOX)
    assert await store.committer.run(lambda unit: store.destroy_key(unit, 1))
    assert not await store.committer.run(lambda unit: store.destroy_key(unit, 1))
    with pytest.raises(MailboxGone):
        await store.bodies(1, snapshot.entries)
    with pytest.raises(MailboxGone):
        await store.append(1, INBOX, [message()])
    assert await store.committer.run(lambda unit: store.erase(unit, 1)) == len(snapshot.entries)
    assert await refs(store) == {}
    with pytest.raises(MailboxGone):
        await store.folders(1)


async def test_what_is_left_of_a_mailbox_goes_in_portions(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox may be large, and everybody's mail waits for the transaction."""
    monkeypatch.setattr(provision.erase, "__defaults__", (2,))
    await fill(store, 3)
    sent = await store.folder(1, "Sent")
    await store.copy(1, INBOX, [1, 2], sent.id)
    left = [await store.committer.run(lambda unit: store.erase(unit, 1)) for _ in range(3)]
    assert left == [2, 2, 1]
    assert await refs(store) == {}
    assert await store.folders(1) == []


# evidence


async def test_events_are_committed_with_the_change_and_only_then(database_url: str) -> None:
    journal = stores.Recorder()
    async with stores.opened(database_url, journal=journal) as store:
        await store.committer.run(lambda unit: store.provision(unit, 1, 0))
        read = Event(Kind.READ, mailbox=1, detail={"command": "FETCH"})
        changed = Event(Kind.CHANGED, mailbox=1, detail={"command": "APPEND"})
        await store.record([read])
        await store.append(1, INBOX, [message()], trace=[changed])
        with pytest.raises(NoSuchFolder):
            await store.append(1, 99, [message()], trace=[changed])
        await store.record([])
        assert journal.events == [read, changed]


async def test_expunging_nothing_records_nothing(database_url: str) -> None:
    journal = stores.Recorder()
    async with stores.opened(database_url, journal=journal) as store:
        await store.committer.run(lambda unit: store.provision(unit, 1, 0))
        assert await store.expunge(1, INBOX, None, trace=[Event(Kind.ERASED, mailbox=1)]) == []
        assert journal.events == []
