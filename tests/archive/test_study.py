"""A study's folder: who may enter it, what it refuses."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from carina.archive import create_study, open_study
from carina.errors import ArchiveError, RemovalError


def test_everything_in_a_new_study_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with create_study(tmp_path / "study", "research") as study:
            study.archive.audit("tested")
    finally:
        os.umask(old)
    for top in (tmp_path / "study", tmp_path / "study.keys"):
        for path in (top, *top.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_study_file_says_what_the_study_is(tmp_path: Path) -> None:
    create_study(tmp_path / "study", "research").close()
    values = tomllib.loads((tmp_path / "study" / "study.toml").read_text("utf-8"))
    assert values.pop("study_id").isalnum()
    assert values.pop("created")
    assert values == {
        "format": 1,
        "kind": "research",
        "archive": "sqlite:///archive.sqlite",
        "store": "store",
        "keys": "../study.keys",
    }


def test_the_wrong_kind_is_refused_in_one_sentence(tmp_path: Path) -> None:
    create_study(tmp_path / "study", "service").close()
    with pytest.raises(ArchiveError, match=r"needs a research study .* is a service study$"):
        open_study(tmp_path / "study", "research")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("colour = 'red'", "'colour'"),
        ("kind = 'both'", "'kind'"),
        ("format = 2", "'format'"),
        ("study_id = 'x'", "'study_id'"),
        ("this is not TOML", "must be readable TOML"),
    ],
)
def test_a_wrong_study_file_is_refused(tmp_path: Path, line: str, found: str) -> None:
    create_study(tmp_path / "study", "service").close()
    file = tmp_path / "study" / "study.toml"
    name = line.partition(" =")[0]
    lines = [each for each in file.read_text("utf-8").splitlines() if not each.startswith(f"{name} =")]
    file.write_text("\n".join([*lines, line]), "utf-8")
    with pytest.raises(ArchiveError, match=found):
        open_study(tmp_path / "study")


def test_a_folder_without_a_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="use `carina init`"):
        open_study(tmp_path)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    create_study(tmp_path / "study", "service").close()
    (tmp_path / "study").chmod(0o750)
    with pytest.raises(ArchiveError, match="chmod 700"):
        open_study(tmp_path / "study")


def test_a_folder_with_content_is_not_made_a_study(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(ArchiveError, match="absent or empty"):
        create_study(tmp_path, "service")
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_study_is_not_made_twice(tmp_path: Path) -> None:
    create_study(tmp_path / "study", "service").close()
    with pytest.raises(ArchiveError, match="is a study already"):
        create_study(tmp_path / "study", "service")


def test_keys_inside_the_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="outside the study"):
        create_study(tmp_path / "study", "research", keys=tmp_path / "study" / "keys")
    assert not (tmp_path / "study").exists()


def test_a_service_study_takes_no_keys(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="leave the keys out"):
        create_study(tmp_path / "study", "service", keys=tmp_path / "keys")


def test_a_study_that_cannot_have_its_keys_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "study.keys").mkdir()
    (tmp_path / "study.keys" / "other").write_text("x", "utf-8")
    with pytest.raises(RemovalError):
        create_study(tmp_path / "study", "research")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["other", "study.keys"]


def test_a_study_that_cannot_have_its_database_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="SQLite or PostgreSQL"):
        create_study(tmp_path / "study", "research", archive="mysql://server/study")
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="lost with the process"):
        create_study(tmp_path / "study", "service", archive="sqlite://")


def test_a_database_belongs_to_one_study(tmp_path: Path, postgres_url: str) -> None:
    create_study(tmp_path / "one", "service", archive=postgres_url).close()
    with pytest.raises(ArchiveError, match="empty database"):
        create_study(tmp_path / "two", "service", archive=postgres_url)
    create_study(tmp_path / "three", "service").close()
    file = tmp_path / "three" / "study.toml"
    file.write_text(file.read_text("utf-8").replace("sqlite:///archive.sqlite", postgres_url), "utf-8")
    with pytest.raises(ArchiveError, match="belongs to another"):
        open_study(tmp_path / "three")


def test_a_server_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL needs the extra 'postgres'")
    with pytest.raises(ArchiveError, match="did not") as caught:
        create_study(tmp_path / "study", "service", archive=f"postgresql://me:secret@/none?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_one_command_writes_at_a_time(tmp_path: Path) -> None:
    with create_study(tmp_path / "study", "service") as study, study.lock():
        code = (
            "import sys; from pathlib import Path; from carina.archive import open_study\n"
            "with open_study(Path(sys.argv[1])) as study, study.lock(): pass"
        )
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", code, str(study.folder)], capture_output=True, text=True, check=False, timeout=120
        )
    assert "another is at it" in done.stderr
