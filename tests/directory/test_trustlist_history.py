"""What may replace the list in force (MSS-011 to MSS-013, F40 to F42), over files and over memory alike."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from directory import trustlist
from directory.trustlist_difference import difference, shrunk
from directory.trustlist_history import History, ListSettings, ageing
from directory.trustlist_versions import Current, Damaged, FileVersions, MemoryVersions, Metadata, Versions
from policies.trust import Freshness, TrustSettings, trust_list
from tests.directory.lists import NOW, plain, raw, subject

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(params=["files", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Versions]:
    """Opens the same versions again at each call, as another process would."""
    memory = MemoryVersions()
    return (lambda: FileVersions(tmp_path / "lists")) if request.param == "files" else (lambda: memory)


@pytest.fixture
def history(make: Callable[[], Versions]) -> History:
    return History(make(), ListSettings(versions_kept=3))


def detail(event: object) -> dict[str, object]:
    return dict(event.detail)  # type: ignore[attr-defined]


def test_nothing_is_in_force_before_the_first_list(history: History) -> None:
    assert history.current() is None
    assert history.versions() == ()
    assert history.held() is None


def test_the_first_list_is_accepted_and_told(history: History) -> None:
    outcome = history.accept(plain(10), now=NOW)
    assert outcome.word == "accepted"
    assert outcome.trust is history.current()
    assert len(outcome.changes.added) == 10
    (event,) = outcome.events
    assert detail(event)["what"] == "accepted"
    assert detail(event)["rows"] == 10


def test_another_process_sees_the_change(make: Callable[[], Versions]) -> None:
    writer, reader = History(make(), ListSettings()), History(make(), ListSettings())
    assert reader.current() is None
    writer.accept(plain(10), now=NOW)
    seen = reader.current()
    assert seen is not None
    assert seen.lists("etab-9.mssante.test")
    writer.accept(plain(12, NOW + HOUR), now=NOW + HOUR)
    again = reader.current()
    assert again is not None
    assert again.lists("etab-11.mssante.test")
    assert again == writer.current()


def test_the_same_list_again_renews_its_confirmation(make: Callable[[], Versions]) -> None:
    history, other = History(make(), ListSettings()), History(make(), ListSettings())
    history.accept(plain(10), now=NOW)
    assert other.current() is not None
    outcome = history.accept(plain(10), now=NOW + DAY)
    assert (outcome.word, outcome.events) == ("unchanged", ())
    assert outcome.trust is not None
    assert outcome.trust.fetched_at == NOW + DAY
    renewed = other.current()
    assert renewed is not None
    assert renewed.fetched_at == NOW + DAY
    history.accept(plain(10), now=NOW)  # the clock went back
    assert history.current().fetched_at == NOW + DAY  # type: ignore[union-attr]


def test_an_older_list_is_a_replay(history: History) -> None:
    history.accept(plain(10), now=NOW)
    outcome = history.accept(plain(11, NOW - HOUR), now=NOW + HOUR)
    assert (outcome.word, outcome.reason) == ("refused", "replay")
    assert outcome.trust is history.current()
    assert not history.current().lists("etab-10.mssante.test")  # type: ignore[union-attr]
    assert detail(outcome.events[0])["reason"] == "replay"


def test_another_content_for_the_same_date_is_a_conflict(history: History) -> None:
    history.accept(plain(10), now=NOW)
    assert history.accept(plain(11), now=NOW).reason == "conflict"
    reordered = raw(*((f"etab-{n}.mssante.test", subject(n % 7)) for n in reversed(range(10))))
    assert history.accept(reordered, now=NOW).word == "unchanged"


def test_a_broken_candidate_leaves_the_list_in_force(history: History) -> None:
    history.accept(plain(10), now=NOW)
    for bad, word in ((b"<html>down</html>", "wrong_root"), (b"", "empty"), (plain(10)[:-9], "malformed")):
        outcome = history.accept(bad, now=NOW + HOUR)
        assert (outcome.word, outcome.reason) == ("refused", word)
        assert len(history.current().domains) == 10  # type: ignore[union-attr]
    wrong = history.accept(plain(11, NOW + HOUR), now=NOW + HOUR, companion=b"0" * 64)
    assert wrong.reason == "checksum"
    right = plain(11, NOW + HOUR)
    assert history.accept(right, now=NOW + HOUR, companion=trustlist.sha256(right).encode()).word == "accepted"


def test_a_shrinking_list_waits_for_a_person(history: History) -> None:
    history.accept(plain(10), now=NOW)
    small = plain(7, NOW + HOUR)
    outcome = history.accept(small, now=NOW + HOUR)
    assert (outcome.word, outcome.reason) == ("held", "shrink")
    assert len(outcome.changes.removed) == 3
    assert [detail(event)["what"] for event in outcome.events] == ["held"]
    assert history.accept(small, now=NOW + 2 * HOUR).events == ()  # told once
    held = history.held()
    assert held is not None
    assert held.domains == 7
    assert len(history.current().domains) == 10  # type: ignore[union-attr]
    confirmed = history.confirm_held(now=NOW + 3 * HOUR, by="operator:marie")
    assert confirmed.word == "accepted"
    assert len(history.current().domains) == 7  # type: ignore[union-attr]
    assert history.versions()[-1].confirmed_by == "operator:marie"
    assert history.held() is None
    assert history.confirm_held(now=NOW, by="x").reason == "nothing_held"


def test_a_held_list_that_was_overtaken_is_a_replay(history: History) -> None:
    history.accept(plain(10), now=NOW)
    history.accept(plain(2, NOW + HOUR), now=NOW + HOUR)
    history.accept(plain(11, NOW + 2 * HOUR), now=NOW + 2 * HOUR)
    assert history.held() is None
    assert history.confirm_held(now=NOW + 3 * HOUR, by="x").reason == "nothing_held"


def test_a_little_less_passes_and_any_growth_passes(history: History) -> None:
    history.accept(plain(10), now=NOW)
    assert history.accept(plain(8, NOW + HOUR), now=NOW + HOUR).word == "accepted"
    assert history.accept(plain(500, NOW + 2 * HOUR), now=NOW + 2 * HOUR).word == "accepted"


def test_a_list_replaced_by_another_of_the_same_size_is_a_shrink(history: History) -> None:
    history.accept(plain(10), now=NOW)
    assert history.accept(plain(10, NOW + HOUR, start=50), now=NOW + HOUR).word == "held"
    same_domains = raw(*((f"etab-{n}.mssante.test", subject(99)) for n in range(10)), generated=NOW + HOUR)
    assert history.accept(same_domains, now=NOW + HOUR).word == "held"


def test_versions_are_kept_and_compared_and_the_oldest_go(history: History) -> None:
    for step in range(6):
        history.accept(plain(10 + step, NOW + step * HOUR), now=NOW + step * HOUR)
    kept = history.versions()
    assert [metadata.domains for metadata in kept] == [13, 14, 15]
    changes = history.diff(kept[0].name, kept[-1].name)
    assert changes.added == ("etab-13.mssante.test", "etab-14.mssante.test")
    assert (changes.removed, changes.changed) == ((), ())
    assert len(history.version(kept[1].name).rows) == 14
    with pytest.raises(KeyError):
        history.diff(kept[0].name, "20000101T000000Z-000000000000")


def test_stricter_settings_put_a_kept_list_out_of_force(make: Callable[[], Versions]) -> None:
    History(make(), ListSettings()).accept(plain(10), now=NOW)
    strict = History(make(), ListSettings(require_signature=True))
    assert strict.current() is None
    assert strict.accept(plain(11, NOW + HOUR), now=NOW + HOUR).reason == "unsigned"


def test_a_held_list_is_judged_again_before_it_passes(make: Callable[[], Versions]) -> None:
    history = History(make(), ListSettings())
    history.accept(plain(10), now=NOW)
    history.accept(plain(2, NOW + HOUR), now=NOW + HOUR)
    strict = History(make(), ListSettings(require_signature=True))
    assert strict.confirm_held(now=NOW + HOUR, by="x").reason == "unsigned"


def test_the_difference_is_by_meaning() -> None:
    one = trust_list([("a.test", subject(1)), ("b.test", subject(2)), ("c.test", subject(3))], NOW, NOW)
    two = trust_list([("A.test", subject(1).lower()), ("b.test", subject(9)), ("d.test", subject(3))], NOW, NOW)
    found = difference(one, two)
    assert (found.added, found.removed, found.changed) == (("d.test",), ("c.test",), ("b.test",))
    assert difference(one, one).empty
    assert shrunk(one, two, 0.2)
    assert not shrunk(one, two, 0.9)


def test_the_clock_tells_each_state_once() -> None:
    settings = TrustSettings()
    trust = trust_list([("a.test", subject(1))], NOW, NOW)
    state, told = None, []
    for hours in (1, 20, 25, 30, 73, 80, 24 * 8, 1):
        state, events = ageing(trust, NOW + timedelta(hours=hours), settings, state)
        told += [detail(event)["what"] for event in events]
    assert told == ["age_warn", "age_alarm", "age_stale", "age_fresh"]
    assert state is Freshness.FRESH
    assert ageing(None, NOW, settings, None) == (None, ())


# The port


META = Metadata("20260302T080000Z-abc", NOW, trustlist.sha256(b"data"), NOW, 3, 4, 1, "CN=x", "")


def test_versions_contract(make: Callable[[], Versions]) -> None:
    versions = make()
    assert versions.current() is None
    assert versions.names() == ()
    with pytest.raises(KeyError):
        versions.read(META.name)
    versions.write(META.name, b"data", META)
    versions.write("held", b"data", META)
    versions.point(Current(META.name, NOW))
    again = make()
    assert again.names() == (META.name,)
    assert again.read(META.name) == (b"data", META)
    assert again.read("held") == (b"data", META)
    assert again.current() == Current(META.name, NOW)
    again.drop("held")
    again.drop("held")
    with pytest.raises(KeyError):
        versions.read("held")


def test_an_altered_file_is_damage_never_a_list(tmp_path: Path) -> None:
    versions = FileVersions(tmp_path)
    versions.write(META.name, b"data", META)
    (tmp_path / f"{META.name}.xml").write_bytes(b"Data")
    with pytest.raises(Damaged, match="altered"):
        versions.read(META.name)
    (tmp_path / f"{META.name}.json").write_bytes(b"{}")
    with pytest.raises(Damaged, match="not readable"):
        versions.read(META.name)
    (tmp_path / "current.json").write_bytes(b"[")
    with pytest.raises(Damaged, match="current"):
        versions.current()


def test_a_half_written_version_is_not_listed(tmp_path: Path) -> None:
    versions = FileVersions(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "new" / "20260302T080000Z-abc.json").write_text(json.dumps({}))
    (tmp_path / "new" / "20260302T080000Z-def.xml.12.new").write_text("half")
    assert versions.names() == ()


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a/b", "a.b", "é"])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyError):
        FileVersions(tmp_path).read(name)


def test_a_file_system_with_modes_of_its_own_keeps_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network and foreign ones refuse every change of a mode: the service did not start."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.fchmod", refused)
    versions = FileVersions(tmp_path)
    versions.point(Current("", NOW))
    assert versions.current() is not None
