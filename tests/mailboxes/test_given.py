"""What one system user of the service creates, the users of its other roles can open, where the folder was given to their group."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailboxes.blobs import FileBlobs
from mailboxes.engine import open_database
from mailboxes.given import create, group_bits, make_folder
from mailboxes.keys import create_master_key_file, master_key_from_file
from mailboxes.line import Line


@pytest.fixture(params=[0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def given(folder: Path, bits: int = 0o2770) -> Path:
    folder.mkdir()
    folder.chmod(bits)
    return folder


@pytest.mark.usefixtures("_umask")
async def test_what_lies_in_a_folder_given_to_a_group_is_the_group_s_too(tmp_path: Path) -> None:
    place = given(tmp_path / "data")
    database = open_database(f"sqlite:///{place / 'caducee.db'}")
    with database.reader.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert {mode(each) for each in place.glob("caducee.db*")} == {0o660}
    database.dispose()
    with Line(place / "caducee.db-line"):
        assert mode(place / "caducee.db-line") == 0o660
    with ThreadPoolExecutor(1) as pool:
        await FileBlobs(place / "blobs", pool).put("a" * 26, [b"x"])
    assert {mode(each) for each in (place / "blobs").rglob("*")} == {0o2770, 0o660}
    make_folder(place / "trust" / "crl")
    assert mode(place / "trust") == mode(place / "trust" / "crl") == 0o2770
    os.close(create(place / "trust" / "lock", os.O_WRONLY))
    assert mode(place / "trust" / "lock") == 0o660


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize("bits", [0o700, 0o770, 0o2777])
def test_any_other_folder_gives_nobody_anything(tmp_path: Path, bits: int) -> None:
    place = given(tmp_path / "data", bits)
    os.close(create(place / "file", os.O_WRONLY))
    make_folder(place / "inner")
    assert not group_bits(place)
    assert mode(place / "file") == 0o600
    assert not mode(place / "inner") & 0o777 & ~0o700


@pytest.mark.usefixtures("_umask")
def test_a_key_made_in_such_a_folder_is_read_by_the_group_and_written_by_nobody_else(tmp_path: Path) -> None:
    place = given(tmp_path / "etc", 0o2750)
    create_master_key_file(place / "master.key")
    assert mode(place / "master.key") == 0o640
    master_key_from_file(place / "master.key")
