"""The result objects, against the standard's own validators and by what a reader of them finds."""

from __future__ import annotations

import datetime as dt
import io
import shutil
import subprocess
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts

from carina.errors import FilmRejectedError
from carina.pacs.found import Found
from carina.pacs.picture import lines_of
from carina.pacs.placing import corners_back, turned_back
from carina.pacs.results import RESULT_CLASSES, ResultObject, build_results
from carina.types import Quality

AT = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - DICOM's content times are local


@pytest.fixture(scope="module")
def results(read: tuple[Dataset, Found]) -> list[ResultObject]:
    return build_results(*read, AT)


@pytest.fixture(scope="module")
def refused(read: tuple[Dataset, Found]) -> list[ResultObject]:
    """What is made of a film that the gate refused."""
    source, found = read
    quality = Quality(accepted=False, reasons=("it is no chest film",))
    reading = replace(
        found.reading,
        probabilities=None,
        prediction_set=None,
        boxes=(),
        decision="refused",
        reason="it is no chest film",
        quality=quality,
    )
    return build_results(source, Found(reading, found.film, found.facts), AT)


def _object(results: list[ResultObject], kind: str) -> Dataset:
    (found,) = (each for each in results if each.kind == kind)
    return dcmread(io.BytesIO(found.data))


def _numbers(item: Dataset, name: str) -> list[float]:
    """Values of every NUM of a name, in the order of the tree."""
    found = []
    for part in item.get("ContentSequence", []):
        if part.ValueType == "NUM" and part.ConceptNameCodeSequence[0].CodeMeaning == name:
            value = part.MeasuredValueSequence[0]
            assert value.MeasurementUnitsCodeSequence[0].CodeValue == "1"
            found.append(float(value.NumericValue))
        found += _numbers(part, name)
    return found


def _words(item: Dataset) -> list[str]:
    """Texts, and codes as name = value, of the whole tree."""
    found = []
    for part in item.get("ContentSequence", []):
        if part.ValueType == "TEXT":
            found.append(part.TextValue)
        if part.ValueType == "CODE":
            found.append(f"{part.ConceptNameCodeSequence[0].CodeMeaning} = {part.ConceptCodeSequence[0].CodeMeaning}")
        found += _words(part)
    return found


def _codes(item: Dataset) -> list[Dataset]:
    found = [item] if "CodeValue" in item else []
    for element in item:
        if element.VR == "SQ":
            for part in element.value:
                found += _codes(part)
    return found


def _graphics(item: Dataset) -> list[list[float]]:
    found = [list(item.GraphicData)] if item.get("ValueType") == "SCOORD" else []
    for part in item.get("ContentSequence", []):
        found += _graphics(part)
    return found


def test_every_kind_of_result_is_made(results: list[ResultObject]) -> None:
    assert {each.kind: each.sop_class_uid for each in results} == RESULT_CLASSES


def _errors(made: Dataset, folder: Path) -> list[str]:
    """What the standard's validator has against an object."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed (Debian's package dicom3tools)")
    path = folder / "object.dcm"
    made.save_as(path)
    done = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours
    said = done.stdout + done.stderr
    assert said.splitlines(), "the validator names the object at least"
    return [line for line in said.splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("kind", list(RESULT_CLASSES))
def test_a_validator_finds_no_error(results: list[ResultObject], kind: str, tmp_path: Path) -> None:
    assert _errors(_object(results, kind), tmp_path) == []


@pytest.mark.parametrize("kind", ["secondary_capture", "report"])
def test_a_validator_finds_no_error_in_a_refusal(refused: list[ResultObject], kind: str, tmp_path: Path) -> None:
    assert _errors(_object(refused, kind), tmp_path) == []


def test_dcmtk_reads_the_report(results: list[ResultObject], tmp_path: Path) -> None:
    program = shutil.which("dsrdump")
    if program is None:
        pytest.skip("dsrdump is not installed (Debian's package dcmtk)")
    path = tmp_path / "report.dcm"
    _object(results, "report").save_as(path)
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - ours
    assert done.stderr == ""
    assert done.stdout.count('"Probability"') == 5  # four classes and one box
    assert '(840539006,SCT,"COVID-19")' in done.stdout
    assert "UNVERIFIED" in done.stdout


def test_the_report_holds_the_thresholds_and_the_verdict_of_the_audit(results: list[ResultObject]) -> None:
    said = _words(_object(results, "report"))
    assert "threshold pneumonia: low 0.250000, high 0.500000" in said
    assert "Shortcut audit: pneumonia = not supported" in said
    assert any("sensitivity 0.88, specificity 0.75" in each for each in said)


def test_the_capture_and_the_presentation_state_say_the_verdict_of_the_audit(
    results: list[ResultObject], read: tuple[Dataset, Found]
) -> None:
    line = (
        "Pneumonia: threshold 0.50, indeterminate from 0.25 (sensitivity 0.88, specificity 0.75 where it was chosen); "
    )
    line += "shortcut audit: not supported"
    assert line in lines_of(read[1])
    text = _object(results, "presentation").GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert line in text


PIXELMED = Path("/usr/share/java/pixelmed.jar")
_UNLIMITED = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprGrp", "ExprOp")]


def _template_errors(report: Dataset, folder: Path) -> list[str]:
    """What pixelmed's validator, which knows the templates, has against a report."""
    java = shutil.which("java")
    if java is None or not PIXELMED.is_file():
        pytest.skip("pixelmed is not installed (Debian's package pixelmed-apps)")
    path = folder / "report.dcm"
    report.save_as(path)
    command = [java, *_UNLIMITED, "-cp", str(PIXELMED), "com.pixelmed.validate.DicomSRValidator", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - ours
    said = (done.stdout + done.stderr).splitlines()
    assert "IOD validation complete" in said
    return [line for line in said if line.startswith("Error")]


@pytest.mark.slow
@pytest.mark.parametrize("boxes", [0, 1, 2])
def test_a_template_aware_validator_finds_no_error(read: tuple[Dataset, Found], boxes: int, tmp_path: Path) -> None:
    source, found = read
    made = build_results(source, replace(found, reading=replace(found.reading, boxes=found.reading.boxes * boxes)), AT)
    assert _template_errors(_object(made, "report"), tmp_path) == []


@pytest.mark.slow
def test_a_template_aware_validator_finds_no_error_in_a_refusal(refused: list[ResultObject], tmp_path: Path) -> None:
    assert _template_errors(_object(refused, "report"), tmp_path) == []


# In the subsets that DICOM publishes, SNOMED CT has no pneumonia by cause.
BEYOND_DICOM = {"53084003", "75570004", "840539006"}


@pytest.mark.parametrize("kind", list(RESULT_CLASSES))
def test_every_code_is_in_the_dictionaries_with_that_meaning(results: list[ResultObject], kind: str) -> None:
    seen = 0
    for code in _codes(_object(results, kind)):
        scheme, value = code.CodingSchemeDesignator, code.CodeValue
        if scheme in ("99CARINA", "RFC5646") or value in BEYOND_DICOM:  # our own; a language
            continue
        known = [each[value][0] for each in concepts[scheme].values() if value in each]
        assert known, (scheme, value, code.CodeMeaning)
        assert code.CodeMeaning.lower() in {each.partition(" (")[0].lower() for each in known}, (value, known)
        seen += 1
    assert seen or kind in ("secondary_capture", "presentation")


def test_the_report_holds_the_probabilities_and_the_box(
    results: list[ResultObject], read: tuple[Dataset, Found]
) -> None:
    report, reading = _object(results, "report"), read[1].reading
    assert reading.probabilities is not None
    expected = [*(round(value, 6) for value in reading.probabilities.values()), 0.8125]
    assert _numbers(report, "Probability") == pytest.approx(expected, abs=1e-6)
    assert _graphics(report)[0] == [40, 70, 70, 70, 70, 90, 40, 90, 40, 70]
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_beside_boxes_stands_where_they_were_looked_for(
    results: list[ResultObject], read: tuple[Dataset, Found]
) -> None:
    frame = read[1].frame
    assert frame is not None
    left, top, right, bottom = frame.left, frame.top, frame.left + frame.width, frame.top + frame.height
    said = [left, top, right, top, right, bottom, left, bottom, left, top]
    assert _graphics(_object(results, "report"))[1:] == [said]


def test_the_evidence_of_the_report_is_the_film(results: list[ResultObject], read: tuple[Dataset, Found]) -> None:
    (evidence,) = _object(results, "report").CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == read[0].StudyInstanceUID
    (series,) = evidence.ReferencedSeriesSequence
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence] == [read[0].SOPInstanceUID]


@pytest.mark.parametrize("kind", list(RESULT_CLASSES))
def test_patient_and_study_are_those_of_the_film(
    results: list[ResultObject], read: tuple[Dataset, Found], kind: str
) -> None:
    made, source = _object(results, kind), read[0]
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
        assert made[keyword].value == source[keyword].value, keyword
    assert made.SeriesInstanceUID != source.SeriesInstanceUID


def test_the_capture_says_what_it_is(results: list[ResultObject]) -> None:
    capture = _object(results, "secondary_capture")
    assert list(capture.ImageType) == ["DERIVED", "SECONDARY"]
    assert capture.BurnedInAnnotation == "YES"
    assert capture.SeriesDescription == "AI result, research use only"
    top = capture.pixel_array[:28]
    assert ((top[..., 0] > 180) & (top[..., 1] > 180) & (top[..., 2] < 120)).sum() > 200, "yellow words at the top"


def test_the_segmentation_holds_lungs_and_opacity(results: list[ResultObject], read: tuple[Dataset, Found]) -> None:
    made = _object(results, "segmentation")
    assert [one.SegmentLabel for one in made.SegmentSequence] == ["Right lung", "Left lung", "Opacity"]
    fields = read[1].fields
    assert fields is not None
    assert (made.pixel_array[0] == (fields.mask == 1)).all()
    assert (made.pixel_array[1] == (fields.mask == 2)).all()
    assert made.pixel_array[2].any()


def test_the_class_map_gives_the_raw_values_back(results: list[ResultObject], read: tuple[Dataset, Found]) -> None:
    made, found = _object(results, "class_map"), read[1]
    mapping = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    values = made.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    name = mapping.LUTExplanation.split()[-1]
    assert found.maps is not None
    assert found.frame is not None
    expected = found.frame.lay_out(found.maps[found.facts.classes.index(name)])
    assert np.abs(values - expected).max() <= mapping.RealWorldValueSlope


def test_the_same_reading_gives_the_same_bytes(results: list[ResultObject], read: tuple[Dataset, Found]) -> None:
    assert [each.data for each in build_results(*read, AT)] == [each.data for each in results]


def test_another_model_gives_other_objects(results: list[ResultObject], read: tuple[Dataset, Found]) -> None:
    source, found = read
    other = build_results(source, replace(found, facts=replace(found.facts, model_sha256="f" * 64)), AT)
    assert {each.sop_instance_uid for each in other} & {each.sop_instance_uid for each in results} == set()


def test_another_film_under_the_same_uid_gives_other_objects(
    results: list[ResultObject], read: tuple[Dataset, Found]
) -> None:
    source, found = read
    other = build_results(source, replace(found, film=replace(found.film, sha256="f" * 64)), AT)
    for name in ("sop_instance_uid", "series_uid"):
        assert {getattr(each, name) for each in other} & {getattr(each, name) for each in results} == set()


def test_results_of_a_turned_film_lie_on_the_film_as_it_was_sent() -> None:
    sent = np.zeros((6, 4), int)
    sent[1, 2] = 7
    judged = np.rot90(sent, -1)  # the gate turned it clockwise
    row, column = (int(each) for each in np.argwhere(judged == 7)[0])
    assert (turned_back(judged, 1) == sent).all()
    corners = corners_back({"x": column, "y": row, "width": 1, "height": 1}, 1, judged.shape)
    assert sorted(map(tuple, corners[:4].tolist())) == [(2, 1), (2, 2), (3, 1), (3, 2)]


def test_a_refused_film_gives_its_reason_and_no_map(refused: list[ResultObject]) -> None:
    assert [each.kind for each in refused] == ["secondary_capture", "report"]
    assert b"reason: it is no chest film" in refused[1].data


def test_a_header_without_its_optional_parts_is_enough(read: tuple[Dataset, Found]) -> None:
    bare = Dataset()
    uids = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    for keyword in (*uids, "Rows", "Columns", "SamplesPerPixel"):
        bare[keyword] = read[0][keyword]
    assert len(build_results(bare, read[1], AT)) == 5


def test_a_header_without_a_study_is_refused(read: tuple[Dataset, Found]) -> None:
    with pytest.raises(FilmRejectedError, match="StudyInstanceUID"):
        build_results(Dataset(), read[1], AT)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "ZZZ^Ömer"), ("ISO_IR 192", "ZZZ^Ngāio"), (["", "ISO 2022 IR 87"], "ZZZ^Taro=山田^太郎")],
)
def test_a_patients_name_is_the_same_in_every_object(
    read: tuple[Dataset, Found], character_set: str | list[str], name: str
) -> None:
    source = deepcopy(read[0])
    source.SpecificCharacterSet, source.PatientName = character_set, name
    out = io.BytesIO()
    source.save_as(out, enforce_file_format=True)
    header = dcmread(io.BytesIO(out.getvalue()), stop_before_pixels=True)
    made = [dcmread(io.BytesIO(each.data)) for each in build_results(header, read[1], AT)]
    assert [str(each.PatientName) for each in made] == [name] * len(RESULT_CLASSES)
