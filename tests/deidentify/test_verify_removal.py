"""The verifier finds one identifier planted in any kind of store, and nothing where there is none (M6, M7)."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from carina.deidentify import Leak, Policy, Pseudonymiser, deidentify_dicom, verify_removal
from carina.deidentify.ocr import has_tesseract

Write = Callable[[FileDataset], bytes]
NHI = "ZZZ0016"
ANN, BOB = "P" + "A" * 16, "P" + "B" * 16
KNOWN = [
    (ANN, "nhi", NHI),
    (ANN, "name", "Testcase^Ann Mary"),
    (ANN, "birth_date", "19500131"),
    (ANN, "address", "12 Example Street, Papatoetoe"),
    (ANN, "phone", "021 555 0123"),
    (ANN, "accession", "RAD-2020-0001"),
    (ANN, "uid", "1.2.826.0.1.3680043.9.1234.5"),
    (ANN, "event", "12345"),
    (BOB, "nhi", "ZAC5361"),
    (BOB, "name", "Long^Bob"),
    (BOB, "name", "T\u0101ne^Hemi"),
    (BOB, "birth_date", "19610704"),
]
reads_pixels = pytest.mark.skipif(not has_tesseract(), reason="tesseract is not installed")


def kinds(data: bytes, name: str = "store", *, ocr: bool = False) -> set[str]:
    return {leak.kind for leak in verify_removal([(name, data)], KNOWN, ocr=ocr)}


def zipped(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def tarred(data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def parquet(text: str, compression: str = "zstd") -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"a": [1, 2], "words": ["nothing", text]}).write_parquet(file, compression=compression)  # type: ignore[arg-type]  # one of its names
    return file.getvalue()


def arrow(text: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"words": [text]}).write_ipc(file, compression="lz4")
    return file.getvalue()


def sqlite(value: Any, folder: Path) -> bytes:
    path = folder / "some.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE films (number INTEGER, note)")
        database.execute("INSERT INTO films VALUES (1, ?)", (value,))
        database.commit()
    return path.read_bytes()


def excel(text: str) -> bytes:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.add_worksheet().write(3, 2, text)
    return file.getvalue()


def pdf(text: bytes) -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj <</Filter/FlateDecode>>\nstream\n" + zlib.compress(text) + b"\nendstream\nendobj\xff\n%%EOF"
    )


LINE = f"2020-03-11 read film of {NHI} in 0.2 s"
PLAIN = LINE.encode()
STORES: dict[str, Callable[[Path], bytes]] = {
    "log": lambda _: b"started\n" + PLAIN + b"\n",
    "utf_16": lambda _: LINE.encode("utf-16"),
    "utf_16_without_mark": lambda _: LINE.encode("utf-16-be"),
    "utf_32": lambda _: LINE.encode("utf-32-le"),
    "zip": lambda _: zipped("a.txt", PLAIN),
    "zip_in_zip": lambda _: zipped("b.zip", zipped("a.txt", PLAIN)),
    "zip_name": lambda _: zipped(f"{NHI}.txt", b"nothing"),
    "gzip": lambda _: gzip.compress(PLAIN),
    "zlib": lambda _: zlib.compress(PLAIN),
    "bzip2": lambda _: bz2.compress(PLAIN),
    "xz": lambda _: lzma.compress(PLAIN),
    "tar": lambda _: tarred(PLAIN),
    "parquet": lambda _: parquet(LINE),
    "parquet_snappy": lambda _: parquet(LINE, "snappy"),
    "arrow": lambda _: arrow(LINE),
    "sqlite": lambda folder: sqlite(LINE, folder),
    "sqlite_blob": lambda folder: sqlite(gzip.compress(PLAIN), folder),
    "xlsx": lambda _: excel(LINE),
    "pdf": lambda _: pdf(PLAIN),
    "json": lambda _: json.dumps({"note": LINE}).encode(),
    "base64_in_html": lambda _: b'<img src="data:x;base64,' + base64.b64encode(PLAIN * 3) + b'">',
    "bytes": lambda _: b"\x00\x01\x02" + NHI.encode() + b"\xff\xfe",
    "npy": lambda _: np.array([LINE]).tobytes(),
}


@pytest.mark.parametrize("store", STORES)
def test_one_nhi_is_found_in_each_kind_of_store(store: str, tmp_path: Path) -> None:
    assert "nhi" in kinds(STORES[store](tmp_path))


@pytest.mark.parametrize("store", sorted(STORES))
def test_the_same_stores_without_it_are_clean(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "NHI", "nobody")
    monkeypatch.setitem(globals(), "LINE", LINE.replace("ZZZ0016", "nobody"))
    monkeypatch.setitem(globals(), "PLAIN", LINE.encode())
    assert kinds(STORES[store](tmp_path)) == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("film of zzz0016, erect", "nhi"),
        ("ZAC5361", "nhi"),
        ("TESTCASE^ANN", "name"),
        ("Ann Testcase was here", "name"),
        ("testcase, mary", "name"),
        ("TESTCASE_ANN_CXR.dcm", "name"),
        ("Mrs Testcase", "name"),
        ("Bob Long", "name"),
        ("LONG^BOB", "name"),
        ("Hemi T\u0101ne", "name"),
        ("HEMI T\u0100NE", "name"),
        ("Hemi Tane", "name"),
        ("lives at 12 Example Street", "address"),
        ("ph 021-555-0123", "phone"),
        ("ph 0215550123", "phone"),
        ("accession rad-2020-0001.", "accession"),
        ("uid 1.2.826.0.1.3680043.9.1234.5", "uid"),
        ("born 31/01/1950", "birth_date"),
        ("DOB: 1950-01-31", "birth_date"),
        ("birth date 31 Jan 1950", "birth_date"),
        ('"birth_date": "19500131"', "birth_date"),
        ("date_of_birth=January 31, 1950", "birth_date"),
    ],
)
def test_identifiers_are_found_however_they_are_written(text: str, kind: str) -> None:
    assert kinds(f"a line before\n{text}\n".encode()) - {"nhi_shape"} == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "a long time ago",  # a surname that is an everyday word
        "the testcases of this package",
        "ZZZ00162 and AZZZ0016",  # parts of something else
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "event 12345",  # too short to be searched for
        "1.2.826.0.1.3680043.9.1234.55 and 11.2.826.0.1.3680043.9.1234.5",
        "acquired 1950-01-31",  # a shifted date can be anybody's birthday
        "born 1951-01-31",
        f"patient_id: {BOB}; birth_date: 1950-01-31",  # another patient's, shifted
        "Wilson score interval",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert kinds(f"{text}\n".encode()) == set()


def test_a_birth_date_beside_its_own_pseudonym_counts() -> None:
    assert kinds(f"patient_id: {ANN}; birth_date: 1950-01-31\n".encode()) == {"birth_date"}


def test_a_column_of_birth_dates_is_read_with_its_heading() -> None:
    table = f"patient_id,birth_date\n{BOB},1943-05-05\n{ANN},1950-01-31\n"
    assert kinds(table.encode(), "export.csv") == {"birth_date"}
    assert kinds(table.replace(ANN, BOB).encode(), "export.csv") == set()


@pytest.mark.parametrize("text", ["ZXY1234", "ZXY12AB", "NHI=ABC9999;"])
def test_any_text_of_an_nhis_shape_counts_in_text(text: str) -> None:
    assert kinds(text.encode()) == {"nhi_shape"}


def test_a_leak_says_where_and_whose_but_never_what() -> None:
    (leak,) = [
        leak for leak in verify_removal([("a.zip", zipped("b.txt", PLAIN))], KNOWN, ocr=False) if leak.kind == "nhi"
    ]
    assert leak == Leak("a.zip > b.txt", "nhi", ANN, "text")


def test_an_encrypted_zip_and_a_deep_nest_are_problems_not_proofs(tmp_path: Path) -> None:
    data = bytearray(zipped("a.txt", PLAIN))
    data[6] |= 1  # local header: encrypted
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    assert kinds(bytes(data)) == {"problem"}
    nest = PLAIN
    for _ in range(12):
        nest = gzip.compress(nest)
    assert "problem" in kinds(nest)
    assert "problem" in {leak.kind for leak in verify_removal([("gone", tmp_path / "gone")], KNOWN, ocr=False)}


def test_a_database_is_searched_row_by_row() -> None:
    rows = [("films[1].note", b"nothing"), ("films[2].note", f"see {NHI}".encode())]
    leaks = verify_removal(rows, KNOWN, ocr=False)
    assert {leak.store for leak in leaks} == {"films[2].note"}


def _private(ds: FileDataset) -> None:
    ds.private_block(0x0019, "SYNTHETIC", create=True).add_new(1, "OB", b"\1\2" + NHI.encode() + b"\0")


def _private_utf16(ds: FileDataset) -> None:
    ds.private_block(0x0019, "SYNTHETIC", create=True).add_new(
        1, "UN", "RAD-2020-0001 Ann Testcase".encode("utf-16-le")
    )


def _nested(ds: FileDataset) -> None:
    item, deep = Dataset(), Dataset()
    deep.PatientComments = f"see {NHI}"
    item.ReferencedPatientSequence = Sequence([deep])
    ds.RequestAttributesSequence = Sequence([item])


def _preamble(ds: FileDataset) -> None:
    ds.preamble = NHI.encode().ljust(128, b"\0")


def _deflated(ds: FileDataset) -> None:
    ds.StudyDescription = f"see {NHI}"
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def _birth(ds: FileDataset) -> None:
    ds.PatientBirthDate = "19500131"


DICOM: dict[str, tuple[Callable[[FileDataset], None], str]] = {
    "private": (_private, "nhi"),
    "private_utf16": (_private_utf16, "accession"),
    "nested": (_nested, "nhi"),
    "preamble": (_preamble, "nhi"),
    "deflated": (_deflated, "nhi"),
    "birth_date": (_birth, "birth_date"),
}


@pytest.fixture
def clean_film(film: FileDataset, written: Write, names: Pseudonymiser) -> FileDataset:
    from pydicom import dcmread  # noqa: PLC0415 - this fixture alone

    return dcmread(io.BytesIO(deidentify_dicom(written(film), names, Policy()).data))


def test_a_deidentified_film_holds_nothing(clean_film: FileDataset, written: Write) -> None:
    assert kinds(written(clean_film)) == set()


@pytest.mark.parametrize("place", DICOM)
def test_one_identifier_is_found_in_each_place_of_a_dicom_file(
    clean_film: FileDataset, written: Write, place: str
) -> None:
    plant, kind = DICOM[place]
    plant(clean_film)
    assert kind in kinds(written(clean_film))


def _drawn(shape: tuple[int, int]) -> np.ndarray:
    picture = np.zeros(shape, np.uint8)
    cv2.putText(picture, NHI, (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2, cv2.LINE_AA)
    return picture


@reads_pixels
@pytest.mark.parametrize("place", ["pixels", "jpeg_2000", "overlay", "icon"])
def test_an_nhi_is_read_in_the_pictures_of_a_dicom_file(clean_film: FileDataset, written: Write, place: str) -> None:
    text = _drawn((256, 256))
    if place in ("pixels", "jpeg_2000"):
        clean_film.Rows, clean_film.Columns = text.shape
        clean_film.PixelData = (text.astype("<u2") * 16).tobytes()
        if place == "jpeg_2000":
            clean_film.compress(JPEG2000Lossless, generate_instance_uid=False)
    elif place == "overlay":
        clean_film.add_new(0x60000010, "US", 256)
        clean_film.add_new(0x60000011, "US", 256)
        clean_film.add_new(0x60003000, "OW", np.packbits(text.ravel() > 99, bitorder="little").tobytes())
    else:
        icon = Dataset()
        icon.Rows, icon.Columns, icon.PixelData = 256, 256, text.tobytes()
        icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
        icon.BitsAllocated = icon.BitsStored = 8
        icon.HighBit, icon.PixelRepresentation = 7, 0
        clean_film.IconImageSequence = Sequence([icon])
    found = verify_removal([("film", written(clean_film))], KNOWN)
    assert {leak.how for leak in found if leak.kind in ("nhi", "nhi_shape")} == {"pixels"}


@reads_pixels
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "JPEG2000"])
def test_an_nhi_is_read_in_the_pixels_of_a_picture(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(_drawn((256, 256))).save(file, form)
    assert kinds(file.getvalue(), ocr=True) & {"nhi", "nhi_shape"}


@pytest.mark.parametrize("compressed", [False, True])
def test_an_nhi_is_found_in_a_text_chunk_of_a_png(*, compressed: bool) -> None:
    chunks, file = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_text("Comment", f"film of {NHI} " * 20, zip=compressed)
    Image.new("L", (8, 8)).save(file, "PNG", pnginfo=chunks)
    assert "nhi" in kinds(file.getvalue())


def test_an_nhi_is_found_in_the_comment_of_a_jpeg() -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", comment=NHI.encode())
    assert "nhi" in kinds(file.getvalue())


@pytest.mark.slow
def test_ten_thousand_patients_are_searched_for_in_a_gigabyte(tmp_path: Path) -> None:
    known = [(f"P{number:016d}", "nhi", f"Z{chr(65 + number % 8)}Z{number % 10000:04d}") for number in range(10000)]
    block = np.random.default_rng(0).integers(0, 4096, 1 << 21, dtype=np.uint16).tobytes()
    stores = [(f"film {number}", block) for number in range(250)]
    assert verify_removal([*stores, ("last", b"ZAZ0000")], known, ocr=False)
    assert tmp_path.is_dir()
