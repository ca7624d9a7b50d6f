"""The configuration: what is shipped, what is refused and where, what is shown, what a reload changes."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from gateway.config import (
    Change,
    Config,
    ConfigError,
    Fault,
    Secret,
    SecretMissing,
    absent,
    changes,
    load,
    missing,
    postmaster,
    show,
)
from gateway.config_document import render
from gateway.settings import REPEATED, SECTIONS
from policies.catalogue.sentences_config import CONFIG
from tests.gateway import pems

ROOT = Path(__file__).parents[2]
BAD = sorted((ROOT / "tests" / "bad_configs").glob("*.toml"))
GOOD = """\
[operator]
name = "Test"
domains = ["op.mssante.test"]
hostname = "mail.op.mssante.test"
test_mode = true
"""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pems")
    pems.write_all(folder)
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path) -> Path:
    for path in files.iterdir():
        shutil.copy2(path, tmp_path / path.name)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str) -> list[Fault]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    return caught.value.faults


# as shipped


def test_the_file_shipped_is_valid_and_says_what_is_missing() -> None:
    config = load(ROOT / "config.toml")
    assert {fault.key for fault in missing(config)} == {
        "store.master_key",
        "tls.certificates",
        "trust.test_anchors",
        "trust.list",
        "trust.crls",
    }


def test_the_file_shipped_is_what_the_declarations_render() -> None:
    assert (ROOT / "config.toml").read_text() == render()


def test_the_file_shipped_names_each_key_once_with_its_default() -> None:
    text = (ROOT / "config.toml").read_text()
    sections = dict(re.findall(r"^(?:# )?\[\[?([a-z]+)\]?\]\n((?:(?!^(?:# )?\[).*\n)*)", text, re.MULTILINE))
    assert set(sections) == set(SECTIONS)
    for name, declared in SECTIONS.items():
        for item in fields(declared):
            kind = item.metadata["spec"].kind
            found = re.findall(rf"^(?:# )?{item.name} = ", sections[name], re.MULTILINE)
            expected = 0 if kind.startswith("severities") or kind == "sizes" else 1
            assert len(found) == expected, f"{name}.{item.name}"


def test_the_file_shipped_with_every_default_uncommented_means_the_same(tmp_path: Path) -> None:
    text = (ROOT / "config.toml").read_text()
    bare = re.sub(r"^# (?=[a-z0-9_]+ = )", "", text, flags=re.MULTILINE)
    routes = bare.index("# [[routes]]")
    bare = bare[:routes] + bare[bare.index("\n[dns]", routes) :]
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "bare.toml").write_text(bare)
    plain, uncommented = load(tmp_path / "config.toml"), load(tmp_path / "bare.toml")
    assert changes(plain, uncommented) == []


def test_every_default_is_within_its_own_bounds(folder: Path) -> None:
    shown = show(load(written(folder, GOOD)), mask=False)
    for name, declared in SECTIONS.items():
        if name in REPEATED:
            continue
        for item in fields(declared):
            assert item.name in shown[name]
            spec = item.metadata["spec"]
            default = item.default if item.default_factory is MISSING else None
            if spec.low is not None and default is not MISSING:
                assert default >= spec.low, item.name
            if spec.high is not None and default is not MISSING:
                assert default <= spec.high, item.name


# refused


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_configuration_is_refused_at_its_line_with_a_remedy(path: Path, folder: Path) -> None:
    """Among them each way of mixing test and production (MSS-016, MSS-148)."""
    text = path.read_text(encoding="utf-8")
    head = text.split("\n", 1)[0].removeprefix("# expect: ")
    key, _, sentence = head.rpartition(" ")
    line = next(number for number, here in enumerate(text.split("\n"), 1) if here.endswith("# fault"))
    found = faults(folder, text)
    assert [(fault.key, fault.sentence, fault.line) for fault in found] == [(key, sentence, line)]
    for language in ("fr", "en"):
        assert found[0].says(language)  # type: ignore[arg-type]
        assert found[0].advises(language)  # type: ignore[arg-type]


def test_there_are_bad_configurations_of_every_kind() -> None:
    tried = {path.read_text().split("\n", 1)[0].split(" ")[-1] for path in BAD}
    elsewhere = {
        "config.no_file",
        "config.no_such_configuration",
        "config.denied",
        "config.too_big",
        "config.not_utf8",
        "config.file_unreadable",
        "config.empty_path",
        "config.empty_entry",
        "config.not_a_ratio",
        "config.source_absent",  # no fault: told, and served without
    }
    assert {name for name in CONFIG if name.startswith("config.")} == tried | elsewhere
    assert len(BAD) >= 25


def test_a_source_that_is_away_is_told_and_is_no_fault(folder: Path) -> None:
    """F40: what is published in a file may be away for a while, as what is published on a server."""
    (folder / "here.crl").write_text("x")
    text = (
        GOOD + '[trust]\nlist = "gone.xml"\nlist_checksum = "https://exemple.test/x"\ncrls = ["here.crl", "gone.crl"]\n'
    )
    path = folder / "config.toml"
    path.write_text(text)
    config = load(path)
    assert config.trust.list == str(folder / "gone.xml")
    away = absent(config)
    assert [(fault.key, Path(fault.parameters["path"]).name) for fault in away] == [
        ("trust.list", "gone.xml"),
        ("trust.crls[1]", "gone.crl"),
    ]
    assert all(fault.line == text[: text.index(fault.key.partition(".")[2][:4])].count("\n") + 1 for fault in away)


def test_all_faults_are_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    text = GOOD + '[limits]\nrecipients = "x"\nerors = 3\n[log]\nlevel = "loud"\n'
    assert [(fault.key, fault.line) for fault in faults(folder, text)] == [
        ("limits.recipients", 7),
        ("limits.erors", 8),
        ("log.level", 10),
    ]
    assert "errors" in faults(folder, text)[1].remedy


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[service]\ndata = ""\n', "config.empty_path"),
        ('[tls]\nsuites = ["ECDHE-RSA-AES256-GCM-SHA384", ""]\n', "config.empty_entry"),
        ('[trust]\nshrink_limit = "a fifth"\n', "config.not_a_ratio"),
        ("[trust]\nshrink_limit = nan\n", "config.not_a_ratio"),
        ("[queue]\nlifetime = inf\n", "config.not_a_duration"),
        ("[limits]\nrecipients = true\n", "config.not_a_number"),
        ("[limits]\nmessage_size = 1.5\n", "config.not_a_size"),
        ('[inbound]\nlisten = ["[::1:25"]\n', "config.not_an_address"),
        ('[inbound]\nlisten = ["::1:25"]\n', "config.not_an_address"),
        ("[operator]\n", "config.not_toml"),
        ("[zzzzz]\n", "config.unknown_key"),
        (f"[limits]\nrecipients = {10**16}\n", "config.too_large"),
        ('[[routes]]\ndomain = "b.test"\nhost = "under_score"\n', "config.not_a_domain"),
        ('[store]\nurl = "postgresql://"\n', "config.not_a_database"),
        ('[store]\nurl = "postgresql://u@h/d?password=x"\n', "config.password_in_url"),
        ("[hprim]\nseverity = 3\n", "config.not_severities"),
        ("[hprim]\ntypes = 3\n", "config.not_severities"),
        ('[tokens]\nissuer = "https://idp.test"\nkeys = "rsa.pem"\n', "config.token_incomplete"),
        ('[tls]\nclient_certificate = "rsa.pem"\nclient_key = "p256.key"\n', "config.key_of_another"),
        ('[inbound]\nlisten = ["under_score:25"]\n', "config.not_an_address"),
    ],
)
def test_values_that_are_nearly_right(folder: Path, text: str, sentence: str) -> None:
    assert faults(folder, GOOD + text)[0].sentence == sentence


def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    assert [fault.sentence for fault in caught.value.faults] == ["config.no_such_configuration"]
    (tmp_path / "big.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "big.toml")
    assert [fault.sentence for fault in caught.value.faults] == ["config.too_big"]
    (tmp_path / "latin.toml").write_bytes(b"# ok\n# \xe9\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "latin.toml")
    assert [(fault.sentence, fault.line) for fault in caught.value.faults] == [("config.not_utf8", 2)]


def test_deep_nesting_is_refused_not_followed(folder: Path) -> None:
    text = GOOD + "[limits]\nrecipients = " + "[" * 100_000 + "\n"
    assert faults(folder, text)[0].sentence == "config.not_toml"


def test_a_secret_written_in_the_file_is_not_repeated_in_the_fault(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, GOOD + '[store]\nmaster_key = "hunter2-in-clear"\n'))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load(written(folder, GOOD + '[store]\nurl = "postgresql://u:hunter2@h/d"\n'))
    assert "hunter2" not in str(caught.value)


def test_a_fault_reads_file_line_key_problem_remedy(folder: Path) -> None:
    text = str(faults(folder, GOOD + "[log]\nlevel = 3\n")[0])
    assert re.fullmatch(r".*/config\.toml:7: log\.level: a text is expected, not 3\. Put the value in quotes\.", text)


# accepted


def whole(folder: Path) -> Config:
    text = GOOD + (
        '[store]\nmaster_key = "file:p256.key"\npassword = "env:PGPASS"\nblobs = "bodies"\n'
        '[tls]\ncertificates = ["rsa.pem", "p256.pem"]\nkeys = ["rsa.key", "p256.key"]\n'
        '[trust]\ntest_anchors = ["rsa.pem"]\nlist = "p256.pem"\ncrls = ["http://crl.example/a.crl"]\n'
        '[inbound]\nlisten = ["127.0.0.1:0", "[::1]:2525"]\n'
        '[limits]\nmessage_size = "10MiB"\ndomain_sizes = { "b.mssante.test" = "5MiB" }\n'
        '[[routes]]\ndomain = "b.mssante.test"\nhost = "127.0.0.1"\nport = 2526\n'
        '[hprim.severity]\nHID-041 = "warn"\n[hprim.types.APP]\nHID-042 = "note"\n'
    )
    return load(written(folder, text))


def test_values_are_read_into_what_the_code_needs(folder: Path) -> None:
    config = whole(folder)
    assert config.limits.message_size == 10 * 1024 * 1024
    assert config.limits.domain_sizes == {"b.mssante.test": 5 * 1024 * 1024}
    assert [str(address) for address in config.inbound.listen] == ["127.0.0.1:0", "[::1]:2525"]
    assert config.store.blobs == str(folder / "bodies")
    assert config.store.url == f"sqlite:{folder / 'data' / 'caducee.db'}"
    assert config.journal.anchor == folder / "data" / "journal.anchor"
    assert config.tls.keys == (folder / "rsa.key", folder / "p256.key")
    assert config.routes[0].port == 2526
    assert config.hprim.types["APP"]["HID-042"] == "note"
    assert postmaster(config.operator) == "postmaster@op.mssante.test"
    assert missing(config) == []


def test_names_and_thresholds_switched_off(folder: Path) -> None:
    config = load(
        written(
            folder,
            GOOD
            + '[inbound]\nlisten = ["localhost:0", "mail.op.mssante.test:0"]\n'
            + "[unsolicited]\nrefuse = 0\nbroadcast_refuse = 0\n[trust]\nrefuse_age = 0\n"
            + '[[routes]]\ndomain = "b.test"\nhost = "localhost"\n[[routes]]\ndomain = "c.test"\nhost = "mx.c.test"\n'
            + '[scan]\nclamd = "127.0.0.1:3310"\n[dns]\nservers = ["::1"]\n'
            + '[tls]\nclient_certificate = "p256.pem"\nclient_key = "p256.key"\n'
            + '[store]\nurl = "postgresql://caducee@localhost:5432/caducee"\nblobs = "s3://bucket/mail"\n'
            + 's3_access_key = "env:A"\ns3_secret_key = "env:B"\n',
        )
    )
    assert [route.host for route in config.routes] == ["localhost", "mx.c.test"]
    assert (config.scan.clamd, config.dns.servers) == ("127.0.0.1:3310", ("::1",))
    assert config.store.url.endswith("@localhost:5432/caducee")


def test_relative_paths_start_from_the_file_not_from_the_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert whole(folder).service.data == folder / "data"


def test_secrets_are_masked_and_never_in_a_repr(folder: Path) -> None:
    config = whole(folder)
    assert show(config)["store"]["master_key"] == "********"
    assert show(config, mask=False)["store"]["master_key"] == "file:p256.key"
    assert "PRIVATE" not in repr(config)


def test_what_is_shown_can_be_read_again(folder: Path) -> None:
    from gateway.config_document import literal

    config = whole(folder)
    lines = []
    for name, section in show(config, mask=False).items():
        for table in section if isinstance(section, list) else [section]:
            lines.append(f"[[{name}]]" if isinstance(section, list) else f"[{name}]")
            lines += [f"{key} = {literal(value)}" for key, value in table.items()]
    again = load(written(folder, "\n".join(lines) + "\n"))
    assert changes(config, again) == []
    assert tomllib.loads("\n".join(lines))["routes"][0]["host"] == "127.0.0.1"


def test_a_secret_is_read_where_it_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "secret"
    place.write_text("correct horse\n")
    assert Secret("file:secret", place).read() == b"correct horse"
    assert Secret("env:PG").read({"PG": "tr0ub4dor"}) == b"tr0ub4dor"
    with pytest.raises(SecretMissing, match="not set"):
        Secret("env:PG").read({})
    with pytest.raises(SecretMissing, match="No such file"):
        Secret("file:nowhere", tmp_path / "nowhere").read()


def test_a_reload_tells_what_waits_for_a_restart(folder: Path) -> None:
    old = load(written(folder, GOOD))
    new = load(
        written(
            folder,
            GOOD
            + '[limits]\nrecipients = 7\n[inbound]\nlisten = ["127.0.0.1:2525"]\n'
            + '[[routes]]\ndomain = "b.mssante.test"\nhost = "127.0.0.1"\n',
        )
    )
    assert changes(old, new) == [
        Change("inbound.listen", True),
        Change("limits.recipients", False),
        Change("routes", False),
    ]
