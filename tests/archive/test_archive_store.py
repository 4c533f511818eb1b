"""Files under their hash: local, and on S3 as moto's server plays it."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from carina.archive import Archive, Store
from carina.archive.database import open_engine, upgrade
from carina.errors import ArchiveError

_BUCKETS = count(1)


@pytest.fixture
def s3_store() -> Iterator[Store]:
    pytest.importorskip("s3fs", reason="S3 needs the extra 's3'")
    server = pytest.importorskip("moto.server", reason="moto plays the S3 server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    options: dict[str, Any] = {
        "key": "test",
        "secret": "test",
        "endpoint_url": f"http://{host}:{port}",
        "skip_instance_cache": True,
    }
    bucket = f"bucket{next(_BUCKETS)}"  # moto keeps its buckets from server to server
    store = Store(f"s3://{bucket}/study", options)
    store._system.mkdir(bucket)
    yield store
    server.stop()


def test_content_is_found_under_its_sha256(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = store.put(b"abc", folder="films", suffix=".dcm")
    # FIPS 180-2, appendix B.1
    assert made.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert made.path == f"films/ba/78/{made.sha256}.dcm"
    assert (made.size, made.new, store.put(b"abc").new) == (3, True, False)
    assert store.read(made.path) == b"abc"


def test_files_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = Store(tmp_path / "store")
        made = store.put(b"abc")
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.path(made.path).stat().st_mode) == 0o600
    folders = [each for each in (tmp_path / "store").rglob("*") if each.is_dir()] + [tmp_path / "store"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}


def test_a_file_is_durable_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    store = Store(tmp_path)
    store.put(b"first", folder="records")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    store.put(b"second", folder="records")
    assert steps == ["file", "rename", "folder"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store = Store(tmp_path)
    with pytest.raises(OSError, match="No space"):
        store.put(b"abc", folder="records")
    assert list(store.list()) == []


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "films/../../x"])
def test_a_path_out_of_the_store_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ArchiveError, match="below it"):
        Store(tmp_path).path(path)


@pytest.mark.parametrize(("folder", "suffix"), [("../films", ".dcm"), ("films", "/../x"), ("Films", ".dcm")])
def test_folder_and_suffix_are_plain_names(tmp_path: Path, folder: str, suffix: str) -> None:
    with pytest.raises(ValueError, match="plain lower-case"):
        Store(tmp_path).put(b"abc", folder=folder, suffix=suffix)


def test_a_missing_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"must hold 'films/none\.dcm'"):
        Store(tmp_path).read("films/none.dcm")


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(ArchiveError, match="'nowhere' cannot be opened"):
        Store("nowhere://bucket")


def test_s3_holds_the_same_files_under_the_same_names(s3_store: Store, tmp_path: Path) -> None:
    local = Store(tmp_path).put(b"abc")
    made = s3_store.put(b"abc")
    assert (made.path, made.sha256, made.new) == (local.path, hashlib.sha256(b"abc").hexdigest(), True)
    assert not s3_store.put(b"abc").new
    assert s3_store.read(made.path) == b"abc"
    assert list(s3_store.list("films")) == [made.path]
    with pytest.raises(ArchiveError, match="no local files"):
        s3_store.path(made.path)
    s3_store.delete(made.path)
    assert not s3_store.exists(made.path)
    with pytest.raises(ArchiveError, match="must hold"):
        s3_store.read(made.path)


def test_records_come_back_from_s3(s3_store: Store, tmp_path: Path) -> None:
    engine = open_engine("sqlite:///archive.sqlite", tmp_path)
    upgrade(engine)
    archive = Archive(engine, s3_store)
    rows = pl.DataFrame({"patient_id": ["P1", "P2"], "bmi": [20.0, 30.0]})
    stored = archive.put_records("vitals", rows, {})
    assert archive.records("vitals").collect().equals(rows)
    assert pl.read_parquet(io.BytesIO(s3_store.read(stored.path))).equals(rows)
    archive.close()
