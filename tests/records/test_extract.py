"""Extracts: what a row must hold, and that what does not hold is listed with line, column and reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.errors import RecordsError
from carina.records import (
    CHOICES,
    REQUIRED,
    SCHEMAS,
    TABLES,
    Extract,
    Mapping,
    check_contract,
    contract,
    load_mapping,
    read_extract,
    read_extracts,
)

ADMISSIONS = "nhi,event_id,admitted_at,discharged_at,sex,birth_date,ethnicity,codes"
VITALS = "nhi,measured_at,height_cm,weight_kg,bmi,temperature_c,spo2_percent,respiratory_rate"
READS = "nhi,accession_number,acquired_at,read_at,position,mobile,finding,report"
RESULTS = "nhi,specimen_id,collected_at,specimen,test,organism,result"
# Valid test numbers: ZZZ0016 and ZZZ0024 are HISO 10046's; ZAC5361 is of its compliance data.
FIRST, SECOND, THIRD = "ZZZ0016", "ZZZ0024", "ZAC5361"


at = dt.datetime.fromisoformat


def read(tmp_path: Path, table: str, header: str, *rows: str, mapping: Mapping | None = None) -> Extract:
    file = tmp_path / f"{table}.csv"
    file.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return read_extract(file, table, mapping)


def listed(extract: Extract) -> list[tuple[int, str]]:
    return extract.rejected.select("line", "column").rows()


def admission(
    nhi: str = FIRST, event: str = "E1", start: str = "2020-03-01T10:00", end: str = "2020-03-05T10:00"
) -> str:
    return f"{nhi},{event},{start},{end},F,1950-04-03,21,J18.9"


def test_a_good_row_becomes_canonical(tmp_path: Path) -> None:
    row = "zzz 0016,E1,2020-03-01T10:00,2020-03-05 11:30:00,female,1950-04-03,11111;Māori,j189; I50.0 ;J18.9"
    extract = read(tmp_path, "admissions", ADMISSIONS, row)
    assert extract.rejected.is_empty()
    assert extract.rows.row(0, named=True) == {
        "nhi": FIRST,
        "event_id": "E1",
        "admitted_at": at("2020-03-01T10:00:00"),
        "discharged_at": at("2020-03-05T11:30:00"),
        "sex": "F",
        "birth_date": dt.date(1950, 4, 3),
        "ethnicity": "Maori",
        "codes": ["J18.9", "I50.0"],
        "reason": None,
        "surname": None,
        "given_names": None,
        "address": None,
    }


def test_blank_sex_ethnicity_and_codes_are_unknown_not_wrong(tmp_path: Path) -> None:
    extract = read(tmp_path, "admissions", ADMISSIONS, f"{FIRST},E1,2020-03-01T10:00,,,1950-04-03,,")
    assert extract.rejected.is_empty()
    assert extract.rows.select("sex", "ethnicity", "codes", "discharged_at").row(0) == ("U", "Unknown", [], None)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"nhi": "ZZZ0017"}, "nhi"),
        ({"nhi": ""}, "nhi"),
        ({"nhi": "12345"}, "nhi"),
        ({"event_id": ""}, "event_id"),
        ({"admitted_at": "01/03/2020 10:00"}, "admitted_at"),
        ({"admitted_at": "2020-02-30T10:00"}, "admitted_at"),
        ({"admitted_at": ""}, "admitted_at"),
        ({"discharged_at": "2020-02-28T10:00"}, "discharged_at"),
        ({"birth_date": "2021-01-01"}, "birth_date"),
        ({"birth_date": "1871-01-01"}, "birth_date"),
        ({"birth_date": "1899-12-31"}, "birth_date"),
        ({"birth_date": "1950-04-03T08:30"}, "birth_date"),
        ({"sex": "9"}, "sex"),
        ({"ethnicity": "88"}, "ethnicity"),
        ({"codes": "J18.9;PNEUMONIA"}, "codes"),
        ({"codes": "J1O.9"}, "codes"),
    ],
)
def test_one_bad_cell_rejects_its_admission(tmp_path: Path, cells: dict[str, str], column: str) -> None:
    good = dict(zip(ADMISSIONS.split(","), admission().split(","), strict=True))
    extract = read(tmp_path, "admissions", ADMISSIONS, ",".join((good | cells).values()), admission(SECOND, "E2"))
    assert listed(extract) == [(2, column)]
    assert extract.rows["event_id"].to_list() == ["E2"]


def test_a_row_is_listed_for_every_bad_column_and_counted_once(tmp_path: Path) -> None:
    extract = read(tmp_path, "admissions", ADMISSIONS, "ZZZ0017,E1,2020-03-01T10:00,,9,1950-04-03,,")
    assert listed(extract) == [(2, "nhi"), (2, "sex")]
    assert extract.rejected_rows == 1


def test_reasons_never_hold_the_cell(tmp_path: Path) -> None:
    row = "Testcase1,E1,Testcase2,Testcase3,Testcase4,Testcase5,Testcase6,Testcase7"
    extract = read(tmp_path, "admissions", ADMISSIONS, row)
    assert extract.rejected.height == 7
    assert not extract.rejected["reason"].str.contains("Testcase").any()


def test_admissions_that_overlap_lose_the_later_one(tmp_path: Path) -> None:
    extract = read(
        tmp_path,
        "admissions",
        ADMISSIONS,
        admission(event="late", start="2020-03-04T10:00", end="2020-03-20T10:00"),
        admission(event="early"),
        admission(event="after", start="2020-03-06T10:00", end="2020-03-07T10:00"),
        admission(event="transfer", start="2020-03-07T10:00", end="2020-03-08T10:00"),
        admission(SECOND, "other", start="2020-03-02T10:00"),
    )
    assert listed(extract) == [(2, "admitted_at")]
    assert set(extract.rows["event_id"]) == {"early", "after", "transfer", "other"}


def test_a_hospital_may_allow_transfers_to_overlap(tmp_path: Path) -> None:
    columns = {name: name for name in ADMISSIONS.split(",")}
    mapping = Mapping.model_validate({"admissions": {"columns": columns, "overlap_minutes": 30}})
    rows = (admission(), admission(event="E2", start="2020-03-05T09:40", end="2020-03-06T10:00"))
    assert read(tmp_path, "admissions", ADMISSIONS, *rows, mapping=mapping).rejected.is_empty()
    assert listed(read(tmp_path, "admissions", ADMISSIONS, *rows)) == [(3, "admitted_at")]


def test_one_nhi_with_two_birth_dates_keeps_the_majority(tmp_path: Path) -> None:
    rows = [
        admission(event=f"E{month}", start=f"2020-0{month}-01T10:00", end=f"2020-0{month}-02T10:00")
        for month in (1, 2, 3)
    ]
    rows[1] = rows[1].replace("1950-04-03", "1951-04-03")
    assert listed(read(tmp_path, "admissions", ADMISSIONS, *rows)) == [(3, "birth_date")]
    assert listed(read(tmp_path, "admissions", ADMISSIONS, *rows[:2])) == [(2, "birth_date"), (3, "birth_date")]


def test_unstated_sex_contradicts_nothing(tmp_path: Path) -> None:
    rows = [admission(), admission(event="E2", start="2020-05-01T10:00", end="2020-05-02T10:00").replace(",F,", ",U,")]
    assert read(tmp_path, "admissions", ADMISSIONS, *rows).rejected.is_empty()


def test_a_row_said_twice_is_taken_once(tmp_path: Path) -> None:
    extract = read(tmp_path, "admissions", ADMISSIONS, admission(), admission())
    assert listed(extract) == [(3, "")]
    assert extract.rows.height == 1


def test_an_event_said_twice_differently_is_not_taken(tmp_path: Path) -> None:
    extract = read(tmp_path, "admissions", ADMISSIONS, admission(), admission().replace("J18.9", "J18.0"))
    assert listed(extract) == [(2, "event_id"), (3, "event_id")]


def test_duplicates_are_found_across_files(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(f"{ADMISSIONS}\n{admission()}\n")
    extract = read_extracts([tmp_path / "one.csv", tmp_path / "two.csv"], "admissions")
    assert extract.rejected.select("file", "line").rows() == [("two.csv", 2)]
    assert [source.rows for source in extract.sources] == [1, 1]


@pytest.mark.parametrize(
    ("row", "column", "slip"),
    [
        ("1.72,80,,,,", "height_cm", "metres"),
        ("172,80,27.0,99.5,,", "temperature_c", "Fahrenheit"),
        ("172,80,27.0,,0.95,", "spo2_percent", "fractions"),
        # 80 kg are 176.4 lb; 172 cm are 67.7 in.
        ("172,176.4,27.0,,,", "bmi", "lb for kg"),
        ("67.7,80,27.0,,,", "bmi", "in for cm"),
        ("172,80,19.0,,,", "bmi", "slip of units"),
        ("50,80,,,,", "bmi", "slip of units"),
        ('"172,5",80,,,,', "height_cm", "decimal comma"),
        ("172 cm,80,,,,", "height_cm", "without a unit"),
        ("172,,,,,500", "respiratory_rate", "within"),
        (",,,,,", "", "measurement"),
        ("nan,,,,,", "height_cm", "number"),
        ("inf,,,,,", "height_cm", "number"),
    ],
)
def test_slips_of_units_are_named_not_mended(tmp_path: Path, row: str, column: str, slip: str) -> None:
    extract = read(tmp_path, "vitals", VITALS, f"{FIRST},2020-03-01T10:00,{row}")
    assert listed(extract) == [(2, column)]
    assert slip in extract.rejected["reason"][0]
    assert extract.rows.is_empty()


def test_a_weight_unlike_the_patients_others_is_suspected_pounds(tmp_path: Path) -> None:
    rows = [f"{FIRST},2020-03-0{day}T10:00,,{weight},,,," for day, weight in enumerate((80, 81, 176.4, 79), start=1)]
    extract = read(tmp_path, "vitals", VITALS, *rows)
    assert listed(extract) == [(4, "weight_kg")]


def test_a_growing_child_is_not_suspected(tmp_path: Path) -> None:
    rows = [f"{FIRST},{year}-03-01T10:00,,{weight},,,," for year, weight in ((2018, 4.0), (2019, 8.8), (2020, 12.0))]
    assert read(tmp_path, "vitals", VITALS, *rows).rejected.is_empty()


def test_units_of_the_mapping_are_converted(tmp_path: Path) -> None:
    columns = {
        "nhi": "nhi",
        "measured_at": "measured_at",
        "height_cm": {"column": "height_cm", "unit": "m"},
        "weight_kg": {"column": "weight_kg", "unit": "lb"},
        "temperature_c": {"column": "temperature_c", "unit": "F"},
    }
    mapping = Mapping.model_validate({"vitals": {"columns": columns}})
    extract = read(tmp_path, "vitals", VITALS, f"{FIRST},2020-03-01T10:00,1.72,176.37,,98.6,,", mapping=mapping)
    row = extract.rows.row(0, named=True)
    assert row["height_cm"] == pytest.approx(172.0)
    assert row["weight_kg"] == pytest.approx(80.0, abs=0.01)
    assert row["temperature_c"] == pytest.approx(37.0)
    # 80 / 1.72^2
    assert row["bmi"] == pytest.approx(27.04, abs=0.01)


def test_a_result_without_a_specimen_time_is_rejected(tmp_path: Path) -> None:
    rows = (f"{FIRST},L1,,NPS,PCR,COVID-19,Detected", f"{FIRST},L2,2020-03-01T10:00,NPS,PCR,COVID-19,Detected")
    extract = read(tmp_path, "microbiology", RESULTS, *rows)
    assert extract.rejected.select("line", "column", "reason").rows() == [
        (2, "collected_at", "a result must have its specimen's time")
    ]
    assert extract.rows.row(0)[3:] == ("nasopharyngeal_swab", "pcr", "SARS-CoV-2", "positive")


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("XX,pcr,RSV,pos", "specimen"),
        ("NPS,XX,RSV,pos", "test"),
        ("NPS,pcr,XX,pos", "organism"),
        ("NPS,pcr,RSV,XX", "result"),
    ],
)
def test_unknown_codes_are_rejected(tmp_path: Path, cells: str, column: str) -> None:
    extract = read(tmp_path, "microbiology", RESULTS, f"{FIRST},L1,2020-03-01T10:00,{cells}")
    assert listed(extract) == [(2, column)]


def test_contradicting_results_of_one_specimen_are_rejected(tmp_path: Path) -> None:
    rows = [f"{FIRST},L1,2020-03-01T10:00,NPS,pcr,RSV,{result}" for result in ("positive", "negative")]
    assert listed(read(tmp_path, "microbiology", RESULTS, *rows)) == [(2, "result"), (3, "result")]


def test_a_specimen_of_two_patients_is_rejected(tmp_path: Path) -> None:
    rows = [f"{nhi},L1,2020-03-01T10:00,NPS,pcr,RSV,positive" for nhi in (FIRST, SECOND)]
    assert listed(read(tmp_path, "microbiology", RESULTS, *rows)) == [(2, "specimen_id"), (3, "specimen_id")]


def test_no_growth_is_a_negative_result_without_an_organism(tmp_path: Path) -> None:
    rows = [
        f"{FIRST},L{n},2020-03-01T10:00,blood,culture,No growth,{r}" for n, r in enumerate(("negative", "positive"))
    ]
    extract = read(tmp_path, "microbiology", RESULTS, *rows)
    assert extract.rows["organism"].to_list() == ["none"]
    assert listed(extract) == [(3, "result")]


def test_free_text_is_read_where_no_code_stands(tmp_path: Path) -> None:
    rows = (
        f'{FIRST},A1,2020-03-01T10:00,2020-03-01T12:00,ERECT,N,,"Right base consolidation.\nNo effusion."',
        f"{FIRST},A2,2020-03-02T10:00,,supine,Y,none,Right base consolidation.",
        f"{FIRST},A3,2020-03-03T10:00,,,,,",
    )
    extract = read(tmp_path, "reads", READS, *rows)
    assert extract.rows.select("finding", "finding_source", "position", "mobile").rows() == [
        ("pneumonia", "text", "erect", False),
        ("none", "coded", "supine", True),
        (None, None, None, None),
    ]
    assert extract.agreement is not None
    assert (extract.agreement.reads, extract.agreement.agreeing) == (1, 0)


def test_the_last_of_several_reads_counts(tmp_path: Path) -> None:
    rows = [
        f"{FIRST},A1,2020-03-01T10:00,2020-03-01T12:00,,,none,",
        f"{FIRST},A1,2020-03-01T10:00,2020-03-02T12:00,,,pneumonia,",
        f"{FIRST},A2,2020-03-01T10:00,,,,none,",
        f"{FIRST},A2,2020-03-01T10:00,,,,pneumonia,",
    ]
    extract = read(tmp_path, "reads", READS, *rows)
    assert listed(extract) == [(2, "accession_number"), (4, "accession_number"), (5, "accession_number")]
    assert extract.rows["finding"].to_list() == ["pneumonia"]


def test_an_accession_of_two_patients_and_a_read_before_its_film_are_rejected(tmp_path: Path) -> None:
    rows = [
        f"{FIRST},A1,2020-03-01T10:00,,,,none,",
        f"{SECOND},A1,2020-03-01T10:00,,,,none,",
        f"{FIRST},A2,2020-03-01T10:00,2020-02-01T10:00,,,none,",
    ]
    assert listed(read(tmp_path, "reads", READS, *rows)) == [
        (2, "accession_number"),
        (3, "accession_number"),
        (4, "read_at"),
    ]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    rows = (
        f'{FIRST},A1,2020-03-01T10:00,,,,,"three\nlines\nlong"',
        "",
        f"{FIRST},A2,2020-03-01T10:00,,,,",
        f"{FIRST},A3,2020-03-01T10:00,,,,none,,one too many",
        "ZZZ0017,A4,2020-03-01T10:00,,,,none,",
    )
    extract = read(tmp_path, "reads", READS, *rows)
    assert listed(extract) == [(6, ""), (7, ""), (8, "nhi")]
    assert extract.rows["accession_number"].to_list() == ["A1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_found_out(tmp_path: Path, encoding: str, delimiter: str) -> None:
    file = tmp_path / "a.csv"
    text = f"{ADMISSIONS},surname\n{admission()},Tést\n".replace(",", delimiter)
    file.write_bytes(text.encode(encoding))
    extract = read_extract(file, "admissions")
    assert extract.rows["surname"].to_list() == ["Tést"]
    # What is a guess is said.
    assert bool(extract.notes) == (encoding == "cp1252")


def test_parquet_and_excel_hold_what_csv_holds(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "nhi": [FIRST, "ZZZ0017"],
            "event_id": ["E1", "E2"],
            "admitted_at": [at("2020-03-01T10:00:00"), at("2020-03-01T11:00:00")],
            "discharged_at": [None, at("2020-03-05T11:00:00")],
            "sex": ["F", "M"],
            "birth_date": [dt.date(1950, 4, 3), dt.date(1950, 4, 3)],
            "ethnicity": ["21", "11"],
            "codes": ["J18.9", "I50.0"],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    frame.with_columns(pl.col("codes").str.split(";")).write_parquet(tmp_path / "lists.parquet")
    frame.write_excel(tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_text(f"{ADMISSIONS}\n{FIRST},E1,2020-03-01T10:00,,F,1950-04-03,21,J18.9\n")
    wanted = read_extract(tmp_path / "a.csv", "admissions").rows
    for name, line in (("a.parquet", 2), ("lists.parquet", 2), ("a.xlsx", 3)):
        extract = read_extract(tmp_path / name, "admissions")
        assert extract.rows.equals(wanted)
        assert listed(extract) == [(line, "nhi")]


def test_offsets_are_turned_into_local_time(tmp_path: Path) -> None:
    # New Zealand daylight time, +13:00, ended on 5 April 2020 at 03:00.
    rows = [
        admission(FIRST, "E1", "2020-04-01T00:00:00Z", "2020-04-06T00:00:00Z"),
        admission(SECOND, "E2", "2020-04-01T10:00+13:00", "2020-04-01T10:00:00.5-05:00"),
    ]
    extract = read(tmp_path, "admissions", ADMISSIONS, *rows)
    assert extract.rows["admitted_at"].to_list() == [at("2020-04-01T13:00:00"), at("2020-04-01T10:00:00")]
    assert extract.rows["discharged_at"].to_list() == [
        at("2020-04-06T12:00:00"),
        at("2020-04-02T04:00:00.500000"),
    ]


def test_month_first_cells_among_day_first_ones_are_pointed_out(tmp_path: Path) -> None:
    columns = {name: name for name in ADMISSIONS.split(",")} | {
        "admitted_at": {"column": "admitted_at", "format": "%d/%m/%Y %H:%M"}
    }
    mapping = Mapping.model_validate({"admissions": {"columns": columns}})
    rows = [
        admission(FIRST, "E1", "03/04/2020 10:00", ""),
        admission(SECOND, "E2", "04/13/2020 10:00", ""),
        admission(THIRD, "E3", "13/04/20 10:00", ""),
    ]
    extract = read(tmp_path, "admissions", ADMISSIONS, *rows, mapping=mapping)
    assert listed(extract) == [(3, "admitted_at"), (4, "admitted_at")]
    assert extract.rows["admitted_at"].to_list() == [at("2020-04-03T10:00:00")]
    assert "1 others could be read either way" in extract.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "header"),
        ("a.csv", b"\x00\x01\x02", "binary"),
        ("a.csv", b"a,a\n1,2\n", "different names"),
        ("a.csv", b"nhi,event_id\nZZZ0016,E1\n", "must have the column"),
        ("a.csv", b'nhi,event_id\n"ZZZ0016,E1\n', "quotation"),
        ("a.docx", b"x", "CSV, Parquet or Excel"),
        ("a.parquet", b"no", "Parquet"),
        ("a.xlsx", b"no", "spreadsheet"),
        ("a.xlsx", b"PKno", "spreadsheet"),
    ],
)
def test_files_that_are_no_extract_are_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordsError, match=said):
        read_extract(tmp_path / name, "admissions")


def test_a_table_of_no_rows_is_a_table(tmp_path: Path) -> None:
    extract = read(tmp_path, "vitals", VITALS)
    assert extract.rows.schema == SCHEMAS["vitals"]
    assert extract.rows.height == extract.rejected.height == 0


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
CELLS = st.one_of(
    TEXTS,
    st.sampled_from(
        [FIRST, SECOND, "E1", "2020-03-01T10:00", "1950-04-03", "F", "21", "J18.9", "37", "172", "none", ""]
    ),
    st.sampled_from([word for table in CHOICES.values() for values in table.values() for word in values]),
)


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_table_is_parted_into_rows_that_keep_the_contract_and_a_list(
    table: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    columns = [name for name in SCHEMAS[table] if name != "finding_source"]
    rows = data.draw(st.lists(st.tuples(*(CELLS for _ in columns)), max_size=6))
    file = tmp_path_factory.mktemp("drawn") / "drawn.csv"
    pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row").write_csv(file, quote_style="always")
    extract = read_extract(file, table)
    check_contract(table, extract.rows)
    assert extract.rows.schema == SCHEMAS[table]
    blank = sum(all(not cell.strip(" \n\t") for cell in row) for row in rows)
    assert extract.rows.height + extract.rejected_rows == pytest.approx(len(rows) - blank, abs=blank)
    assert not extract.rejected["reason"].is_null().any()
    for column in REQUIRED[table]:
        assert extract.rows[column].null_count() == 0


def test_the_contract_finds_a_row_that_breaks_it() -> None:
    row = {"nhi": "ZZZ0016", "specimen_id": "L1", "collected_at": at("2020-01-01T00:00:00"), "specimen": "nose"}
    frame = pl.DataFrame(
        [row | {"test": "pcr", "organism": "none", "result": "negative"}], schema=SCHEMAS["microbiology"]
    )
    with pytest.raises(RecordsError, match="specimen") as error:
        check_contract("microbiology", frame)
    assert "nose" not in str(error.value)


def test_there_is_no_contract_of_another_table() -> None:
    with pytest.raises(RecordsError, match="films"):
        contract("films")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format = 2\n", "format"),
        ("x = 1\n", "x"),
        ("[vitals.columns]\nnhi = 'N'\n", "measured_at"),
        ("[vitals.columns]\nnhi = 'N'\nmeasured_at = 'T'\npulse = 'P'\n", "pulse"),
        ("[vitals.columns]\nnhi = 'N'\nmeasured_at = 'T'\nheight_cm = {column = 'H', unit = 'ft'}\n", "unit"),
        ("time_zone = 'Mars/Olympus'\n", "time_zone"),
        (
            "[vitals.columns]\nnhi = 'N'\nmeasured_at = {column = 'T', format = ['%d/%m/%Y', '%m/%d/%Y']}\n",
            "told apart",
        ),
        ("= not toml", "TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(RecordsError, match=said):
        load_mapping(tmp_path / "map.toml")


def test_a_mapping_without_the_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="suggest-mapping"):
        read(tmp_path, "vitals", VITALS, mapping=Mapping())


def test_lines_lost_between_stray_quotation_marks_are_counted(tmp_path: Path) -> None:
    rows = [f'"{admission()}', admission(SECOND, "E2"), f'{admission(THIRD, "E3")}"', admission(THIRD, "E4")]
    extract = read(tmp_path, "admissions", ADMISSIONS, *rows)
    assert extract.rejected["reason"][0].endswith("runs over 2 more lines: look for a stray quotation mark")
    assert extract.rows["event_id"].to_list() == ["E4"]


def test_a_quotation_mark_open_to_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="closed"):
        read(tmp_path, "reads", READS, f'{FIRST},A1,2020-03-01T10:00,,,,,"open', f"{FIRST},A2,2020-03-01T10:00,,,,,")
