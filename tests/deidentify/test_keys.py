"""A key that others could have read is no key (M6)."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from carina.deidentify import create_keys, load_key
from carina.errors import RemovalError


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "trial.keys"
    create_keys(folder)
    return folder


def test_folder_and_key_are_for_their_owner_alone(keys: Path) -> None:
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert stat.S_IMODE((keys / "study.key").stat().st_mode) == 0o600


def test_the_key_is_32_bytes_written_in_hexadecimal(keys: Path) -> None:
    assert load_key(keys).hex() == (keys / "study.key").read_text("ascii").strip()
    assert len(load_key(keys)) == 32


def test_two_studies_have_two_keys(keys: Path, tmp_path: Path) -> None:
    create_keys(tmp_path / "other")
    assert load_key(keys) != load_key(tmp_path / "other")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_open_to_group_or_others_is_refused(keys: Path, mode: int) -> None:
    (keys / "study.key").chmod(mode)
    with pytest.raises(RemovalError, match="only its owner"):
        load_key(keys)


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "zz" * 32, "ab " * 32])
def test_a_short_or_malformed_key_is_refused_without_being_quoted(keys: Path, text: str) -> None:
    (keys / "study.key").write_text(text)
    with pytest.raises(RemovalError, match="64 hexadecimal") as caught:
        load_key(keys)
    assert not text or text not in str(caught.value)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RemovalError, match="must be readable"):
        load_key(tmp_path)


def test_a_link_to_a_key_is_refused(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "study.key").symlink_to(keys / "study.key")
    with pytest.raises(RemovalError, match="must be readable"):
        load_key(tmp_path)


def test_a_key_is_never_made_twice(keys: Path) -> None:
    key = load_key(keys)
    with pytest.raises(RemovalError, match="made once"):
        create_keys(keys)
    assert load_key(keys) == key


def test_keys_do_not_go_into_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RemovalError, match="must be empty"):
        create_keys(tmp_path)
