"""What mail programs, the DNS and Apple's devices are told of our doors (MSS-077): read back by parsers that are not ours."""

from __future__ import annotations

import json
import plistlib
from pathlib import Path
from typing import Any

import dns.name
import dns.rdatatype
import dns.zone
import pytest
from lxml import etree
from typer.testing import CliRunner

from gateway.admin.autoconfig import NoDoor, apple, both_ways, doors, mozilla, records
from gateway.cli import application
from gateway.config import Config, load
from tests.gateway.smtp_twin import HOSTNAME, make_pki

CONFIG = """\
[operator]
name = "Hôpital <Saint-\\"Louis\\"> & fils"
domains = ["op-a.mssante.test", "autre.mssante.test"]
hostname = "smtp.op-a.mssante.test"
test_mode = true
"""


def config(folder: Path, more: str = "") -> Config:
    (folder / "config.toml").write_text(CONFIG + more, "utf-8")
    return load(folder / "config.toml")


def test_the_document_names_each_open_door_the_best_first(tmp_path: Path) -> None:
    read = etree.fromstring(mozilla(config(tmp_path)))
    assert read.get("version") == "1.1"
    provider = read.find("emailProvider")
    assert [domain.text for domain in provider.findall("domain")] == ["op-a.mssante.test", "autre.mssante.test"]
    assert provider.findtext("displayName") == 'Hôpital <Saint-"Louis"> & fils'
    told = [
        (
            server.tag,
            server.get("type"),
            server.findtext("hostname"),
            server.findtext("port"),
            server.findtext("socketType"),
        )
        for server in provider
        if server.tag.endswith("Server")
    ]
    assert told == [
        ("incomingServer", "imap", HOSTNAME, "993", "SSL"),
        ("incomingServer", "imap", HOSTNAME, "143", "STARTTLS"),
        ("outgoingServer", "smtp", HOSTNAME, "465", "SSL"),
        ("outgoingServer", "smtp", HOSTNAME, "587", "STARTTLS"),
    ]
    assert {server.findtext("username") for server in provider if server.tag.endswith("Server")} == {"%EMAILADDRESS%"}


def test_a_closed_door_is_not_named(tmp_path: Path) -> None:
    one = config(tmp_path, "[imaps]\nlisten = []\n[submission]\nlisten = []\n")
    assert [door.service for door in doors(one)] == ["imap", "submissions"]
    assert [record.name for record in records(one) if record.kind == "SRV"] == [
        "_imap._tcp.op-a.mssante.test",
        "_submissions._tcp.op-a.mssante.test",
        "_imap._tcp.autre.mssante.test",
        "_submissions._tcp.autre.mssante.test",
    ]
    account = plistlib.loads(apple(one))["PayloadContent"][0]
    assert (account["IncomingMailServerPortNumber"], account["IncomingMailServerUseSSL"]) == (143, True)


@pytest.mark.parametrize(("closed", "protocol"), [(("imap", "imaps"), "imap"), (("submission", "submissions"), "smtp")])
def test_without_a_door_to_read_or_to_write_by_nothing_is_made(
    tmp_path: Path, closed: tuple[str, ...], protocol: str
) -> None:
    one = config(tmp_path, "".join(f"[{name}]\nlisten = []\n" for name in closed))
    for make in (mozilla, apple, lambda config: both_ways(doors(config))):
        with pytest.raises(NoDoor) as missing:
            make(one)
        assert missing.value.protocol == protocol
    assert {record.kind for record in records(one)} == {"MX", "SRV"}


def test_the_records_are_a_piece_of_a_zone(tmp_path: Path) -> None:
    lines = "".join(f"{record}\n" for record in records(config(tmp_path)) if record.name.endswith("op-a.mssante.test"))
    head = "@ 3600 IN SOA ns.op-a.mssante.test. root.op-a.mssante.test. 1 2 3 4 5\n@ 3600 IN NS ns.op-a.mssante.test.\n"
    zone = dns.zone.from_text(f"$TTL 3600\n{head}{lines}", origin="op-a.mssante.test.", check_origin=True)
    target = dns.name.from_text(HOSTNAME)
    mx = zone.find_rdataset("@", "MX")[0]
    assert (mx.preference, mx.exchange.derelativize(zone.origin)) == (10, target)
    found = {
        str(name): (each.port, each.target.derelativize(zone.origin))
        for name, rdataset in zone.iterate_rdatasets(dns.rdatatype.SRV)
        for each in rdataset
    }
    assert found == {
        "_imaps._tcp": (993, target),
        "_imap._tcp": (143, target),
        "_submissions._tcp": (465, target),
        "_submission._tcp": (587, target),
    }


def test_the_profile_keeps_the_mailbox_apart_and_replaces_an_older_one(tmp_path: Path) -> None:
    one = config(tmp_path)
    profile = plistlib.loads(apple(one))
    account = profile["PayloadContent"][0]
    assert (profile["PayloadType"], account["PayloadType"]) == ("Configuration", "com.apple.mail.managed")
    assert account["EmailAccountDescription"] == 'Hôpital <Saint-"Louis"> & fils'
    assert (account["IncomingMailServerHostName"], account["IncomingMailServerPortNumber"]) == (HOSTNAME, 993)
    assert (account["OutgoingMailServerHostName"], account["OutgoingMailServerPortNumber"]) == (HOSTNAME, 465)
    assert account["PreventMove"] is account["PreventAppSheet"] is account["disableMailRecentsSyncing"] is True
    assert not {key for key in account if "Password" in key} - {"OutgoingPasswordSameAsIncomingPassword"}
    assert apple(one) == apple(one)
    assert len({profile["PayloadUUID"], account["PayloadUUID"]}) == 2


def command(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(application, ["--lang", "en", "-c", str(folder / "config.toml"), "autoconfig", *words])


def test_the_command_writes_the_files_and_says_where(tmp_path: Path) -> None:
    one = config(tmp_path)
    made = command(tmp_path, str(tmp_path / "web"), "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert [Path(path).read_bytes() for path in told["files"]] == [
        mozilla(one),
        apple(one),
        "".join(f"{record}\n" for record in records(one)).encode(),
    ]
    assert told["doors"][0] == {"service": "imaps", "host": HOSTNAME, "port": 993, "tls": "TLS"}
    shown = command(tmp_path)
    assert f"IMAP\t{HOSTNAME}\t993\tTLS" in shown.stdout
    assert f"_imaps._tcp.op-a.mssante.test. IN SRV 0 1 993 {HOSTNAME}." in shown.stdout


def test_a_name_the_certificate_does_not_have_is_not_handed_out(tmp_path: Path) -> None:
    pki = make_pki(tmp_path)
    pki.server_key.chmod(0o600)
    tls = f'[tls]\ncertificates = ["{pki.server}"]\nkeys = ["{pki.server_key}"]\n'
    config(tmp_path, tls)
    assert command(tmp_path).exit_code == 0
    path = tmp_path / "config.toml"
    path.write_text(path.read_text("utf-8").replace(f'hostname = "{HOSTNAME}"', 'hostname = "mail.op-a.mssante.test"'))
    refused = command(tmp_path, str(tmp_path / "web"))
    assert refused.exit_code == 1
    assert f"does not name mail.op-a.mssante.test (it names {HOSTNAME})" in refused.output
    assert not (tmp_path / "web").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    config(tmp_path)
    (tmp_path / "web").write_bytes(b"")
    refused = command(tmp_path, str(tmp_path / "web"))
    assert refused.exit_code == 3
    assert str(tmp_path / "web") in refused.output
