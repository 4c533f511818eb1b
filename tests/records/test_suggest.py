"""A mapping is proposed from headers and values, with confidence and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from carina.errors import RecordsError
from carina.records import Guess, Suggestion, load_mapping, read_extract, suggest_mapping

IPM = """\
NHI_NO,EVENT_NO,ADM_DTTM,DISCH_DTTM,GENDER,DOB,ETHNIC1,ETHNIC2,DIAG1,DIAG2,WARD
ZZZ0016,1,13/03/2020 10:00,15/03/2020 09:00,F,03/04/1950,11,21,J189,I500,A
ZZZ0024,2,01/04/2020 10:00,02/04/2020 09:00,M,23/04/1950,31,,N390,,B
"""
OBS = """\
Patient NHI,Obs Date,Obs Time,Height,Weight,Temp
ZZZ0016,13/03/2020,11:00,1.72,80,98.6
ZZZ0024,14/03/2020,11:00,1.80,75,99.1
"""
RIS = "NHI,Accession No,Exam Date,Report Text,CXR Result\nZZZ0016,A1,13/03/2020 10:30,No consolidation.,PX\n"
LAB = "NHI,Lab No,Collected,Specimen Type,Test,Organism,Result\nZZZ0016,L1,2020-03-13 10:30,NPS,PCR,RSV,Detected\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, text in (("x1.csv", RIS), ("x2.csv", IPM), ("x3.csv", LAB), ("x4.csv", OBS)):
        (tmp_path / name).write_text(text)
    return sorted(tmp_path.glob("*.csv"))


def guess(suggestion: Suggestion, table: str, column: str) -> Guess:
    (found,) = (one for one in suggestion.guesses if (one.table, one.column) == (table, column))
    return found


def test_each_file_finds_its_table(files: list[Path]) -> None:
    assert suggest_mapping(files).files == {
        "admissions": "x2.csv",
        "vitals": "x4.csv",
        "reads": "x1.csv",
        "microbiology": "x3.csv",
    }


def test_the_proposal_reads_the_extracts(files: list[Path], tmp_path: Path) -> None:
    suggestion = suggest_mapping(files)
    assert suggestion.missing == ()
    (tmp_path / "map.toml").write_text(suggestion.toml())
    mapping = load_mapping(tmp_path / "map.toml")
    admissions = read_extract(files[1], "admissions", mapping)
    assert admissions.rejected.is_empty()
    assert admissions.rows["codes"].to_list() == [["J18.9", "I50.0"], ["N39.0"]]
    assert admissions.rows["ethnicity"].to_list() == ["Maori", "Pacific"]
    vitals = read_extract(files[3], "vitals", mapping)
    assert vitals.rows["height_cm"].to_list() == [172.0, 180.0]
    assert vitals.rows["temperature_c"].round(1).to_list() == [37.0, 37.3]


def test_values_raise_and_lower_the_confidence(files: list[Path]) -> None:
    suggestion = suggest_mapping(files)
    assert guess(suggestion, "admissions", "nhi").confidence > 0.95
    assert guess(suggestion, "reads", "finding").confidence == 0.0
    assert "NHIs" in guess(suggestion, "admissions", "nhi").reason


def test_dates_that_could_be_read_both_ways_are_doubted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(IPM.replace("13/03", "03/03").replace("15/03", "05/03").replace("23/04", "03/04"))
    found = guess(suggest_mapping({"admissions": tmp_path / "a.csv"}), "admissions", "admitted_at")
    assert found.confidence < 0.7
    assert "%m/%d/%Y" in found.reason


def test_codes_to_translate_are_marked_and_never_taken_in_silence(files: list[Path], tmp_path: Path) -> None:
    suggestion = suggest_mapping(files)
    assert guess(suggestion, "reads", "finding").options == {"values": {"PX": "?"}}
    (tmp_path / "map.toml").write_text(suggestion.toml())
    extract = read_extract(files[0], "reads", load_mapping(tmp_path / "map.toml"))
    assert extract.rejected.select("line", "column").rows() == [(2, "finding")]


def test_columns_that_are_needed_and_not_found_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("NHI,Weight\nZZZ0016,80\n")
    suggestion = suggest_mapping({"vitals": tmp_path / "a.csv"})
    assert suggestion.missing == (("vitals", "measured_at"),)
    assert "# measured_at = ?" in suggestion.toml()


def test_a_file_that_fits_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("colour,taste\nred,sweet\n")
    with pytest.raises(RecordsError, match="fits none"):
        suggest_mapping([tmp_path / "a.csv"])
