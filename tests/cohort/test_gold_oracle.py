"""M13 against a brute-force oracle written from the rule's text, over every sequence of reads up to length 6."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product

import polars as pl
import pytest

from carina.cohort import CohortTables, Rules, build_cohort, load_rules

READS = {"P": "pneumonia", "N": "none", "E": "equivocal", "_": None}


def oracle(reads: tuple[str, ...], coded: bool, equivocal: str, surrounded: bool) -> list[str | None]:  # noqa: FBT001 - a table of cases
    """Gold of each film after the text of M13, one film at a time, nothing clever."""
    meaning = {"P": "pneumonia", "N": "none", "_": None, "E": None if equivocal == "skip" else equivocal}
    given = [meaning[sign] for sign in reads]
    films = [number for number, read in enumerate(given) if read is not None]
    gold: list[str | None] = [None] * len(reads)
    for place, number in enumerate(films):
        read = given[number]
        if not coded:
            gold[number] = "none"
        elif read == "pneumonia":
            gold[number] = "pneumonia"
        else:
            another = any(given[other] == "pneumonia" for other in films if other != number)
            before, after = films[:place], films[place + 1 :]
            if surrounded:
                flanked = any(given[one] == "pneumonia" for one in before) and any(
                    given[one] == "pneumonia" for one in after
                )
            else:
                flanked = bool(before and after) and given[before[-1]] == given[after[0]] == "pneumonia"
            gold[number] = "none" if another and not flanked else "pneumonia"
    return gold


@pytest.fixture(scope="module")
def every_sequence() -> tuple[CohortTables, list[tuple[tuple[str, ...], bool]]]:
    """A patient for every sequence and either coding; rows shuffled, times an hour apart."""
    cases = [
        (reads, coded) for length in range(1, 7) for reads in product("PNE_", repeat=length) for coded in (True, False)
    ]
    start = datetime(2021, 1, 1)  # noqa: DTZ001 - canonical tables hold naive local times
    films, read_rows = [], []
    for case, (reads, _) in enumerate(cases):
        for place, sign in enumerate(reads):
            name = f"{case}-{place}"
            films.append((name, name, f"P{case}", name, name, start + timedelta(hours=1 + place), "CR", True))
            read_rows.append((f"P{case}", name, READS[sign]))
    admissions = {
        "patient_id": [f"P{case}" for case in range(len(cases))],
        "event_id": [f"E{case}" for case in range(len(cases))],
        "admitted_at": [start] * len(cases),
        "discharged_at": [start + timedelta(days=9)] * len(cases),
        "codes": [["I10", "J18.9"] if coded else ["I10"] for _, coded in cases],
        "reason": ["?pneumonia"] * len(cases),
    }
    columns = ["film_id", "path", "patient_id", "sop_instance_uid", "accession_number", "acquired_at", "modality"]
    table = pl.DataFrame(films, schema=[*columns, "accepted"], orient="row").sample(fraction=1, shuffle=True, seed=7)
    reads_table = pl.DataFrame(read_rows, schema=["patient_id", "accession_number", "finding"], orient="row")
    tables = CohortTables.empty(films=table, reads=reads_table, admissions=pl.DataFrame(admissions))
    return tables, cases


@pytest.mark.parametrize("equivocal", ["pneumonia", "none", "skip"])
@pytest.mark.parametrize("flanking", ["immediate", "surrounded"])
def test_every_sequence_of_reads_gets_the_label_of_the_rule(
    every_sequence: tuple[CohortTables, list[tuple[tuple[str, ...], bool]]],
    rules_with: Callable[[str], Rules],
    equivocal: str,
    flanking: str,
) -> None:
    tables, cases = every_sequence
    rules = rules_with(f'[gold]\nequivocal = "{equivocal}"\nflanking = "{flanking}"\n[films]\nkeep = "all"')
    labels = build_cohort(tables, rules).labels
    found = dict(zip(labels["film_id"].to_list(), labels["gold"].to_list(), strict=True))
    expected = {
        f"{case}-{place}": gold
        for case, (reads, coded) in enumerate(cases)
        for place, gold in enumerate(oracle(reads, coded, equivocal, flanking == "surrounded"))
    }
    assert len(expected) == sum(2 * length * 4**length for length in range(1, 7))
    assert found == expected


def test_the_issue_s_example_explains_itself(
    every_sequence: tuple[CohortTables, list[tuple[tuple[str, ...], bool]]],
) -> None:
    tables, cases = every_sequence
    labels = build_cohort(tables, load_rules()).labels
    said = dict(zip(labels["film_id"].to_list(), labels["sentence"].to_list(), strict=True))
    case = cases.index((tuple("NPNPN"), True))
    assert said[f"{case}-2"] == (
        "read: none; codes: J18.9; film 3 of 5 flanked by two films with pneumonia: pneumonia (M13b)"
    )
