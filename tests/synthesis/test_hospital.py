"""The synthetic hospital as files: the same from the same seed, readable, and as its truth says."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.fileset import FileSet

from carina.errors import InputError, OutputError
from carina.imaging import read_film
from carina.records import load_mapping, read_extract
from carina.synthesis import write_hospital
from carina.synthesis.compose import Composer
from carina.synthesis.dicom import film_bytes
from carina.synthesis.headers import PLANTS
from carina.synthesis.plans import FilmPlan


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthesis") / "hospital"
    write_hospital(out, patients=8, seed=4, size=128)
    return out


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _contents(hospital: Path) -> Iterator[tuple[str, bytes]]:
    """Place and bytes of every file of a film."""
    for row in _table(hospital / "truth/files.csv"):
        name, mark, entry = row["place"].partition("#")
        if mark:
            with zipfile.ZipFile(hospital / name) as archive:
                yield row["place"], archive.read(entry)
        elif not name.endswith("DICOMDIR"):
            yield row["place"], (hospital / name).read_bytes()


def _film(plants: tuple[str, ...] = (), **changes: object) -> FilmPlan:
    composer = Composer(11)
    person = composer.person(40, composer.start("since").date())
    composer.studies.write_outside(person, composer.start("since"), sign="P", why="not_admitted")
    plain = {"syntax": "explicit", "photometric": "MONOCHROME2", "plants": frozenset(plants)}
    fields = {name: getattr(composer.plan.films[0], name) for name in FilmPlan.__dataclass_fields__}
    return FilmPlan(**fields | plain | changes)


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes(tmp_path: Path) -> None:
    write_hospital(tmp_path / "one", patients=2, seed=9, size=128)
    write_hospital(tmp_path / "two", patients=2, seed=9, size=128, workers=2)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine", "utf-8")
    with pytest.raises(OutputError, match="empty"):
        write_hospital(tmp_path, patients=2, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("wrong", [{"patients": 0}, {"seed": -1}, {"size": 64}, {"workers": 0}])
def test_arguments_out_of_range_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        write_hospital(tmp_path / "out", **{"patients": 2, "seed": 1, **wrong})  # type: ignore[arg-type]  # ints by name
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("table", ["admissions", "vitals", "reads", "microbiology"])
def test_bad_rows_are_where_the_truth_says_and_all_other_rows_are_good(hospital: Path, table: str) -> None:
    extract = read_extract(hospital / f"{table}.csv", table, load_mapping(hospital / "mapping.toml"))
    rejected = dict(extract.rejected.select("line", "column").iter_rows())
    truth = [row for row in _table(hospital / "truth/dirt.csv") if row["file"] == f"{table}.csv"]
    must = {int(row["line"]): row["column"] for row in truth if row["expected"] == "rejected"}
    may = {int(row["line"]) for row in truth if row["expected"] == "either"}
    assert {line: rejected.get(line) for line in must} == must
    assert set(rejected) - set(must) - may == set()


def test_each_row_of_dirt_stands_at_its_line(hospital: Path) -> None:
    by_kind = {row["kind"]: row for row in _table(hospital / "truth/dirt.csv")}
    lines = (hospital / "admissions.csv").read_text("utf-8-sig").splitlines()
    row = next(csv.reader(io.StringIO(lines[int(by_kind["impossible_age"]["line"]) - 1])))
    assert "14/07/1871" in row


def test_every_film_of_the_truth_lies_where_it_says(hospital: Path) -> None:
    expected = {row["place"]: row for row in _table(hospital / "truth/files.csv")}
    for place, content in _contents(hospital):
        if expected[place]["expected"] != "refused":
            header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
            assert header.SOPInstanceUID == expected[place]["sop_instance_uid"]
    films = {row["sop_instance_uid"]: row for row in _table(hospital / "truth/films.csv")}
    medium = [uid for uid, row in films.items() if row["place"].endswith("DICOMDIR")]
    assert medium
    listed = FileSet(hospital / "films/medium/DICOMDIR")
    assert {instance.SOPInstanceUID for instance in listed} == set(medium)
    listed._stage["t"].cleanup()  # pydicom leaves its staging folder to the garbage collector, which warns


def test_headers_agree_with_the_truth(hospital: Path) -> None:
    films = {row["sop_instance_uid"]: row for row in _table(hospital / "truth/films.csv")}
    for place, content in _contents(hospital):
        if content.startswith(b"This") or not content:
            continue
        header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        row = films[header.SOPInstanceUID]
        assert header.PatientID == row["nhi"], place
        assert header.AccessionNumber == row["accession_number"]
        assert f"{header.AcquisitionDate}T{header.AcquisitionTime}" == row["acquired_at"].replace("-", "").replace(
            ":", ""
        )
        assert header.StudyInstanceUID == row["study_instance_uid"]


def test_a_duplicate_has_the_same_bytes_and_a_changed_film_the_same_uid(hospital: Path) -> None:
    files = _table(hospital / "truth/files.csv")
    contents = dict(_contents(hospital))
    first = {row["sop_instance_uid"]: row["place"] for row in files if row["expected"] == "accepted"}
    for kind, equal in (("duplicate", True), ("changed", False)):
        row = next(row for row in files if row["expected"] == kind)
        assert (contents[row["place"]] == contents[first[row["sop_instance_uid"]]]) is equal


@pytest.mark.parametrize("place", sorted(set(PLANTS) - {"overlay", "burnt", "icon"}))
def test_the_number_is_planted_in_the_bytes(place: str) -> None:
    plain, planted = (film_bytes(_film(plants), 128) for plants in ((), (place,)))
    nhi = _film().person.nhi.encode()
    surname = _film().person.surname.encode()
    assert planted.count(nhi) + planted.count(surname) > plain.count(nhi) + plain.count(surname)


def test_the_overlay_holds_drawn_bits_and_the_pixels_a_burnt_name() -> None:
    overlay = pydicom.dcmread(io.BytesIO(film_bytes(_film(("overlay",)), 256))).overlay_array(0x6000)
    assert 200 < int(overlay.sum()) < 8000
    plain, burnt = (pydicom.dcmread(io.BytesIO(film_bytes(_film(p), 256))).pixel_array for p in ((), ("burnt",)))
    changed = plain != burnt
    assert 0 < changed.sum() < 0.25 * changed.size
    assert burnt[changed].max() == 4095


@pytest.mark.parametrize("syntax", ["implicit", "deflated", "jpeg2000", "rle"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_film_shows_the_same_in_every_encoding(syntax: str, photometric: str, tmp_path: Path) -> None:
    pictures = []
    for name, plan in (("a", _film()), ("b", _film(syntax=syntax, photometric=photometric))):
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(film_bytes(plan, 128))
        pictures.append(read_film(path).pixels)
    assert np.abs(pictures[0] - pictures[1]).max() < 1e-6


def test_identifiers_list_every_number_of_the_extracts(hospital: Path) -> None:
    listed = {(row["kind"], row["value"]) for row in _table(hospital / "truth/identifiers.csv")}
    reads = pl.read_csv(hospital / "reads.csv", infer_schema=False)
    dirty = {int(row["line"]) for row in _table(hospital / "truth/dirt.csv") if row["file"] == "reads.csv"}
    for line, row in enumerate(reads.iter_rows(named=True), start=2):
        if line not in dirty:
            assert ("nhi", row["Patient ID"]) in listed
            assert ("accession_number", row["Accession No"]) in listed
