"""Where films are found, and which zips and DICOMDIRs are refused."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from carina.errors import FilmRejectedError, InputError
from carina.ingest import find_sources
from carina.ingest.zips import ZipReader
from carina.settings import IngestSettings, Limits, Settings

SETTINGS = Settings()


def _codes(path: Path, settings: Settings = SETTINGS) -> list[str]:
    return [
        each.problem.code if each.problem else "film" for each in find_sources([path], settings) if not each.ignored
    ]


def _zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_films_are_found_in_folders_and_zips_and_other_files_are_counted(export: Path) -> None:
    found = list(find_sources([export], SETTINGS))
    films = [(Path(each.path).name, each.entry) for each in found if not each.ignored]
    assert films == [("film1.dcm", None), ("more.zip", 0), ("more.zip", 1), ("film2", None)]
    assert [Path(each.path).name for each in found if each.ignored] == ["notes.txt"]


def test_a_folder_reached_by_a_loop_of_links_is_walked_once(tmp_path: Path, make_dicom: Callable[..., bytes]) -> None:
    (tmp_path / "film.dcm").write_bytes(make_dicom(1))
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert _codes(tmp_path) == ["film"]


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(find_sources([tmp_path / "none"], SETTINGS))


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "bomb.zip", {"film.dcm": bytes(30_000_000)})
    assert bomb.stat().st_size < 100_000
    assert _codes(bomb) == ["zip_bomb"]


def test_a_zip_over_the_limit_of_bytes_is_refused(tmp_path: Path) -> None:
    settings = Settings(ingest=IngestSettings(archive_bytes=2048))
    path = _zip(tmp_path / "films.zip", {"a.dcm": bytes(range(256)) * 5, "b.dcm": bytes(range(256)) * 4})
    assert _codes(path, settings) == ["zip_too_large"]


def test_a_zip_with_too_many_entries_is_refused(tmp_path: Path) -> None:
    settings = Settings(ingest=IngestSettings(archive_entries=3))
    path = _zip(tmp_path / "films.zip", {f"{number}.dcm": b"x" for number in range(4)})
    assert _codes(path, settings) == ["too_many_entries"]


def test_a_list_of_contents_too_long_to_be_read_is_refused_by_its_size(tmp_path: Path) -> None:
    path = _zip(tmp_path / "films.zip", {"a.dcm": b"x"})
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 2_000_000)
    path.write_bytes(data)
    settings = Settings(ingest=IngestSettings(archive_entries=1000))
    assert _codes(path, settings) == ["too_many_entries"]


def test_a_zip_within_a_zip_is_refused_and_its_neighbour_read(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("film.dcm", b"x")
    path = _zip(tmp_path / "outer.zip", {"inner.zip": inner.getvalue(), "film.dcm": b"x" * 50})
    assert _codes(path) == ["nested_zip", "film"]


def test_a_large_entry_is_refused_by_what_it_says(tmp_path: Path) -> None:
    settings = Settings(limits=Limits(file_bytes=1024))
    path = _zip(tmp_path / "films.zip", {"a.dcm": bytes(range(256)) * 5, "b.dcm": b"x"})
    assert _codes(path, settings) == ["file_too_large", "film"]


def test_a_method_other_than_deflate_is_refused(tmp_path: Path) -> None:
    assert _codes(_zip(tmp_path / "films.zip", {"a.dcm": bytes(range(256))}, zipfile.ZIP_LZMA)) == ["unsupported_zip"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x03\x04" + bytes(500)])
def test_a_damaged_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "films.zip").write_bytes(content)
    assert _codes(tmp_path) == ["damaged_zip"]


def test_an_entry_that_was_changed_is_refused_when_read(tmp_path: Path) -> None:
    path = _zip(tmp_path / "films.zip", {"a.dcm": b"content" * 20}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"contentcontent", b"contentCONTENT", 1))
    reader = ZipReader()
    with pytest.raises(FilmRejectedError, match="cannot be read"):
        reader.read(str(path), 0, 1000)
    reader.close()


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "films.zip", {"a.dcm": b"content" * 20}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + at] |= 1
    path.write_bytes(data)
    assert _codes(path) == ["encrypted"]
    reader = ZipReader()
    with pytest.raises(FilmRejectedError) as caught:
        reader.read(str(path), 0, 1000)
    assert caught.value.code == "encrypted"
    reader.close()


@pytest.fixture
def medium(tmp_path: Path, make_dicom: Callable[..., bytes]) -> Callable[..., Path]:
    """Factory of a DICOMDIR that names files: `medium([["IMAGES", "A"], ...])`; IMAGES/A exists."""

    def make(names: list[list[str]]) -> Path:
        top = tmp_path / "medium"
        (top / "IMAGES").mkdir(parents=True)
        (top / "IMAGES" / "A").write_bytes(make_dicom(1))
        (tmp_path / "OUTSIDE").write_bytes(make_dicom(2))
        (top / "LINK").symlink_to(tmp_path / "OUTSIDE")
        directory = Dataset()
        directory.file_meta = FileMetaDataset()
        directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
        directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        directory.FileSetID = "TEST"
        directory.DirectoryRecordSequence = []
        with warnings.catch_warnings(action="ignore"):  # such names break PS3.10 section 8, and that is the point
            for name in [None, *names]:
                record = Dataset()
                record.DirectoryRecordType = "PATIENT" if name is None else "IMAGE"
                if name is not None:
                    record.ReferencedFileID = name
                directory.DirectoryRecordSequence.append(record)
            with (top / "DICOMDIR").open("wb") as file:
                dcmwrite(file, directory, enforce_file_format=True)
        return top

    return make


def test_a_dicomdir_is_followed_to_its_films_whatever_their_case(medium: Callable[..., Path]) -> None:
    top = medium([["images", "a"]])
    (found,) = find_sources([top / "DICOMDIR"], SETTINGS)
    assert Path(found.path) == top / "IMAGES" / "A"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (["..", "OUTSIDE"], "outside_folder"),
        (["IMAGES", "..", "..", "OUTSIDE"], "outside_folder"),
        (["/etc/passwd"], "outside_folder"),
        (["LINK"], "outside_folder"),
        (["IMAGES", "B"], "missing"),
        (["A"] * 9, "missing"),
    ],
)
def test_a_reference_out_of_the_folder_or_to_nothing_is_refused(
    medium: Callable[..., Path], name: list[str], code: str
) -> None:
    top = medium([["IMAGES", "A"], name])
    assert _codes(top / "DICOMDIR") == ["film", code]


def test_a_folder_with_a_dicomdir_gives_each_film_once_and_its_bad_references(medium: Callable[..., Path]) -> None:
    top = medium([["IMAGES", "A"], ["..", "OUTSIDE"]])
    (top / "LINK").unlink()
    assert sorted(_codes(top)) == ["film", "outside_folder"]


def test_a_damaged_dicomdir_is_refused(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(60))
    assert _codes(tmp_path / "DICOMDIR") == ["damaged"]
