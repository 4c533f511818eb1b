"""What was removed is kept once, beside the key, for its owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from carina.deidentify import Linkage, Removed
from carina.errors import RemovalError

FOUND = [("nhi", "ZZZ0016"), ("name", "TESTCASE^ANN"), ("uid", "1.2.3")]


def test_only_the_owner_can_read_it_and_its_journal(tmp_path: Path) -> None:
    with Linkage(tmp_path) as linkage:
        linkage.add(Removed.of("PAAA", FOUND))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_adding_the_same_again_changes_nothing(tmp_path: Path) -> None:
    with Linkage(tmp_path) as linkage:
        linkage.add(Removed.of("PAAA", FOUND))
        linkage.add(Removed.of("PAAA", FOUND[:2]))
        assert len(linkage) == 3


def test_it_is_still_there_when_opened_again(tmp_path: Path) -> None:
    with Linkage(tmp_path) as linkage:
        linkage.add(Removed.of("PAAA", FOUND))
    with Linkage(tmp_path) as linkage:
        assert linkage.of_patient("PAAA") == sorted(FOUND)
        assert linkage.patients_of("nhi", "ZZZ0016") == ["PAAA"]
        assert linkage.of_patient("PBBB") == []


def test_one_identifier_can_stand_behind_two_pseudonyms(tmp_path: Path) -> None:
    with Linkage(tmp_path) as linkage:
        linkage.add(Removed.of("PAAA", FOUND))
        linkage.add(Removed.of("PBBB", FOUND[:1]))
        assert linkage.patients_of("nhi", "ZZZ0016") == ["PAAA", "PBBB"]


def test_everything_comes_back_as_a_frame(tmp_path: Path) -> None:
    with Linkage(tmp_path) as linkage:
        linkage.add(Removed.of("PAAA", FOUND))
        assert sorted(linkage.removed().rows.rows()) == sorted(("PAAA", *one) for one in FOUND)


def test_a_linkage_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Linkage(tmp_path).close()
    (tmp_path / "linkage.sqlite").chmod(0o644)
    with pytest.raises(RemovalError, match="only its owner"):
        Linkage(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "linkage.sqlite"
    path.write_bytes(b"this is not a database, and it is long enough to look like one" * 40)
    path.chmod(0o600)
    with pytest.raises(RemovalError, match="cannot be read as one"):
        Linkage(tmp_path)


def test_without_the_keys_folder_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(RemovalError, match="name the keys"):
        Linkage(tmp_path / "absent")
