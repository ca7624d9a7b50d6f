"""OpenLDAP's own client against a running operator: who may ask, what it is told, in pages, and what the journal keeps."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space

pytestmark = pytest.mark.client

BASE = "ou=bal,o=mssante,c=fr"


def ask(
    space: Space, tool: str, *words: str, door: str = "ldaps", box: dict[str, Any] | None = None
) -> CompletedProcess[str]:
    """Run one of its tools against operator A, logged in to ``box`` when one is given."""
    where = space.a[door]
    login = ("-D", box["address"], "-w", box["device_password"]) if box else ()
    more = ("-LLL", "-o", "ldif-wrap=no") if tool == "ldapsearch" else ()
    environment = {**os.environ, "LDAPTLS_CACERT": space.ca, "LDAPTLS_REQCERT": "demand"}
    address = f"{door}://127.0.0.1:{where['port']}"
    return run(program(tool), "-x", *more, "-H", address, *login, *words, env=environment)


def mails(done: CompletedProcess[str]) -> list[str]:
    return [line.removeprefix("mail: ") for line in done.stdout.splitlines() if line.startswith("mail: ")]


@pytest.mark.parametrize("door", ["ldap", "ldaps"])
def test_a_colleague_is_found_by_the_beginning_of_a_name(space: Space, door: str) -> None:
    box = space.box(space.a)
    tls = ("-ZZ",) if door == "ldap" else ()
    done = ask(
        space, "ldapsearch", *tls, "-b", BASE, "(|(cn=dur*)(sn=dur*)(mail=dur*))", "cn", "mail", door=door, box=box
    )
    assert done.returncode == 0, done.stderr
    assert "paul.durand@op-a.mssante.test" in mails(done)
    assert "alice.martin@op-a.mssante.test" not in mails(done)
    assert "cn: Dr Paul DURAND" in done.stdout
    me = ask(space, "ldapwhoami", *tls, door=door, box=box)
    assert me.stdout.strip() == f"dn:mail={box['address']},{BASE}"


def test_nobody_reads_without_a_login_nor_logs_in_without_tls(space: Space) -> None:
    """MSS-130."""
    box = space.box(space.a)
    assert ask(space, "ldapsearch", "-b", BASE, door="ldap").returncode == 13
    assert ask(space, "ldapwhoami", door="ldap", box=box).returncode == 13
    assert ask(space, "ldapsearch", "-b", BASE).returncode == 8
    assert ask(space, "ldapwhoami", box=box | {"device_password": "wrong"}).returncode == 49
    root = ask(space, "ldapsearch", "-b", "", "-s", "base", "+", door="ldap")
    assert f"namingContexts: {BASE}" in root.stdout


def test_results_come_in_pages(space: Space) -> None:
    box = space.box(space.a)
    whole = ask(space, "ldapsearch", "-b", BASE, "(mail=*)", "mail", box=box)
    paged = ask(space, "ldapsearch", "-b", BASE, "-E", "pr=2/noprompt", "(mail=*)", "mail", box=box)
    assert paged.returncode == 0, paged.stderr
    assert mails(paged) == mails(whole)
    assert len(mails(whole)) >= 5
    cut = ask(space, "ldapsearch", "-b", BASE, "-z", "2", "(mail=*)", "mail", box=box)
    assert (cut.returncode, len(mails(cut))) == (4, 2)


def test_a_mailbox_on_the_red_list_is_as_one_that_does_not_exist(space: Space) -> None:
    """MSS-121: the same answers, word for word, whatever is asked."""
    box, hidden, nobody = space.box(space.a), "rouge.liste@op-a.mssante.test", "rouge.listf@op-a.mssante.test"
    done = space.caducee(space.a, "mailbox", "create", hidden, "--type", "ORG", "--structure", "399900000000018")
    assert done.returncode == 0
    space.caducee(space.a, "mailbox", "set", hidden, "--red-list")
    for words in (
        ("-b", f"mail={{}},{BASE}", "-s", "base"),
        ("-b", BASE, "(mail={})"),
        ("-b", BASE, "(&(mail={})(!(cn=x)))"),
        ("-b", BASE, "(uid={})", "1.1"),
    ):
        said = [
            ask(space, "ldapsearch", *(word.format(address) for word in words), box=box) for address in (hidden, nobody)
        ]
        assert said[0].returncode == said[1].returncode == (32 if "base" in words else 0)
        assert said[0].stdout == said[1].stdout
        assert said[0].stderr == said[1].stderr
    assert hidden not in mails(ask(space, "ldapsearch", "-b", BASE, "(mail=*)", "mail", box=box))


def test_the_journal_knows_who_asked_and_the_log_not_what(space: Space) -> None:
    box = space.box(space.a, index=1)
    done = ask(space, "ldapsearch", "-b", BASE, "(|(sn=Zyxwvu)(mail=alice*))", box=box)
    assert mails(done) == ["alice.martin@op-a.mssante.test"]
    shown, found = "", []
    deadline = time.monotonic() + 30
    while not found and time.monotonic() < deadline:  # it is recorded beside the answer
        shown = space.caducee(space.a, "journal", "list", "--mailbox", box["address"], "--json").stdout
        found = [each for each in json.loads(shown) if each["kind"] == "directory.searched"]
    assert found[-1]["actor"] == "paul.durand"
    assert found[-1]["detail"] == {"door": "ldaps", "ip": "127.0.0.1", "searches": 1, "entries": 1, "refused": 0}
    assert "Zyxwvu" not in shown
    assert "zyxwvu" not in Path(space.a["log"]).read_text("utf-8").lower()
