"""swaks against both doors of a running operator: what is refused, what is accepted, with which words."""

from __future__ import annotations

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space

pytestmark = pytest.mark.client


def swaks(*arguments: str) -> tuple[int, str]:
    done = run(program("swaks"), "--timeout", "20", *arguments)
    return done.returncode, done.stdout + done.stderr


def server(where: dict[str, object]) -> list[str]:
    return ["--server", f"{where['host']}:{where['port']}"]


def card(space: Space, name: str) -> list[str]:
    held = space.facts["pki"][name]
    return ["--tls", "--tls-cert", held["client_cert"], "--tls-key", held["client_key"], "--tls-ca-path", space.ca]


def partner(space: Space) -> list[str]:
    """B as a partner at A's inbound door."""
    to = space.box(space.a)["address"]
    return [*server(space.a["smtp"]), "--helo", f"smtp.{space.b['domain']}", "--to", to]


def test_plain_session_is_refused_at_mail(space: Space) -> None:
    code, said = swaks(*partner(space), "--from", space.box(space.b)["address"])
    assert code == 23
    assert "530" in said
    assert "session.starttls_required" in said


def test_partner_with_its_certificate_is_accepted(space: Space) -> None:
    sender = space.box(space.b)["address"]
    header = ["--header", "Subject: par swaks 7f3a"]
    code, said = swaks(*partner(space), *card(space, space.b["name"]), "--tls-verify", "--from", sender, *header)
    assert code == 0, said
    assert b"7f3a" in space.wait_for(space.a, space.box(space.a), "par swaks 7f3a")


def test_partner_may_not_speak_for_another_domain(space: Space) -> None:
    code, said = swaks(*partner(space), *card(space, space.b["name"]), "--from", f"x@{space.a['domain']}")
    assert code == 23
    assert "550" in said
    assert "5.7.1" in said


def test_partner_may_not_relay(space: Space) -> None:
    where = [*server(space.a["smtp"]), "--to", f"x@{space.b['domain']}"]
    code, said = swaks(*where, *card(space, space.b["name"]), "--from", space.box(space.b)["address"])
    assert code == 24
    assert "550" in said


@pytest.mark.parametrize("name", ["revoked", "expired", "self_signed", "other_ca", "wrong_eku", "cn_only"])
def test_bad_certificate_never_gets_a_message_in(space: Space, name: str) -> None:
    code, said = swaks(*partner(space), *card(space, name), "--from", space.box(space.b)["address"])
    assert code != 0
    assert "250 2.0.0" not in said


def test_tls_without_certificate_is_refused(space: Space) -> None:
    code, said = swaks(*partner(space), "--tls", "--from", space.box(space.b)["address"])
    assert code != 0
    assert "250 2.0.0" not in said


def submission(space: Space, port: str, *more: str) -> tuple[int, str]:
    box = space.box(space.a)
    login = ["--auth", "PLAIN", "--auth-user", box["login"], "--auth-password", box["device_password"]]
    return swaks(*server(space.a[port]), "--tls-ca-path", space.ca, "--from", box["address"], *login, *more)


def test_submission_on_587_with_starttls_and_login(space: Space) -> None:
    to = space.box(space.b)["address"]
    code, said = submission(space, "submission", "--tls", "--to", to, "--header", "Subject: swaks-587-c0de")
    assert code == 0, said
    space.wait_for(space.b, space.box(space.b), "swaks-587-c0de")


def test_submission_on_465_with_implicit_tls(space: Space) -> None:
    to = space.box(space.b)["address"]
    code, said = submission(space, "submissions", "--tls-on-connect", "--to", to, "--header", "Subject: swaks-465-c0de")
    assert code == 0, said
    assert "250-AUTH PLAIN LOGIN\n" in said  # nobody issues tokens in the space
    space.wait_for(space.b, space.box(space.b), "swaks-465-c0de")


def test_login_before_tls_is_refused(space: Space) -> None:
    code, said = submission(space, "submission", "--to", space.box(space.b)["address"])
    assert code != 0
    assert "250 2.0.0" not in said


def test_an_address_outside_the_space_is_refused(space: Space) -> None:
    code, said = submission(space, "submissions", "--tls-on-connect", "--to", "quelquun@exemple.invalid")
    assert code == 24
    assert "5.7.1" in said


def test_a_sender_that_is_not_mine_is_refused(space: Space) -> None:
    box, other = space.box(space.a), space.box(space.a, index=1)
    login = ["--auth", "PLAIN", "--auth-user", box["login"], "--auth-password", box["device_password"]]
    where = [*server(space.a["submissions"]), "--tls-on-connect", "--to", space.box(space.b)["address"]]
    code, said = swaks(*where, *login, "--from", other["address"])
    assert code == 23
    assert "5.7.1" in said


def test_a_wrong_password_is_refused_in_the_same_words_as_an_unknown_mailbox(space: Space) -> None:
    answers = []
    for user in (space.box(space.a)["login"], f"personne@{space.a['domain']}"):
        login = ["--auth", "PLAIN", "--auth-user", user, "--auth-password", "wrong-password"]
        _, said = swaks(*server(space.a["submissions"]), "--tls-on-connect", "--quit-after", "AUTH", *login)
        answers.append([line for line in said.split("\n") if " 535" in line])
    assert answers[0]
    assert answers[0] == answers[1]
