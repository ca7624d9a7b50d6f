"""The watched folder: every file ends in one place, once, whatever happens in between."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli import send
from gateway.posting import Request
from gateway.submission_here import NotTaken, UnknownMailbox
from gateway.submission_there import ServerRefused
from gateway.watch import Folder, NotNow, Refused, Taken, alone
from mailboxes.store import BlobsUnavailable, StoreUnavailable
from policies.address import parse
from policies.catalogue import rule
from policies.decision import decide

NOBODY = 65534


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Post:
    """Sends by remembering; refuses what says so; ``crash`` counts down to a death at that step."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, str]] = []
        self.told: list[bytes | None] = []
        self.down = False

    def __call__(self, data: bytes, name: str, digest: str, told: bytes | None = None) -> str:
        if self.down:
            raise NotNow("le serveur ne répond pas", "the server is away")
        if b"NON" in data:
            raise Refused("ligne 7 : date illisible", "line 7: unreadable date")
        self.sent.append((name, data, digest))
        self.told.append(told)
        return f"ID{len(self.sent)}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path, Post(), Clock(), settle=2.0)
    made.prepare()
    return made


def post_of(folder: Folder) -> Post:
    assert isinstance(folder.send, Post)
    return folder.send


def pass_time(folder: Folder, seconds: float = 3.0) -> list[str]:
    """Look, wait, look again; what became of files."""
    outcomes = folder.look()
    assert isinstance(folder.clock, Clock)
    folder.clock.now += seconds
    return [outcome.what for outcome in (*outcomes, *folder.look())]


def names(folder: Folder, place: str = "") -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder.path / place) if entry.is_file())


def test_a_file_is_sent_and_kept_with_its_identifier(folder: Folder) -> None:
    (folder.path / "a.hpr").write_bytes(b"OUI")
    assert pass_time(folder) == ["sent"]
    assert names(folder) == []
    assert names(folder, "sending") == []
    assert names(folder, "done") == [".sent", "a.hpr", "a.hpr.sent.txt"]
    assert (folder.path / "done" / "a.hpr.sent.txt").read_text().strip() == "ID1"


def test_a_refused_file_has_its_reason_beside_it(folder: Folder) -> None:
    (folder.path / "a.hpr").write_bytes(b"NON")
    assert pass_time(folder) == ["refused"]
    assert (folder.path / "refused" / "a.hpr").read_bytes() == b"NON"
    reason = (folder.path / "refused" / "a.hpr.reason.txt").read_text("utf-8")
    assert reason.startswith("ligne 7 : date illisible")
    assert "line 7: unreadable date" in reason


def test_a_file_still_being_written_is_left_alone(folder: Folder) -> None:
    path = folder.path / "a.hpr"
    path.write_bytes(b"O")
    assert pass_time(folder, 1.0) == []
    path.write_bytes(b"OUI")
    assert pass_time(folder, 1.0) == []
    assert pass_time(folder, 1.5) == ["sent"]
    assert post_of(folder).sent[0][1] == b"OUI"


@pytest.mark.parametrize("name", [".hidden", "a.tmp", "a.part", "a.hpr~", "a.filepart"])
def test_temporary_files_are_not_taken(folder: Folder, name: str) -> None:
    (folder.path / name).write_bytes(b"OUI")
    assert pass_time(folder) == []
    assert names(folder) == [name]


def test_empty_files_links_and_folders_are_not_taken(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_bytes(b"secret")
    (folder.path / "vide.hpr").touch()
    (folder.path / "lien.hpr").symlink_to(secret)
    (folder.path / "dossier.hpr").mkdir()
    os.mkfifo(folder.path / "tube.hpr")
    assert pass_time(folder) == []
    assert post_of(folder).sent == []
    assert secret.exists()


def test_a_file_that_stays_empty_is_refused_in_the_end(folder: Folder) -> None:
    """It was left in the folder for ever: nobody was told that this result never left."""
    path = folder.path / "vide.hpr"
    path.touch()
    assert pass_time(folder, 60.0) == []
    os.utime(path, (time.time() - 600, time.time() - 600))
    assert pass_time(folder) == ["refused"]
    assert names(folder, "refused") == ["vide.hpr", "vide.hpr.reason.txt"]
    assert "le fichier est vide" in (folder.path / "refused" / "vide.hpr.reason.txt").read_text("utf-8")
    assert post_of(folder).sent == []


def test_the_same_octets_leave_once(folder: Folder) -> None:
    (folder.path / "a.hpr").write_bytes(b"OUI")
    pass_time(folder)
    (folder.path / "b.hpr").write_bytes(b"OUI")
    assert pass_time(folder) == ["again"]
    assert len(post_of(folder).sent) == 1
    assert (folder.path / "done" / "b.hpr.sent.txt").read_text().strip() == "ID1"


def test_two_files_of_one_name_are_both_kept(folder: Folder) -> None:
    for data in (b"OUI 1", b"OUI 2", b"OUI 3"):
        (folder.path / "a.hpr").write_bytes(data)
        assert pass_time(folder) == ["sent"]
    kept = {(folder.path / "done" / name).read_bytes() for name in names(folder, "done") if name.endswith(".hpr")}
    assert kept == {b"OUI 1", b"OUI 2", b"OUI 3"}


def test_what_cannot_leave_now_waits(folder: Folder) -> None:
    post_of(folder).down = True
    (folder.path / "a.hpr").write_bytes(b"OUI")
    assert pass_time(folder) == ["later"]
    assert names(folder, "sending") == ["a.hpr"]
    post_of(folder).down = False
    assert pass_time(folder) == ["sent"]


# a document, and the file that tells whom it is about


def drop(folder: Folder, **files: bytes) -> None:
    for name, data in files.items():
        (folder.path / name.replace("_", ".")).write_bytes(data)


@pytest.mark.parametrize("teller", ["cr_json", "cr_pdf_json", "CR_JSON"])
@pytest.mark.parametrize(("data", "place"), [(b"OUI", "done"), (b"NON", "refused")])
def test_what_tells_of_a_document_goes_with_it(folder: Folder, teller: str, data: bytes, place: str) -> None:
    drop(folder, cr_pdf=data, **{teller: b"{}"})
    assert pass_time(folder) == ["sent" if place == "done" else "refused"]
    assert (names(folder), names(folder, "sending")) == ([], [])
    kept = {name: (folder.path / place / name).read_bytes() for name in names(folder, place) if "txt" not in name}
    assert (kept["cr.pdf"], kept["cr.pdf.json"]) == (data, b"{}")
    assert post_of(folder).told == ([b"{}"] if place == "done" else [])


def test_one_leaflet_leaves_for_two_patients_each_once(folder: Folder) -> None:
    for told, became in [(b"{1}", "sent"), (b"{2}", "sent"), (b"{1}", "again")]:
        drop(folder, cr_pdf=b"OUI", cr_json=told)
        assert pass_time(folder) == [became]
    assert post_of(folder).told == [b"{1}", b"{2}"]
    kept = names(folder, "done")
    assert [(folder.path / "done" / f"cr{n}.pdf.json").read_bytes() for n in ("", "-2", "-3")] == [
        b"{1}",
        b"{2}",
        b"{1}",
    ]
    assert len(kept) == 10  # with a note of each, and the ledger


def test_a_pdf_waits_for_what_tells_of_it(folder: Folder) -> None:
    drop(folder, cr_pdf=b"OUI")
    assert pass_time(folder) == ["later"]
    drop(folder, cr_json=b"{")
    assert pass_time(folder, 1.0) == []
    drop(folder, cr_json=b"{}")
    assert pass_time(folder, 1.0) == []
    assert pass_time(folder) == ["sent"]


def test_what_stays_alone_is_given_up(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PDF is for the sender to judge, which refuses it with its own advice."""
    drop(folder, cr_pdf=b"OUI", autre_json=b"{}")
    assert pass_time(folder) == ["later"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 400)
    assert sorted(pass_time(folder)) == ["refused", "sent"]
    assert "aucun document du même nom" in (folder.path / "refused" / "autre.json.reason.txt").read_text("utf-8")
    assert post_of(folder).told == [None]


@pytest.mark.parametrize("data", [b"OUI", b"NON"])
def test_a_name_as_long_as_they_may_be_stops_nothing(folder: Folder, data: bytes) -> None:
    for _ in range(2):
        for name in ("a" * 251 + ".hpr", "é" * 125 + ".hpr", "b.hpr"):
            (folder.path / name).write_bytes(data)
        assert "later" not in pass_time(folder)
    assert (names(folder), names(folder, "sending")) == ([], [])
    kept = names(folder, "done" if data == b"OUI" else "refused")
    assert len([name for name in kept if name.endswith(".hpr")]) == 6
    assert len([name for name in kept if name.endswith(".txt")]) == 6


def test_a_file_beyond_measure_is_refused(folder: Folder) -> None:
    with (folder.path / "gros.hpr").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    assert pass_time(folder) == ["refused"]


def test_a_full_disk_stops_a_file_before_it_leaves(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its departure could not be noted: it would leave at each attempt."""

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    (folder.path / "a.hpr").write_bytes(b"OUI")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            pass_time(folder)
    assert post_of(folder).sent == []
    assert pass_time(folder) == ["sent"]


class Crash(BaseException):
    """The machine stops."""


@settings(max_examples=60)
@given(step=st.integers(0, 18), refused=st.booleans(), paired=st.booleans())
def test_nothing_is_lost_nor_sent_under_another_name_at_any_crash(
    tmp_path_factory: pytest.TempPathFactory, step: int, refused: bool, paired: bool
) -> None:
    """Stop before any of the steps that touch the disk or the post; then start again as a new process would."""
    path = tmp_path_factory.mktemp("watch")
    data = b"NON" if refused else b"OUI"
    (path / "a.hpr").parent.mkdir(exist_ok=True)
    (path / "a.hpr").write_bytes(data)
    if paired:
        (path / "a.json").write_bytes(b"{}")
    post, left = Post(), [step]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    def sending(octets: bytes, name: str, digest: str, told: bytes | None = None) -> str:
        count()
        identifier = post(octets, name, digest, told)
        count()
        return identifier

    with pytest.MonkeyPatch.context() as patch:
        plain_fsync, plain_rename = os.fsync, Path.rename
        patch.setattr(os, "fsync", lambda handle: (count(), plain_fsync(handle))[1])
        patch.setattr(Path, "rename", lambda self, target: (count(), plain_rename(self, target))[1])
        first = Folder(path, sending, Clock(), settle=0.0)
        first.prepare()
        try:
            first.look()
            first.look()
        except Crash:
            pass
    again = Folder(path, post, Clock(), settle=0.0)
    again.prepare()
    again.look()
    again.look()
    places = [place for place in ("", "sending", "done", "refused") for name in names(again, place) if name == "a.hpr"]
    assert places == ["refused" if refused else "done"]
    tellers = [
        (place, name) for place in ("", "sending", "done", "refused") for name in names(again, place) if "json" in name
    ]
    assert tellers == ([(places[0], "a.hpr.json")] if paired else [])
    assert set(post.told) <= {b"{}" if paired else None}
    assert len({digest for _, _, digest in post.sent}) == (0 if refused else 1)
    assert len(post.sent) <= 2  # a crash between the server's word and ours: same Message-ID, made of the digest


def test_a_file_we_may_not_read_waits_and_stops_no_other() -> None:
    with TemporaryDirectory(dir="/tmp") as name, as_nobody(Path(name)):
        folder = Folder(Path(name), Post(), Clock(), settle=0.0)
        folder.prepare()
        for one in ("a.hpr", "b.hpr"):
            (folder.path / one).write_bytes(b"OUI")
        (folder.path / "a.hpr").chmod(0)
        outcomes = {outcome.name: outcome.what for outcome in folder.look()}
        assert outcomes == {"a.hpr": "later", "b.hpr": "sent"}
        (folder.path / "sending" / "a.hpr").chmod(0o600)
        assert [outcome.what for outcome in folder.look()] == ["again"]


@contextmanager
def as_nobody(path: Path) -> Iterator[None]:
    """Give up the superuser's rights over files, if these are ours, for a while."""
    if os.geteuid():
        yield
        return
    os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Folder(tmp_path / "typo", Post(), Clock()).prepare()
    assert not (tmp_path / "typo").exists()


def test_a_file_taken_back_is_forgotten(folder: Folder) -> None:
    (folder.path / "a.hpr").write_bytes(b"OUI")
    folder.look()
    (folder.path / "a.hpr").unlink()
    assert pass_time(folder) == []


def test_a_folder_is_one_program_s_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Taken), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_what_left_is_found_among_all_that_left(folder: Folder) -> None:
    """And in a moment: the list of a laboratory grows for years, and is asked before each file."""
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(200_000)]
    ledger = "".join(f"{digest} ID{number}\n" for number, digest in enumerate(digests))
    (folder.path / "done" / ".sent").write_text(ledger)
    assert [folder.known(digests[number]) for number in (0, 1, 199_999)] == ["ID0", "ID1", "ID199999"]
    started = time.process_time()
    assert [folder.known(f"{number:064x}") for number in range(5)] == [""] * 5
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize(
    ("problem", "french", "english"),
    [
        (ServerRefused("[Errno 111]", final=False, word="lost"), "n’a pas répondu", "did not answer"),
        (UnknownMailbox("a@op.test"), "n’est pas une boîte ouverte", "not an open mailbox"),
        (StoreUnavailable("away"), "base de données", "database"),
        (BlobsUnavailable("away"), "grands messages", "large messages"),
        (NotTaken(decide(rule("scan.unavailable"))), "recherche de virus", "Virus scanning"),
        (KeyError("x"), "Erreur imprévue (KeyError)", "Unexpected error (KeyError)"),
    ],
)
async def test_what_waits_says_why_in_both_languages(problem: Exception, french: str, english: str) -> None:
    class Fails:
        sender = parse("a@op.test")

        async def send(self, request: Request, token: str) -> None:
            raise problem

    with pytest.raises(NotNow) as caught:
        await send._dropped(Fails(), Request((), None, b""), "00")  # type: ignore[arg-type]
    assert french in caught.value.french
    assert english in caught.value.english
