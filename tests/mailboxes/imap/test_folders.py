"""Folders: LIST and its extensions, CREATE, DELETE, RENAME, subscriptions, STATUS, NAMESPACE, METADATA, QUOTA, ACL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, NoReturn

import pytest

from mailboxes.commit import Unit
from mailboxes.imap import recent
from mailboxes.imap.notify import _names
from mailboxes.imap.values import Filter
from mailboxes.imap.wire import Wire
from mailboxes.store import Folder
from policies.events import Kind
from policies.values import BalType
from tests.mailboxes.imap.harness import Client, Running, message


def names(untagged: list[bytes]) -> list[bytes]:
    return [line.rsplit(b'"/" ', 1)[1] for line in untagged if b'"/" ' in line]


async def tree(client: Client, *folders: str) -> None:
    for name in folders:
        await client.ok(f"CREATE {name}")


async def test_hierarchy_and_patterns(running: Running) -> None:
    client = await running.login()
    assert await client.ok('LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']
    await tree(client, "a/", "a/b", "a/c/d", "a/c/e")
    assert names(await client.ok('LIST "" a/%')) == [b"a/b", b"a/c"]
    assert names(await client.ok('LIST "" a/%/%')) == [b"a/c/d", b"a/c/e"]
    assert names(await client.ok('LIST "" a/*')) == [b"a/b", b"a/c", b"a/c/d", b"a/c/e"]
    assert names(await client.ok("LIST a/ *")) == [b"a/b", b"a/c", b"a/c/d", b"a/c/e"]
    assert names(await client.ok('LIST "" a/*d')) == [b"a/c/d"]
    assert names(await client.ok('LIST "" %c/%')) == []
    assert names(await client.ok('LIST "" %/c/%e')) == [b"a/c/e"]
    assert names(await client.ok('LIST "" inbox')) == [b"INBOX"]
    assert await client.ok('LIST "" nil') == []
    untagged = await client.ok('LIST "" a/c')
    assert untagged == [b'* LIST (\\HasChildren) "/" a/c']
    await client.close()


async def test_deleting_a_parent_keeps_its_inferiors(running: Running) -> None:
    client = await running.login()
    await tree(client, "p/q")
    await client.ok("DELETE p")
    assert await client.ok('LIST "" p*') == [
        b'* LIST (\\Noselect \\HasChildren) "/" p',
        b'* LIST (\\HasNoChildren) "/" p/q',
    ]
    assert await client.ok('LIST () "" p') == [b'* LIST (\\NonExistent \\HasChildren) "/" p']
    await client.no("SELECT p", "NONEXISTENT")
    await client.no("DELETE p", "NONEXISTENT")
    await client.close()


async def test_create_delete_rename_refusals(running: Running) -> None:
    client = await running.login()
    await client.no("CREATE INBOX", "ALREADYEXISTS")
    await client.no("CREATE inbox", "ALREADYEXISTS")
    await client.no("DELETE INBOX", "CANNOT")
    await client.no("DELETE nowhere", "NONEXISTENT")
    await client.no("RENAME nowhere x", "NONEXISTENT")
    await tree(client, "x", "y")
    await client.no("RENAME x y", "ALREADYEXISTS")
    await client.no("RENAME x x/z", "CANNOT")
    await client.no("CREATE a//b", "CANNOT")
    await client.no('CREATE "a*b"', "CANNOT")
    await client.no('CREATE "&broken"', "CANNOT")
    await client.bad("CREATE")
    await client.no("SUBSCRIBE //", "CANNOT")
    await client.close()


async def test_rename_takes_inferiors_and_empties_inbox(running: Running) -> None:
    client = await running.login()
    await tree(client, "old/in")
    await client.ok("RENAME old new/deep")
    assert names(await client.ok('LIST "" n*')) == [b"new", b"new/deep", b"new/deep/in"]
    await client.append(message())
    await client.ok("SELECT INBOX")
    untagged = await client.ok("RENAME INBOX Archive2026")
    assert b"* 1 EXPUNGE" in untagged
    assert await client.ok("STATUS Archive2026 (MESSAGES)") == [b"* STATUS Archive2026 (MESSAGES 1)"]
    assert await client.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]
    await client.close()


async def test_names_in_utf7_and_utf8(running: Running) -> None:
    client = await running.login()
    await client.ok('CREATE "R&AOk-sultats"')
    assert names(await client.ok('LIST "" R*')) == [b'"R&AOk-sultats"'] or names(await client.ok('LIST "" R*')) == [
        b"R&AOk-sultats"
    ]
    await client.ok("ENABLE IMAP4rev2")
    assert names(await client.ok('LIST "" R*')) == ['"Résultats"'.encode()]
    await client.ok('SELECT "Résultats"')
    await client.close()


async def test_a_folder_called_otherwise_is_said_with_both_names(running: Running) -> None:
    """RFC 9051 6.3.2, 6.3.4, 6.3.6: OLDNAME after a renaming, and where a name was put in its normal form."""
    client = await running.login()
    await client.ok("CREATE un")
    assert await client.ok("RENAME un deux") == []
    await client.ok("ENABLE IMAP4rev2")
    assert await client.ok('RENAME deux "trois quatre"') == [b'* LIST () "/" "trois quatre" ("OLDNAME" (deux))']
    assert await client.ok("RENAME Sent Envoi") == [b'* LIST (\\Sent) "/" Envoi ("OLDNAME" (Sent))']
    assert await client.ok("CREATE cinq/") == []
    apart, composed = "Re\u0301sultats", "R\u00e9sultats"
    said = f'* LIST () "/" "{composed}" ("OLDNAME" ("{apart}"))'.encode()
    assert await client.ok(f'CREATE "{apart}"') == [said]
    assert said in await client.ok(f'SELECT "{apart}"')
    assert f'* LIST () "/" "{composed}"'.encode() in await client.ok(f'SELECT "{composed}"')
    assert b'* LIST () "/" INBOX ("OLDNAME" (inbox))' in await client.ok("SELECT inbox")
    assert b'* LIST (\\Sent) "/" Envoi' in await client.ok("EXAMINE Envoi")
    await client.close()


async def test_list_extended(running: Running) -> None:
    client = await running.login()
    await tree(client, "t1", "t2/", "t2/t1", "t3", "t4/t5", "t6", "t7/t7", "t8/t8", "t8/t9")
    for name in ("t1", "t2/t1", "t6", "t7/t7", "t8/t8", "t8/t9"):
        await client.ok(f"SUBSCRIBE {name}")
    await client.ok("DELETE t6")
    assert names(await client.ok('LIST "" (*2 t3)')) == [b"t2", b"t3"]
    await client.bad('LIST (imaptest) "" ""')
    await client.bad('LIST (recursivematch) "" ""')
    await client.bad('LIST (recursivematch remote) "" ""')
    await client.bad('LIST "" "" return (imaptest)')
    assert names(await client.ok('LIST (remote) "" t%')) != []
    untagged = await client.ok('LIST (subscribed) "" t*')
    assert b'* LIST (\\Subscribed \\HasNoChildren) "/" t1' in untagged
    assert b'* LIST (\\Subscribed \\NonExistent \\HasNoChildren) "/" t6' in untagged
    untagged = await client.ok('LIST (subscribed recursivematch) "" t2% return (children)')
    assert untagged == [b'* LIST (\\HasChildren) "/" t2 ("CHILDINFO" ("SUBSCRIBED"))']
    untagged = await client.ok('LIST "" t% return (children subscribed)')
    assert b'* LIST (\\Subscribed \\HasNoChildren) "/" t1' in untagged
    assert b'* LIST (\\HasChildren) "/" t7' in untagged
    untagged = await client.ok('LIST (subscribed recursivematch) "" *t7')
    assert names(untagged) == [b"t7/t7"]
    untagged = await client.ok('LIST (subscribed recursivematch) "" *t8')
    assert b'* LIST (\\HasChildren) "/" t8 ("CHILDINFO" ("SUBSCRIBED"))' in untagged
    untagged = await client.ok('LIST (subscribed recursivematch) "" (t2 t2/t1)')
    assert names(untagged) == [b"t2/t1"]
    await client.close()


async def test_list_status_myrights_and_special_use(running: Running) -> None:
    client = await running.login()
    await client.no("CREATE Poubelle (USE (\\Trash))", "USEATTR")
    await client.no("CREATE Tout (USE (\\All))", "USEATTR")
    await client.bad("CREATE Tout (COLOR (blue))")
    untagged = await client.ok('LIST (SPECIAL-USE) "" *')
    assert any(b"\\Sent" in line for line in untagged)
    assert not any(b"INBOX" in line for line in untagged)
    await client.append(message())
    untagged = await client.ok('LIST "" INBOX RETURN (STATUS (MESSAGES UNSEEN) MYRIGHTS SPECIAL-USE)')
    assert untagged[1:] == [b"* STATUS INBOX (MESSAGES 1 UNSEEN 1)", b"* MYRIGHTS INBOX lrswipkxtecda"]
    await client.close()


async def test_many_folders_are_told_of_portion_by_portion(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """LSUB, NOTIFY SET, and NOTIFY after a RENAME of 2 000 folders kept everybody waiting for 15 to 140 ms."""
    turns: list[int] = []
    put, drain = Wire.put, Wire.drain

    def counted(wire: Wire, data: bytes) -> None:
        turns[-1] += 1
        put(wire, data)

    async def drained(wire: Wire) -> None:
        turns.append(0)
        await drain(wire)

    monkeypatch.setattr(Wire, "put", counted)
    monkeypatch.setattr(Wire, "drain", drained)
    for module, name in (("folders", "SAID_AT_ONCE"), ("notify", "TOLD_AT_ONCE")):
        monkeypatch.setattr(f"mailboxes.imap.{module}.{name}", 3)
    monkeypatch.setattr("mailboxes.imap.folders.LISTED_HERE", 5)
    turns.append(0)
    client, other = await running.login(), await running.login()
    await tree(other, "a", *[f"a/{number}" for number in range(10)])
    for number in range(10):
        await other.ok(f"SUBSCRIBE a/{number}")

    async def told(text: str) -> int:
        turns[:] = [0]
        lines = len(await client.ok(text))
        assert len(turns) > 3
        assert max(turns) <= 4
        return lines

    assert await told('LSUB "" a/*') == 10
    events = "(MessageNew MessageExpunge MailboxName)"
    assert await told(f"NOTIFY SET STATUS (subtree (a nowhere) {events})") == 11
    assert len(await client.ok(f"NOTIFY SET STATUS (subtree-one (nowhere a/3 a) {events})")) == 11
    assert len(await client.ok(f"NOTIFY SET STATUS (subtree-one (INBOX a/3) {events})")) == 2
    assert await told(f"NOTIFY SET STATUS (personal {events})") == 17
    turns[:] = [0]
    await other.ok("RENAME a b")
    assert [(await client.line())[:14] for _ in range(11)] == [b'* LIST () "/" '] * 11
    assert max(turns) <= 4
    turns[:] = [0]
    for number in range(10):
        await running.store.delete_folder(1, (await running.store.folder(1, f"b/{number}")).id)
    assert [(await client.line())[:21] for _ in range(10)] == [b"* LIST (\\NonExistent)"] * 10
    await client.close()
    await other.close()


class Unlisted(frozenset[str]):
    """May be asked, not gone through."""

    def __iter__(self) -> NoReturn:
        raise AssertionError


def test_a_filter_of_a_thousand_folders_is_not_gone_through_for_each_folder() -> None:
    """Of 2 000 folders that took the event loop 160 ms."""
    folder = Folder(1, "a/b/c", 1, 1, 1, "F1")
    for scope, named in {"subtree": ("a", "a/b", "a/b/c"), "subtree-one": ("a/b", "a/b/c")}.items():
        one = Filter(scope, (), frozenset())
        for name in ("a", "a/b", "a/b/c", "a/b/c/d", "b", "a/"):
            assert _names(one, Unlisted((name, "x")), folder) is (name in named)


async def test_lsub_shows_levels(running: Running) -> None:
    client = await running.login()
    await tree(client, "s/test", "s/test2/test", "s/test3/test3")
    for name in ("s/test", "s/test2/test", "s/test3/test3"):
        await client.ok(f"SUBSCRIBE {name}")
    assert await client.ok('LSUB "" s/%') == [
        b'* LSUB () "/" s/test',
        b'* LSUB (\\Noselect) "/" s/test2',
        b'* LSUB (\\Noselect) "/" s/test3',
    ]
    assert names(await client.ok('LSUB "" s/*test')) == [b"s/test", b"s/test2/test"]
    await client.ok("UNSUBSCRIBE s/test")
    assert names(await client.ok('LSUB "" s/*')) == [b"s/test2/test", b"s/test3/test3"]
    await client.close()


async def test_the_recent_messages_of_all_folders_are_counted_without_reading_them(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thunderbird asks it of every folder."""
    monkeypatch.setattr(recent, "SAVED_AFTER", 0.0)
    client = await running.login()
    for name in ("Sent", "Junk"):
        await client.append(message("s", "body"), name)
    await client.ok("SELECT Sent")
    await client.ok("UNSELECT")

    async def saved() -> bool:
        return not any((await recent.recent(running.store, 1, [await running.store.folder(1, "Sent")])).values())

    async with asyncio.timeout(10):
        while not await saved():
            await asyncio.sleep(0.01)
    running.service.indexes._idle.clear()  # they are many more than are kept in memory
    read: list[int] = []
    snapshot = running.store.snapshot

    async def counted(mailbox_id: int, folder_id: int) -> Any:
        read.append(folder_id)
        return await snapshot(mailbox_id, folder_id)

    asked: list[Collection[int]] = []
    beyond = running.store.beyond

    async def looked(mailbox_id: int, folder_ids: Collection[int], name: str) -> dict[int, int]:
        asked.append(folder_ids)
        return await beyond(mailbox_id, folder_ids, name)

    monkeypatch.setattr(running.store, "snapshot", counted)
    monkeypatch.setattr(running.store, "beyond", looked)
    told = await client.ok('LIST "" "*" RETURN (STATUS (MESSAGES RECENT))')
    assert len(asked) == 1  # of all together
    assert b"* STATUS Sent (MESSAGES 1 RECENT 0)" in told
    assert b"* STATUS Junk (MESSAGES 1 RECENT 1)" in told
    assert read == []
    await client.close()


async def test_status_items(running: Running) -> None:
    client = await running.login()
    one = message()
    await client.append(one)
    await client.append(one, flags="(\\Seen \\Deleted)")
    untagged = await client.ok("STATUS INBOX (MESSAGES UNSEEN UIDNEXT SIZE DELETED DELETED-STORAGE RECENT)")
    size = len(one)
    assert untagged == [
        b"* STATUS INBOX (MESSAGES 2 UNSEEN 1 UIDNEXT 3 SIZE %d DELETED 1 DELETED-STORAGE %d RECENT 2)"
        % (2 * size, size)
    ]
    untagged = await client.ok("STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ APPENDLIMIT MAILBOXID)")
    assert b"APPENDLIMIT 36700160" in untagged[0]
    assert b"MAILBOXID (" in untagged[0]
    await client.no("STATUS nowhere (MESSAGES)", "NONEXISTENT")
    await client.bad("STATUS INBOX (COLOUR)")
    await client.bad("STATUS INBOX ()")
    await client.close()


async def test_namespace_and_id(running: Running) -> None:
    client = await running.login()
    assert await client.ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) NIL NIL']
    assert (await client.ok('ID ("name" "x" "version" NIL)'))[0].startswith(b'* ID ("name" "Caduc')
    await client.ok("ID NIL")
    await client.bad('ID ("odd")')
    await client.close()


async def test_metadata(running: Running) -> None:
    client = await running.login()
    await client.ok('SETMETADATA INBOX (/private/comment "Mon dossier" /shared/comment {5+}\r\na\r\nb\n)')
    assert await client.ok("GETMETADATA INBOX /private/comment") == [
        b'* METADATA INBOX (/private/comment "Mon dossier")'
    ]
    await client.ok('SETMETADATA INBOX (/private/vendor/x/a "1" /private/vendor/x/b "22")')
    untagged = await client.ok("GETMETADATA (DEPTH 1) INBOX (/private/vendor/x)")
    assert untagged == [b'* METADATA INBOX (/private/vendor/x/a "1" /private/vendor/x/b "22")']
    below = b'/private/comment "Mon dossier" /private/vendor/x/a "1" /private/vendor/x/b "22"'
    assert await client.ok('GETMETADATA (DEPTH infinity) "INBOX" (/private)') == [b"* METADATA INBOX (%b)" % below]
    assert await client.ok("GETMETADATA INBOX /Shared") == [b"* METADATA INBOX (/shared NIL)"]
    await client.bad('SETMETADATA INBOX (/private "x")')
    said = await client.command("GETMETADATA INBOX (MAXSIZE 1) (/private/vendor/x/b /private/vendor/x/a)")
    assert said.startswith(b"OK [METADATA LONGENTRIES 2]")
    assert await client.ok("GETMETADATA INBOX /private/none") == [b"* METADATA INBOX (/private/none NIL)"]
    await client.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert await client.ok("GETMETADATA INBOX /private/comment") == [b"* METADATA INBOX (/private/comment NIL)"]
    await client.ok('SETMETADATA "" (/shared/comment "bal")')
    assert await client.ok('GETMETADATA "" /shared/comment') == [b'* METADATA "" (/shared/comment "bal")']
    await client.bad('SETMETADATA INBOX (/elsewhere/x "1")')
    await client.bad('SETMETADATA INBOX (caducee/recent "1")')
    await client.no("SETMETADATA nowhere (/private/x NIL)", "NONEXISTENT")
    big = b"SETMETADATA INBOX (/private/x {65537+}\r\n" + b"a" * 65537 + b")"
    assert (await client.command(big)).startswith((b"NO [METADATA MAXSIZE", b"BAD [TOOBIG]"))
    await client.close()


async def test_a_special_use_is_metadata_too(running: Running) -> None:
    """RFC 6154 4: webmails set it so; what is not possible must not be accepted blindly."""
    client = await running.login()
    assert await client.ok("GETMETADATA Junk /private/specialuse") == [
        b'* METADATA Junk (/private/specialuse "\\\\Junk")'
    ]
    await client.ok("CREATE Indesirables")
    await client.no('SETMETADATA Indesirables (/private/specialuse "\\\\Junk" /private/x "1")', "USEATTR")
    await client.no('SETMETADATA Indesirables (/private/specialuse "\\\\All")', "USEATTR")
    await client.no('SETMETADATA Indesirables (/private/specialuse "\\\\Junk \\\\Sent")', "USEATTR")
    assert await client.ok("GETMETADATA Indesirables /private/x") == [b"* METADATA Indesirables (/private/x NIL)"]
    await client.ok("SETMETADATA Junk (/private/specialuse NIL)")
    await client.ok('SETMETADATA Indesirables (/private/specialuse "\\\\junk" /private/x "1")')
    assert await client.ok("GETMETADATA (DEPTH 1) Indesirables (/private/specialuse /private/x)") == [
        b'* METADATA Indesirables (/private/specialuse "\\\\Junk" /private/x "1")'
    ]
    listed = await client.ok('LIST (SPECIAL-USE) "" *')
    assert b'* LIST (\\HasNoChildren \\Junk) "/" Indesirables' in listed
    assert not any(line.endswith(b'"/" Junk') for line in listed)
    await client.close()


async def test_quota(running: Running) -> None:
    client = await running.login("u2@op-a.mssante.test")
    untagged = await client.ok("GETQUOTAROOT INBOX")
    assert untagged == [b'* QUOTAROOT INBOX ""', b'* QUOTA "" ()']

    def limit(unit: Unit) -> None:
        running.store.set_quota(unit, 2, 2048)

    await running.store.committer.run(limit)
    await client.append(message())
    assert await client.ok('GETQUOTA ""') == [b'* QUOTA "" (STORAGE 1 2)']
    said = await client.command(b"APPEND INBOX {3000+}\r\n" + message(body="x" * 4000)[:3000])
    assert said.startswith(b"NO [OVERQUOTA]")
    await client.no("GETQUOTA other", "NONEXISTENT")
    await client.no('SETQUOTA "" (STORAGE 10)', "NOPERM")
    await client.close()


async def test_acl(running: Running) -> None:
    client = await running.login()
    assert await client.ok("MYRIGHTS INBOX") == [b"* MYRIGHTS INBOX lrswipkxtecda"]
    assert await client.ok("GETACL INBOX") == [b"* ACL INBOX u1@op-a.mssante.test lrswipkxtecda"]
    untagged = await client.ok("LISTRIGHTS INBOX u1@op-a.mssante.test")
    assert untagged == [b"* LISTRIGHTS INBOX u1@op-a.mssante.test lrswipkxtecda"]
    await client.no("SETACL INBOX someone lr", "NOPERM")
    await client.no("DELETEACL INBOX someone", "NOPERM")
    await client.bad("SETACL INBOX someone z!")
    await client.no("MYRIGHTS nowhere", "NONEXISTENT")
    await client.close()


@pytest.mark.parametrize(
    "text",
    ["STORE 1 +FLAGS (\\Flagged)", "STORE 1 +FLAGS (\\Deleted)", "COPY 1 INBOX", "MOVE 1 INBOX", "EXPUNGE"],
)
async def test_a_reader_of_a_shared_mailbox_changes_nothing(running: Running, text: str) -> None:
    owner = await running.login("u2@op-a.mssante.test")
    await owner.append(message())
    running.people.types[2] = BalType.ORG
    running.people.boxes["reader@op-a.mssante.test"] = 2
    running.people.rights["reader@op-a.mssante.test"] = "lrs"
    reader = await running.login("reader@op-a.mssante.test", select="INBOX")
    await reader.ok("STORE 1 +FLAGS (\\Seen)")
    await reader.no(text, "NOPERM")
    await reader.no("CREATE x", "NOPERM")
    await reader.no("DELETE Sent", "NOPERM")
    await reader.no("GETACL INBOX", "NOPERM")
    said = await reader.command(b"APPEND INBOX {5+}\r\na: b\n")
    assert said.startswith(b"NO [NOPERM]")
    await reader.close()
    await owner.close()


@pytest.mark.parametrize(
    ("rights", "flags"),
    [
        ("lrs", b"\\Seen"),
        ("lrte", b"\\Deleted"),
        ("lrw", b"\\Answered \\Flagged \\Draft \\*"),
        ("lrswt", b"\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*"),
    ],
)
async def test_permanent_flags_are_those_one_may_set(running: Running, rights: str, flags: bytes) -> None:
    """RFC 4314 5.2: a mail program that is offered \\Deleted shows a delete key that does nothing."""
    running.people.types[2] = BalType.ORG
    running.people.boxes["member@op-a.mssante.test"] = 2
    running.people.rights["member@op-a.mssante.test"] = rights
    member = await running.login("member@op-a.mssante.test")
    assert b"* OK [PERMANENTFLAGS (%b)] Limited" % flags in await member.ok("SELECT INBOX")
    assert b"* OK [PERMANENTFLAGS ()] Limited" in await member.ok("EXAMINE INBOX")
    await member.close()


@pytest.mark.parametrize(
    ("rights", "asked", "left"),
    [
        ("lrs", "\\Flagged \\Seen", b"\\Answered \\Deleted \\Seen urgent"),
        ("lrs", "", b"\\Answered \\Deleted urgent"),
        ("lrw", "\\Flagged \\Seen", b"\\Deleted \\Flagged"),
        ("lrst", "\\Seen $Junk", b"\\Answered \\Seen urgent"),
        ("lrswt", "$Junk", b"$Junk"),
    ],
)
async def test_replacing_flags_leaves_those_one_may_not_set(
    running: Running, rights: str, asked: str, left: bytes
) -> None:
    """RFC 4314 4: refused only where nothing of it is allowed, for mail programs do not expect STORE to fail."""
    owner = await running.login("u2@op-a.mssante.test")
    await owner.append(message(), flags="(\\Answered \\Deleted urgent)")
    running.people.types[2] = BalType.ORG
    running.people.boxes["member@op-a.mssante.test"] = 2
    running.people.rights["member@op-a.mssante.test"] = rights
    member = await running.login("member@op-a.mssante.test", select="INBOX")
    said = await member.ok(f"STORE 1 FLAGS ({asked})")
    assert b"* 1 FETCH (FLAGS (%b \\Recent))" % left in said
    await owner.ok("SELECT INBOX")
    assert await owner.ok("FETCH 1 (FLAGS)") == [b"* 1 FETCH (FLAGS (%b))" % left]
    await member.close()
    await owner.close()


@pytest.mark.parametrize(
    ("rights", "flags"), [("lri", b""), ("lris", b"\\Seen"), ("lriw", b"\\Answered urgent"), ("lrit", b"\\Deleted")]
)
async def test_a_copy_has_the_flags_its_maker_may_set(running: Running, rights: str, flags: bytes) -> None:
    """RFC 4314 2.1: who may erase nothing makes no copy that the next EXPUNGE takes away."""
    owner = await running.login("u2@op-a.mssante.test")
    await owner.append(message(), flags="(\\Answered \\Deleted \\Seen urgent)")
    running.people.types[2] = BalType.ORG
    running.people.boxes["member@op-a.mssante.test"] = 2
    running.people.rights["member@op-a.mssante.test"] = rights
    member = await running.login("member@op-a.mssante.test", select="INBOX")
    await member.ok("COPY 1 Sent")
    await owner.ok("EXAMINE Sent")
    assert await owner.ok("FETCH 1 (FLAGS)") == [b"* 1 FETCH (FLAGS (%b))" % b" ".join([*flags.split(), b"\\Recent"])]
    await member.close()
    await owner.close()


async def test_replacing_flags_is_refused_where_none_may_be_set(running: Running) -> None:
    owner = await running.login("u2@op-a.mssante.test")
    await owner.append(message())
    running.people.boxes["member@op-a.mssante.test"] = 2
    running.people.rights["member@op-a.mssante.test"] = "lrite"
    member = await running.login("member@op-a.mssante.test", select="INBOX")
    await member.no("STORE 1 FLAGS (\\Seen)", "NOPERM")
    running.people.rights["member@op-a.mssante.test"] = "lri"
    member = await running.login("member@op-a.mssante.test", select="INBOX")
    await member.no("STORE 1 FLAGS ()", "NOPERM")
    await member.close()
    await owner.close()


async def test_a_login_without_rights_is_refused(running: Running) -> None:
    running.people.rights["u3@op-a.mssante.test"] = ""
    client = await running.client()
    await client.no("LOGIN u3@op-a.mssante.test secret", "NOPERM")
    await client.close()


async def test_reading_and_erasing_in_a_shared_mailbox_is_journalled(running: Running) -> None:
    """MSS-062, TOU-F01: who read, stored, changed and erased, one event per command."""
    running.people.types[2] = BalType.CAB
    client = await running.login("u2@op-a.mssante.test")
    for number in range(3):
        await client.append(message(f"n{number}"))
    appended = [event for event in running.journal.events if event.kind is Kind.CHANGED]
    assert [(event.detail["command"], event.detail["count"]) for event in appended] == [("APPEND", 1)] * 3
    await client.ok("SELECT INBOX")
    running.journal.events.clear()
    await client.ok("FETCH 1:* (UID FLAGS ENVELOPE)")
    assert not running.journal.events
    await client.ok("FETCH 1 (UID PREVIEW (LAZY))")
    assert [event.detail["uids"] for event in running.journal.events] == ["1"]
    running.journal.events.clear()
    await client.ok("FETCH 1:3 BODY.PEEK[]")
    await client.ok("STORE 1:2 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    kinds = [(event.kind, event.detail["count"], event.detail["uids"]) for event in running.journal.events]
    assert kinds == [(Kind.READ, 3, "1:3"), (Kind.CHANGED, 2, "1:2"), (Kind.ERASED, 2, "1:2")]
    assert {event.actor for event in running.journal.events} == {"u2@op-a.mssante.test"}
    assert {event.mailbox for event in running.journal.events} == {2}
    await client.close()


async def test_the_journal_calls_a_folder_by_its_number_not_its_name(running: Running) -> None:
    """MSS-146: physicians name folders after patients; whoever reads the journal may not read their mail."""
    running.people.types[2] = BalType.CAB
    client = await running.login("u2@op-a.mssante.test")
    made = await client.command("CREATE Dupont")
    number = made.split(b"MAILBOXID (")[1].split(b")")[0].decode()
    await client.append(message("n"), folder="Dupont")
    await client.ok("SELECT Dupont")
    await client.ok("FETCH 1 BODY.PEEK[]")
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.ok("RENAME Dupont Durand")
    await client.ok("DELETE Durand")
    said = [(event.detail["command"], event.detail["folder"]) for event in running.journal.events]
    commands = ["CREATE", "APPEND", "FETCH", "STORE", "EXPUNGE", "RENAME", "DELETE"]
    assert said == [(command, number) for command in commands]
    await client.close()
