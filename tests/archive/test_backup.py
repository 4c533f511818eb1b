"""Backups of a study at work, and the way back: everything or nothing, into either database."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from carina.archive import (
    Backup,
    BackupFolder,
    DeskResult,
    FilmRecord,
    LedgerEntry,
    NewFilm,
    Study,
    create_study,
    make_backup,
    open_study,
    restore_backup,
)
from carina.archive.database import downgrade, open_engine, revision, upgrade
from carina.archive.dump import PLACES
from carina.errors import ArchiveError

FILMS = 6
HASH = "$argon2id$"


@pytest.fixture
def film(study: Study) -> Callable[[int], str]:
    """Factory of films at the desk, read and judged; `film(3)` returns the entry's id."""
    home = study.accounts.add_organisation("ZZZ District").organisation_id
    user = study.accounts.add_user("zzz.doctor", organisation_id=home, role="radiologist", password_hash=HASH)

    def make(number: int) -> str:
        content = b"film %d" % number
        stored = study.store.put(content, folder="received")
        got, _ = study.desk.receive(
            NewFilm(stored.sha256, stored.path, "upload", patient_id=f"ZZZ{number:04d}", patient_name="TEST^Māori ŋ"),
            organisation_id=home,
            longest_wait=3600,
        )
        heat = study.store.put(b"heat %d" % number, folder="results", suffix=".png")
        result = DeskResult(
            "f" * 64, {"decision": "viral", "share": 0.1 + number}, {"heat": heat.path}, 0.5, time.time()
        )
        study.desk.finish(got, result, urgency=0.7, longest_wait=3600)
        study.desk.add_read(
            got.entry_id,
            organisation_id=home,
            user_id=user.user_id,
            blind=False,
            call="viral",
            agrees=True,
            comment=f'films/ab/cd/{"ab" * 32}.dcm is no path, and this no end: \n\t"{number}"',
        )
        study.sheets.ask(got, user_id=user.user_id)
        return got.entry_id

    return make


@pytest.fixture
def filled(study: Study, film: Callable[[int], str]) -> Study:
    """A study with films, results and reads."""
    for number in range(FILMS):
        film(number)
    return study


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest) -> str | None:
    """Database that a study comes back in, whatever it was before."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("make_postgres_url")())


def _content(study: Study) -> dict[str, list[str]]:
    """Every row of every table but those of sessions, as text in a fixed order, the audit log's end left out."""
    tables = sa.MetaData()
    with study.archive.engine.connect() as connection:
        tables.reflect(connection)
        return {
            table.name: sorted(repr(dict(row)) for row in connection.execute(sa.select(table)).mappings())
            for table in tables.sorted_tables
            if table.name not in {"audit", "sessions", "sign_in_failures", "alembic_version"}
        }


def _backup(study: Study, folder: Path, **how: Any) -> tuple[BackupFolder, Backup]:
    made, name = make_backup(study, folder, **how)
    source = BackupFolder(folder)
    assert source.names()[-1] == name
    return source, made


def test_a_study_comes_back_in_either_database(filled: Study, tmp_path: Path, other_url: str | None) -> None:
    before = _content(filled)
    source, made = _backup(filled, tmp_path / "backups")
    log = filled.archive.audit_log()[: made.audit_entries]
    done = restore_backup(source, made, tmp_path / "again", archive=other_url)
    assert (done.missing, done.audit, done.files) == ([], [], 2 * FILMS)
    with open_study(tmp_path / "again", "service") as again:
        assert _content(again) == before
        assert again.archive.audit_log()[:-1] == log
        assert again.archive.audit_log()[-1].event == "restored"
        assert again.archive.verify_audit(made.audit_head) == []
        for number in range(FILMS):
            digest = hashlib.sha256(b"film %d" % number).hexdigest()
            path = f"received/{digest[:2]}/{digest[2:4]}/{digest}.dcm"
            assert again.store.read(path) == b"film %d" % number
        assert again.archive.engine.dialect.name == ("sqlite" if other_url is None else "postgresql")


def test_what_was_no_value_comes_back_as_none(filled: Study, tmp_path: Path, other_url: str | None) -> None:
    source, made = _backup(filled, tmp_path / "backups")
    restore_backup(source, made, tmp_path / "again", archive=other_url)
    with open_study(tmp_path / "again") as again, again.archive.engine.connect() as connection:
        unmade = sa.text("SELECT count(*) FROM desk_sheets WHERE content IS NULL AND files IS NULL")
        assert connection.execute(unmade).scalar_one() == FILMS


def test_a_study_that_came_back_goes_on(filled: Study, tmp_path: Path, other_url: str | None) -> None:
    source, made = _backup(filled, tmp_path / "backups")
    restore_backup(source, made, tmp_path / "again", archive=other_url)
    with open_study(tmp_path / "again") as again:
        last = max(each.user_id for each in again.accounts.users(1))
        added = again.accounts.add_user("zzz.new", organisation_id=1, role="referrer", password_hash=HASH)
        assert added.user_id == last + 1
        with pytest.raises(ArchiveError), again.archive.engine.connect() as connection:
            _change_audit(connection)


def _change_audit(connection: sa.Connection) -> None:
    try:
        connection.execute(sa.text("UPDATE audit SET event = 'none'"))
    except sa.exc.DBAPIError as error:
        raise ArchiveError("the log is append-only") from error


def test_a_backup_while_films_come_in_holds_one_moment(
    filled: Study, film: Callable[[int], str], tmp_path: Path
) -> None:
    stop = threading.Event()
    written: list[str] = []

    def go_on() -> None:
        while not stop.is_set():
            written.append(film(FILMS + len(written)))

    writer = threading.Thread(target=go_on)
    writer.start()

    def wait_for(count: int) -> None:
        while writer.is_alive() and len(written) < count:
            time.sleep(0.01)

    try:
        wait_for(5)
        source, made = _backup(filled, tmp_path / "backups")
        after = len(written)
        wait_for(after + 3)
    finally:
        stop.set()
        writer.join(timeout=60)
    assert made.files.missing == ()
    done = restore_backup(source, made, tmp_path / "again")
    assert (done.missing, done.audit) == ([], [])
    films = done.rows["desk_films"]
    assert FILMS + 5 <= films <= FILMS + after + 1
    # a film comes in five steps; whatever stands in a later table has what it needs in an earlier one
    assert films >= done.rows["desk_results"] >= done.rows["desk_reads"] >= films - 1
    with open_study(tmp_path / "again") as again:
        assert again.archive.verify_audit(made.audit_head) == []


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_what_is_killed_half_way_never_looks_whole(filled: Study, tmp_path: Path, what: str) -> None:
    target = tmp_path / ("backups" if what == "backup" else "again")
    if what == "restore":
        _backup(filled, tmp_path / "backups")
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from carina.archive import BackupFolder, make_backup, open_study, restore_backup\n"
        "def die(done, total):\n"
        "    if done == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "top = Path(sys.argv[1])\n"
        "if sys.argv[2] == 'backup':\n"
        "    make_backup(open_study(top / 'study'), top / 'backups', step=die)\n"
        "source = BackupFolder(top / 'backups')\n"
        "restore_backup(source, source.read(), top / 'again', step=die)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path), what], timeout=60, check=False)  # noqa: S603 - ours
    assert ended.returncode == -signal.SIGKILL
    if what == "backup":
        with pytest.raises(ArchiveError, match="a finished backup"):
            BackupFolder(target).read()
        source, made = _backup(filled, target)  # the next one takes up what was copied
        assert source.problems(made) == []
    else:
        assert not target.exists()
        source = BackupFolder(tmp_path / "backups")
        done = restore_backup(source, source.read(), target)
        assert done.files == 2 * FILMS


def test_a_damaged_film_is_named_and_nothing_comes_back(filled: Study, tmp_path: Path, other_url: str | None) -> None:
    source, made = _backup(filled, tmp_path / "backups")
    path = next((tmp_path / "backups/files/received").rglob("*.dcm"))
    path.write_bytes(b"other film")
    assert [path.name in each for each in source.problems(made)] == [True]
    with pytest.raises(ArchiveError, match=path.name):
        restore_backup(source, made, tmp_path / "again", archive=other_url)
    assert {each.name for each in tmp_path.iterdir()} == {"study", "backups"}
    done = restore_backup(source, made, tmp_path / "again", archive=other_url, despite_damage=True)
    assert [Path(each).name for each in done.missing] == [path.name]


def test_damaged_rows_are_named_and_nothing_comes_back(filled: Study, tmp_path: Path, other_url: str | None) -> None:
    source, made = _backup(filled, tmp_path / "backups")
    part = made.tables["desk_reads"].parts[0]
    (tmp_path / f"backups/rows/{part}.gz").unlink()
    with pytest.raises(ArchiveError, match=part):
        restore_backup(source, made, tmp_path / "again", archive=other_url, despite_damage=True)
    assert len(source.problems(made)) == 1
    assert not (tmp_path / "again").exists()
    if other_url is not None:  # the database is as empty as it was
        engine = open_engine(other_url, tmp_path)
        assert revision(engine) is None
        engine.dispose()


def test_a_manifest_that_was_changed_is_refused(filled: Study, tmp_path: Path) -> None:
    source, made = _backup(filled, tmp_path / "backups")
    path = tmp_path / "backups" / source.names()[0]
    values = json.loads(path.read_text("utf-8"))
    values["audit_entries"] -= 1
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(ArchiveError, match="was changed after it was written"):
        source.read()
    path.write_text(path.read_text("utf-8")[:-20], "utf-8")
    with pytest.raises(ArchiveError, match="is damaged"):
        source.read()
    path.write_text(made.model_dump_json(), "utf-8")
    assert source.read(sha256=made.sha256) == made
    with pytest.raises(ArchiveError, match="hash that was noted"):
        source.read(sha256="0" * 64)


def test_a_second_backup_copies_new_files_alone(filled: Study, film: Callable[[int], str], tmp_path: Path) -> None:
    _backup(filled, tmp_path / "backups")
    old = {path: path.stat().st_mtime_ns for path in (tmp_path / "backups/files").rglob("*.dcm")}
    film(FILMS)
    source, made = _backup(filled, tmp_path / "backups")
    new = {path: path.stat().st_mtime_ns for path in (tmp_path / "backups/files").rglob("*.dcm")}
    assert len(new) == FILMS + 1
    assert {path: new[path] for path in old} == old
    first = source.read(source.names()[0])
    assert restore_backup(source, first, tmp_path / "old").rows["desk_films"] == FILMS
    assert restore_backup(source, made, tmp_path / "new").rows["desk_films"] == FILMS + 1


def test_old_backups_go_with_what_nothing_names(filled: Study, film: Callable[[int], str], tmp_path: Path) -> None:
    for number in range(3):
        film(FILMS + number)
        source, made = _backup(filled, tmp_path / "backups", keep=2)
    assert len(source.names()) == 2
    assert [source.problems(source.read(name)) for name in source.names()] == [[], []]
    for _ in range(2):
        source, made = _backup(filled, tmp_path / "backups", keep=1)
    left = {path.stem for path in (tmp_path / "backups/rows").iterdir()}
    assert left == {*made.files.parts, *(part for table in made.tables.values() for part in table.parts)}


def test_a_file_that_the_study_lost_is_told_and_stops_nothing(filled: Study, tmp_path: Path) -> None:
    _backup(filled, tmp_path / "first")
    gone, changed = sorted((filled.folder / "store/received").rglob("*.dcm"))[:2]
    gone.unlink()
    changed.write_bytes(b"rotten")
    source, made = _backup(filled, tmp_path / "second", keep=1)
    assert {Path(each).name for each in made.files.missing} == {gone.name, changed.name}
    assert made.files.count == 2 * FILMS - 2
    done = restore_backup(source, made, tmp_path / "again")
    assert len(done.missing) == 2
    # where an earlier backup in the same folder has it, it is whole again
    _, healed = _backup(filled, tmp_path / "first")
    assert healed.files.missing == ()


def test_everything_of_a_backup_is_for_its_owner_alone(filled: Study, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        source, made = _backup(filled, tmp_path / "backups")
        restore_backup(source, made, tmp_path / "again")
    finally:
        os.umask(old)
    for top in (tmp_path / "backups", tmp_path / "again"):
        for path in (top, *top.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    (tmp_path / "backups").chmod(0o750)
    with pytest.raises(ArchiveError, match="chmod 700"):
        BackupFolder(tmp_path / "backups")


def test_a_signed_in_session_does_not_come_back(filled: Study, tmp_path: Path) -> None:
    user = filled.accounts.user("zzz.doctor")
    assert user is not None
    token = filled.accounts.begin_session(user, "full")
    source, made = _backup(filled, tmp_path / "backups")
    restore_backup(source, made, tmp_path / "again")
    with open_study(tmp_path / "again") as again:
        assert filled.accounts.session(token, idle=1e9, absolute=1e9) is not None
        assert again.accounts.session(token, idle=1e9, absolute=1e9) is None


def test_backups_of_another_study_or_in_the_study_are_refused(filled: Study, tmp_path: Path) -> None:
    _backup(filled, tmp_path / "backups")
    with create_study(tmp_path / "other", "service") as other:
        with pytest.raises(ArchiveError, match="must be of one study"):
            make_backup(other, tmp_path / "backups")
        with pytest.raises(ArchiveError, match="outside the study's folder"):
            make_backup(other, tmp_path / "other/backups")
        (tmp_path / "full").mkdir(mode=0o700)
        (tmp_path / "full/letter.txt").touch()
        with pytest.raises(ArchiveError, match="holds something else"):
            make_backup(other, tmp_path / "full")


def test_a_study_never_comes_back_over_another(
    filled: Study, tmp_path: Path, make_postgres_url: Callable[[], str]
) -> None:
    postgres_url = make_postgres_url()
    source, made = _backup(filled, tmp_path / "backups")
    with pytest.raises(ArchiveError, match="absent or empty folder"):
        restore_backup(source, made, filled.folder)
    with create_study(tmp_path / "other", "service", archive=postgres_url) as other:
        with pytest.raises(ArchiveError, match="empty database"):
            restore_backup(source, made, tmp_path / "again", archive=postgres_url)
        assert other.archive.verify_audit() == []


def test_a_research_study_comes_back_without_its_keys(tmp_path: Path, make_record: Callable[..., FilmRecord]) -> None:
    with create_study(tmp_path / "study", "research") as study:
        stored = study.store.put(b"a film")
        record = make_record("a", film_id=stored.sha256, path=stored.path)
        study.archive.admit(record, LedgerEntry("0" * 64, "accepted", film_id=stored.sha256), 1)
        secret = (study.keys / "study.key").read_bytes()
        source, made = _backup(study, tmp_path / "backups")
    assert not any(secret in path.read_bytes() for path in (tmp_path / "backups").rglob("*") if path.is_file())
    restore_backup(source, made, tmp_path / "again", keys=tmp_path / "study.keys")
    with open_study(tmp_path / "again", "research") as again:
        assert again.archive.films()["film_id"].to_list() == [stored.sha256]
        assert (again.keys / "study.key").read_bytes() == secret


def test_a_backup_of_an_older_schema_is_brought_up(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downgrade(study.archive.engine, "0004")
    monkeypatch.setattr("carina.archive.backup.newest_revision", lambda: "0004")
    source, made = _backup(study, tmp_path / "backups")
    assert "study_jobs" not in made.tables
    restore_backup(source, made, tmp_path / "again")
    with open_study(tmp_path / "again", "service") as again:
        assert again.jobs.jobs("zzz") == []
    newer = made.model_copy(update={"revision": "9999"}).sealed()
    with pytest.raises(ArchiveError, match="made by a newer Carina"):
        restore_backup(source, newer, tmp_path / "newer")


def test_programs_that_start_together_upgrade_once(tmp_path: Path, archive_url: str | None) -> None:
    engine = open_engine(archive_url or "sqlite:///archive.sqlite", tmp_path)
    upgrade(engine, "0002")
    failed: list[BaseException] = []

    def start() -> None:
        try:
            upgrade(engine)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)
    assert failed == []
    engine.dispose()


def test_no_column_names_a_file_without_being_asked(filled: Study) -> None:
    """Every column whose content reads like a place in the store is one that a backup looks at, or free text."""
    with filled.archive.engine.connect() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        held = set(filled.store.list())
        found = {
            column.name
            for table in tables.sorted_tables
            for row in connection.execute(sa.select(table)).mappings()
            for column in table.columns
            if any(path in str(row[column.name]) for path in held)
        }
    assert found == PLACES
