"""A broadcast becomes a case, a person confirms it, and again, and a third time: what swaks hears, and what IMAP reads.

With a real swaks at the submission door of operator A and at its inbound door as operator B (TOU-A06, TOU-B03 to TOU-B08).
"""

from __future__ import annotations

import email
import email.utils
import imaplib
import json
import re
import smtplib
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from gateway.admin.space import Site
from tests.clients.programs import program, run
from tests.space.living import Living, until

pytestmark = [pytest.mark.slow, pytest.mark.client]
REFUSE = 6
ABUSE = "abuse@op-a.mssante.test"


@pytest.fixture(scope="module")
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    settings = {("unsolicited", "broadcast_slow_down"): 0, ("unsolicited", "broadcast_refuse"): REFUSE,
                ("penalties", "charter"): "https://op-a.mssante.test/charte"}  # fmt: skip
    made = Living(tmp_path_factory.mktemp("sanctions"), settings)
    shipped = made.a.config.read_text("utf-8")
    made.a.config.write_text(shipped.replace('# reports = ""', f'reports = "{ABUSE}"'), "utf-8")  # operator A's alone
    made.space.start()
    try:
        yield made
    finally:
        made.space.stop()


def box(alive: Living, index: int = 0) -> dict[str, Any]:
    """A mailbox of operator A; of the first two, both a person's."""
    return alive.a.mailboxes[index]


def submit(alive: Living, subject: str, *to: str, more: tuple[str, ...] = ()) -> tuple[int, str]:
    """swaks, as A's first physician."""
    own = box(alive)
    done = run(
        program("swaks"), "--timeout", "30", "--server", f"127.0.0.1:{alive.a.ports['submissions']}",
        "--tls-on-connect", "--tls-ca-path", str(alive.pki.ca), "--auth", "PLAIN", "--auth-user", own["login"],
        "--auth-password", own["device_password"], "--from", own["address"], "--to", ",".join(to),
        "--header", f"Subject: {subject}", "--body", f"Venez tous au congrès, {subject}", *more,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def as_partner(alive: Living, to: str) -> tuple[int, str]:
    """swaks, as operator B's courier, in the name of its first physician."""
    card = alive.pki.operators["op-b"].client
    done = run(
        program("swaks"), "--timeout", "30", "--server", f"127.0.0.1:{alive.a.ports['inbound']}", "--tls",
        "--tls-cert", str(card.certificate), "--tls-key", str(card.key), "--tls-ca-path", str(alive.pki.ca),
        "--helo", "smtp.op-b.mssante.test", "--from", alive.b.mailboxes[0]["address"], "--to", to,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def sanction(alive: Living, *words: str) -> Any:
    done = alive.caducee(alive.a, "sanction", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def notices(alive: Living, site: Site, own: dict[str, Any]) -> list[str]:
    """The texts of the notices in INBOX, as a mail program reads them."""
    with imaplib.IMAP4_SSL("127.0.0.1", site.ports["imaps"], ssl_context=alive.trust(), timeout=60) as imap:
        imap.login(own["login"], own["device_password"])
        imap.select("INBOX", readonly=True)
        _, found = imap.search(None, "SUBJECT", '"Usage de la messagerie"')
        fetched = [imap.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in found[0].split()]
    letters = [email.message_from_bytes(data[1], policy=policy.default) for data in fetched]  # type: ignore[index, arg-type]
    assert all(letter["Auto-Submitted"] == "auto-generated" for letter in letters)
    return [letter.get_content() for letter in letters]  # type: ignore[attr-defined]


def notice(alive: Living, text: str) -> str:
    """Wait for the notice that says this."""
    held = until(
        lambda: [one for one in notices(alive, alive.a, box(alive)) if text in one], what=f"a notice with {text}"
    )
    return str(held[0])


def identifier(said: str) -> str:
    """Ours, from the answer to the final dot."""
    return re.findall(r"\b([0-9A-HJKMNP-TV-Z]{26})\b", said)[-1]


def test_three_cases_and_a_payment(alive: Living) -> None:
    me, colleague, far = box(alive), box(alive, 1)["address"], alive.b.mailboxes[0]["address"]
    # a broadcast: one by one to those who read it, then to too many at once
    code, said = submit(alive, "congrès", colleague, far, me["address"])
    assert code == 0, said
    reported = identifier(said)
    many = [f"quelquun{number}@op-b.mssante.test" for number in range(REFUSE)]
    code, said = submit(alive, "congrès", *many)
    assert code != 0
    assert "sender.broadcast_refused" in said
    [waiting] = until(lambda: sanction(alive, "list", "--open")["cases"], what="a case is opened")
    assert (waiting["subject"], waiting["source"], waiting["recipients"]) == (me["address"], "automatic", 3)
    # nobody is punished by a machine alone
    assert submit(alive, "une question", far)[0] == 0
    sanction(alive, "confirm", str(waiting["number"]), "--reason", "annonce d’un congrès")
    said = notice(alive, "Aucune somme")
    assert "https://op-a.mssante.test/charte" in said
    assert "Nothing is charged" in said
    # the second on an administrator's word, the third on a recipient's
    second = sanction(alive, "open", me["address"], "--reason", "relance", "--recipients", "20")
    assert sanction(alive, "confirm", str(second["number"]), "--reason", "relance")["amount"] == 60_00
    assert "60,00 €" in notice(alive, "est un deuxième envoi")
    told = alive.caducee(alive.a, "report", box(alive, 1)["address"], reported, "--json")
    third = json.loads(told.stdout)
    assert third["new"], told.stderr
    again = alive.caducee(alive.a, "report", box(alive, 1)["address"], reported, "--json")
    assert json.loads(again.stdout)["case"] == third["case"]
    known = alive.caducee(alive.a, "sanction", "open", me["address"], "--reason", "x", "--message", reported)
    assert known.returncode == 1
    assert "sanction.already_judged" in known.stderr
    own = alive.caducee(alive.a, "report", me["address"], reported)
    assert own.returncode == 1
    assert "sanction.own_message" in own.stderr
    assert sanction(alive, "confirm", str(third["case"]), "--reason", "annonce")["amount"] == 100_00
    # in force: what swaks hears, and what goes on
    heard = until(lambda: (answer := submit(alive, "apres", far))[0] and answer[1], what="sending is suspended")
    assert "sanction.unpaid" in heard
    assert "160.00" in heard
    assert "Jusqu’au paiement de 160,00 €" in notice(alive, "est un nouvel envoi")
    assert as_partner(alive, me["address"])[0] == 0  # receiving goes on
    assert submit(alive, "contestation", f"postmaster@{alive.a.operator.domain}")[0] == 0
    # paid, all of it: it sends again
    sanction(alive, "paid", str(third["case"]), "--reference", "VIR 1")
    assert submit(alive, "pas encore", far)[0] != 0
    sanction(alive, "paid", str(second["number"]), "--reference", "VIR 2")
    until(lambda: submit(alive, "merci", far)[0] == 0, what="it sends again")
    assert "la suspension est levée" in notice(alive, "peut envoyer")
    assert alive.caducee(alive.a, "journal", "verify").returncode == 0


def test_a_session_that_is_open_hears_of_a_suspension(alive: Living) -> None:
    """TOU-F03: within a minute, on the connection that was there before; a read receipt still goes."""
    own, far = box(alive, 1), alive.b.mailboxes[0]["address"]
    with smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=alive.trust(), timeout=60) as session:
        session.login(own["login"], own["device_password"])

        def asked() -> str:
            session.mail(own["address"])
            code, text = session.rcpt(far)
            session.rset()
            return "" if code == 250 else text.decode("ascii")

        assert asked() == ""
        sanction(alive, "suspend", own["address"], "--reason", "appareil volé", "--immediate")
        heard = until(asked, what="the open session hears of it")
        assert "sanction.suspended" in heard
        assert "appareil vole" in heard
        assert session.mail("")[0] == 250
        assert session.rcpt(far)[0] == 250
        session.rset()
        sanction(alive, "lift", own["address"], "--reason", "appareil retrouvé")
        until(lambda: asked() == "", what="the open session sends again")


def test_a_partners_sender_is_reported_to_his_operator_and_refused(alive: Living) -> None:
    """TOU-A06: within the trust space, to the postmaster, and by rule here."""
    far, me = alive.b.mailboxes[0]["address"], box(alive)["address"]
    found = sanction(alive, "open", far, "--reason", "publicité", "--recipients", "30", "--source", "operator")
    assert sanction(alive, "confirm", str(found["number"]), "--reason", "publicité")["amount"] == 0
    heard = until(lambda: (answer := as_partner(alive, me))[0] and answer[1], what="he is refused")
    assert "sanction.partner_blocked" in heard
    assert as_partner(alive, f"postmaster@{alive.a.operator.domain}")[0] == 0
    boxes = [one for one in alive.b.mailboxes if one["type"] != "APP"]
    until(
        lambda: any(far in text for one in boxes for text in notices(alive, alive.b, one)),
        what="B's postmaster reads the report",
    )
    sanction(alive, "lift", far, "--reason", "réglé avec son opérateur")
    until(lambda: as_partner(alive, me)[0] == 0, what="he writes again")


def post(alive: Living, site: Site, own: dict[str, Any], to: str, text: str, attached: bytes = b"") -> None:
    """A letter of a mail program, with a message attached as programs forward one."""
    made = EmailMessage(policy=policy.SMTP)
    made["From"], made["To"], made["Subject"] = own["address"], to, "Signalement"
    made["Message-ID"], made["Date"] = email.utils.make_msgid(domain="poste.test"), email.utils.localtime()
    made.set_content(text)
    if attached:
        made.add_attachment(email.message_from_bytes(attached, policy=policy.SMTP))
    with smtplib.SMTP_SSL("127.0.0.1", site.ports["submissions"], context=alive.trust(), timeout=60) as session:
        session.login(own["login"], own["device_password"])
        session.send_message(made)


def received(alive: Living, site: Site, own: dict[str, Any], subject: str) -> bytes:
    """Wait for the message of this subject, byte for byte as it lies in INBOX."""

    def look() -> bytes:
        with imaplib.IMAP4_SSL("127.0.0.1", site.ports["imaps"], ssl_context=alive.trust(), timeout=60) as imap:
            imap.login(own["login"], own["device_password"])
            imap.select("INBOX", readonly=True)
            _, found = imap.search(None, "SUBJECT", f'"{subject}"')
            numbers = found[0].split()
            return bytes(imap.fetch(numbers[-1].decode(), "(BODY.PEEK[])")[1][0][1]) if numbers else b""  # type: ignore[index]

    return bytes(until(look, what=f"{subject} arrives"))


def test_reports_that_come_by_mail(alive: Living) -> None:
    """TOU-B05: attached or named, from here or from a partner; who did not receive it opens nothing."""
    me, colleague, far = box(alive), box(alive, 1), alive.b.mailboxes[0]
    desk = next(one for one in alive.a.mailboxes if one["type"] == "ORG")
    assert alive.caducee(alive.a, "mailbox", "alias", "add", desk["address"], ABUSE).returncode == 0

    def opened() -> dict[str, Any]:
        return {one["message"]: one for one in sanction(alive, "list", "--open")["cases"]}

    # a partner's recipient forwards what our user sent him
    code, said = submit(alive, "soldes-7f3a", far["address"])
    assert code == 0, said
    post(alive, alive.b, far, ABUSE, "Publicité.", received(alive, alive.b, far, "soldes-7f3a"))
    case = until(lambda: opened().get(identifier(said)), what="a partner's report opens a case")
    assert (case["subject"], case["reporter"], case["source"]) == (me["address"], far["address"], "recipient")
    until(
        lambda: any("dossier" in text for text in notices(alive, alive.b, far)), what="who reported is told of the case"
    )
    # our recipient names what a partner's user sent him, by its Message-ID alone
    post(alive, alive.b, far, colleague["address"], "Venez !")
    raw = received(alive, alive.a, colleague, "Signalement")
    name = email.message_from_bytes(raw, policy=policy.default)["Message-ID"]
    before = opened().keys()
    post(alive, alive.a, colleague, ABUSE, f"C’est une publicité : {name}")
    [new] = until(lambda: opened().keys() - before, what="our recipient's report opens a case")
    assert (opened()[new]["subject"], opened()[new]["reporter"]) == (far["address"], colleague["address"])
    # he who did not receive it is told so
    before = opened().keys()
    post(alive, alive.a, me, ABUSE, f"C’est une publicité : {name}")
    assert "Joignez le message entier" in notice(alive, "aucun message")
    assert opened().keys() == before
    assert b"Signalement" in received(alive, alive.a, desk, "Signalement")  # people read it all the same
