"""Aetiology, contrasts, labels and covariates (M14-M18) on hand-made cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl
import pytest

from carina.cohort import Rules, build_cohort, coverage_gaps, load_rules

NEGATIVE = (4, "SARS-CoV-2", {"result": "negative"})
POSITIVE = (4, "SARS-CoV-2", {})
FLU = (4, "Influenza A virus", {})
BLOOD = (4, "Streptococcus pneumoniae", {"specimen": "blood", "test": "culture"})

# specimens: hours after the only film, organism, what else; then aetiology, the two contrasts, label
CASES: dict[str, tuple[list[tuple[float, str, dict[str, str]]], str, str | None, str | None, str]] = {
    "nothing": ([], "unknown", None, None, "pneumonia"),
    "negative": ([NEGATIVE], "unknown", "negative", None, "pneumonia_non_covid19"),
    "covid": ([POSITIVE], "covid19", "positive", "viral", "covid19"),
    "one positive of two": ([NEGATIVE, POSITIVE], "covid19", "positive", "viral", "covid19"),
    "covid by antigen is not looked for": (
        [(4, "SARS-CoV-2", {"test": "antigen"})],
        "unknown",
        None,
        None,
        "pneumonia",
    ),
    "indeterminate": ([(4, "SARS-CoV-2", {"result": "indeterminate"})], "unknown", None, None, "pneumonia"),
    "covid 14 days before admission": ([(-14 * 24 - 1, "SARS-CoV-2", {})], "covid19", "positive", "viral", "covid19"),
    "covid before that": ([(-14 * 24 - 1.1, "SARS-CoV-2", {})], "unknown", None, None, "pneumonia"),
    "covid at 72 h": ([(72, "SARS-CoV-2", {})], "covid19", "positive", "viral", "covid19"),
    "covid after 72 h": ([NEGATIVE, (72.1, "SARS-CoV-2", {})], "unknown", "negative", None, "pneumonia_non_covid19"),
    "virus": ([NEGATIVE, FLU], "viral", "negative", "viral", "viral"),
    "virus, untested": ([FLU], "viral", None, "viral", "viral"),
    "virus at -72 h": ([(-72, "Rhinovirus", {})], "viral", None, "viral", "viral"),
    "virus before that": ([(-72.1, "Rhinovirus", {})], "unknown", None, None, "pneumonia"),
    "virus after 72 h": ([(72.1, "Rhinovirus", {})], "unknown", None, None, "pneumonia"),
    "blood": ([BLOOD], "bacterial", None, "bacterial", "bacterial"),
    "urinary antigen": (
        [(1, "Legionella pneumophila", {"specimen": "urine", "test": "antigen"})],
        "bacterial",
        None,
        "bacterial",
        "bacterial",
    ),
    "urine culture": (
        [(1, "Escherichia coli", {"specimen": "urine", "test": "culture"})],
        "unknown",
        None,
        None,
        "pneumonia",
    ),
    "throat culture": (
        [(1, "Streptococcus pneumoniae", {"specimen": "throat_swab", "test": "culture"})],
        "unknown",
        None,
        None,
        "pneumonia",
    ),
    "throat PCR of a bacterium": (
        [(1, "Mycoplasma pneumoniae", {"specimen": "throat_swab"})],
        "unknown",
        None,
        None,
        "pneumonia",
    ),
    "serology": (
        [(1, "Mycoplasma pneumoniae", {"specimen": "blood", "test": "serology"})],
        "unknown",
        None,
        None,
        "pneumonia",
    ),
    "lavage": (
        [(1, "Haemophilus influenzae", {"specimen": "bronchoalveolar_lavage", "test": "culture"})],
        "bacterial",
        None,
        "bacterial",
        "bacterial",
    ),
    "contaminant": (
        [NEGATIVE, (1, "Coagulase-negative staphylococci", {"specimen": "blood", "test": "culture"})],
        "unknown",
        "negative",
        None,
        "pneumonia_non_covid19",
    ),
    "mixed": ([NEGATIVE, FLU, BLOOD], "mixed", "negative", None, "pneumonia_non_covid19"),
    "mixed, untested": ([FLU, BLOOD], "mixed", None, None, "pneumonia"),
    "coinfection": ([POSITIVE, BLOOD], "covid19", "positive", None, "covid19"),
    "unknown organism": ([(1, "Quercus robur", {"specimen": "blood"})], "unknown", None, None, "pneumonia"),
}


@pytest.mark.parametrize("case", CASES)
def test_specimens_say_the_aetiology(hospital: Any, case: str) -> None:
    specimens, aetiology, covid, kind, label = CASES[case]
    hospital.admit("P1", 0)
    hospital.film("P1", 1)
    for hours, organism, more in specimens:
        hospital.specimen("P1", 1 + hours, organism, **more)
    row = build_cohort(hospital.tables(), load_rules()).film_table.to_dicts()[0]
    assert (row["aetiology"], row["covid_contrast"], row["bacterial_viral_contrast"]) == (aetiology, covid, kind)
    assert row["label"] == label
    assert row["coinfection"] == (case == "coinfection")


def test_before_the_start_date_untested_pneumonia_is_not_covid(
    hospital: Any, rules_with: Callable[[str], Rules]
) -> None:
    hospital.admit("P1", 0)
    hospital.film("P1", 1)
    rules = rules_with('[aetiology]\ndates = "true"\nstart_date = 2021-06-01')
    row = build_cohort(hospital.tables(), rules).film_table.to_dicts()[0]
    assert (row["covid_contrast"], row["label"]) == ("negative", "pneumonia_non_covid19")


def test_shifted_dates_decide_nothing_but_the_flag_does(hospital: Any, rules_with: Callable[[str], Rules]) -> None:
    for patient, before in (("P1", True), ("P2", None), ("P3", False)):
        hospital.admit(patient, 0, before_covid19=before)
        hospital.film(patient, 1)
    table = build_cohort(hospital.tables(), rules_with("[aetiology]\nstart_date = 2030-01-01")).film_table
    assert table.sort("patient_id")["label"].to_list() == ["pneumonia_non_covid19", "pneumonia", "pneumonia"]


def test_the_sentence_tells_what_was_found(hospital: Any) -> None:
    hospital.admit("P1", 0)
    hospital.film("P1", 1)
    for hours, organism, more in (NEGATIVE, BLOOD, (80, "Klebsiella pneumoniae", BLOOD[2])):
        hospital.specimen("P1", 1 + hours, organism, **more)
    hospital.specimen("P1", 5, "Moraxella catarrhalis", specimen="throat_swab", test="culture")
    assert build_cohort(hospital.tables(), load_rules()).film_table["aetiology_sentence"].item() == (
        "SARS-CoV-2: negative; viruses: none; bacteria: Streptococcus pneumoniae (blood); "
        "no evidence from this specimen or test: Moraxella catarrhalis (throat swab); "
        "later, hospital-acquired: Klebsiella pneumoniae (blood): "
        "bacterial (M15)"
    )


def test_films_without_pneumonia_inherit_no_aetiology(hospital: Any) -> None:
    hospital.admit("P1")
    hospital.film("P1", 1)
    hospital.film("P1", 90, finding="none")
    hospital.specimen("P1", 2, "SARS-CoV-2")
    table = build_cohort(hospital.tables(), load_rules()).film_table
    assert table["label"].to_list() == ["covid19", "normal"]
    assert table["aetiology"].to_list() == ["covid19", None]
    assert table["first_or_last"].to_list() == ["first", "last"]
    assert table["microbiology"].to_list() == ["SARS-CoV-2", "SARS-CoV-2"]


def test_first_or_last_is_kept_for_confirmed_pneumonia_only(hospital: Any) -> None:
    hospital.admit("P1", codes=["I10"])
    hospital.film("P1", 1)
    table = build_cohort(hospital.tables(), load_rules()).film_table
    assert (table["first_or_last"].item(), table["microbiology"].item()) == (None, None)


@pytest.mark.parametrize(
    ("codes", "rules", "gold", "said"),
    [
        (["I10", "J15.9"], "", "pneumonia", "J15.9"),
        (["I10", "J15.9"], '[codes]\nposition = "principal"', "none", "none of pneumonia"),
        (["U07.1"], "", "none", "U07.1 without J12-J18"),
        (["U07.1"], '[codes]\ncovid19 = "alone"', "pneumonia", "U07.1"),
        (["U07.1", "J12.8"], "", "pneumonia", "J12.8"),
        (["J22"], "", "none", "none of pneumonia"),
        ([], "", "none", "none recorded"),
        (None, "", "none", "none recorded"),
    ],
)
def test_codes_show_pneumonia_after_the_list(  # noqa: PLR0917 - a row of a table
    hospital: Any, rules_with: Callable[[str], Rules], codes: list[str] | None, rules: str, gold: str, said: str
) -> None:
    hospital.admit("P1", codes=codes)
    hospital.film("P1", 1)
    row = build_cohort(hospital.tables(), rules_with(rules)).film_table.to_dicts()[0]
    assert row["gold"] == gold
    assert row["sentence"] == f"read: pneumonia; codes: {said}: {gold} (M13)"


def test_codes_of_all_events_of_an_episode_count(hospital: Any) -> None:
    hospital.admit("P1", 0, 24, codes=["I10"])
    hospital.admit("P1", 24, 90, codes=["J18.9"])
    hospital.film("P1", 1)
    assert build_cohort(hospital.tables(), load_rules()).film_table["gold"].item() == "pneumonia"


def test_an_episode_without_codes_leaves_when_the_rules_say_so(
    hospital: Any, rules_with: Callable[[str], Rules]
) -> None:
    hospital.admit("P1", codes=[])
    hospital.film("P1", 1)
    labels = build_cohort(hospital.tables(), rules_with('[codes]\nmissing = "leave_out"')).labels
    assert labels["exclusion"].item() == "no_codes"


def test_covariates_are_those_at_the_film(hospital: Any) -> None:
    hospital.admit("P1", ethnicity="European", birth_date=date(1960, 3, 2), sex="M")
    hospital.admit("P1", 5000, 5100, ethnicity="Maori", birth_date=date(1960, 3, 2), sex="M")
    hospital.film("P1", 1, age_years=12.0, sex="F", manufacturer="Acme", model_name="X1")
    hospital.measure("P1", -100, bmi=20.0)
    hospital.measure("P1", 30, height_cm=200.0, weight_kg=100.0)
    row = build_cohort(hospital.tables(), load_rules()).film_table.to_dicts()[0]
    # 1 March 2021: the day before the birthday.
    assert (row["age"], row["sex"], row["ethnicity"], row["bmi"], row["device"]) == (60, "M", "Maori", 25.0, "Acme X1")


def test_a_bmi_measured_long_ago_is_not_the_film_s(hospital: Any) -> None:
    hospital.admit("P1")
    hospital.film("P1", 1)
    hospital.measure("P1", -366 * 24, bmi=20.0)
    assert build_cohort(hospital.tables(), load_rules()).film_table["bmi"].item() is None


def test_coverage_counts_every_band_and_names_the_gaps(hospital: Any) -> None:
    hospital.admit("P1")
    hospital.film("P1", 1)
    hospital.film("P1", 9, finding="none")
    coverage = build_cohort(hospital.tables(), load_rules()).coverage
    ages = coverage.filter((pl.col("parameter") == "age") & (pl.col("label") == "normal"))
    assert ages["value"].to_list()[-2:] == ["65 to <80", "80 and over"]
    assert dict(ages.select("value", "films").iter_rows())["45 to <65"] == 1
    assert "no normal film where age is 0 to <5" in coverage_gaps(coverage)


def test_a_corrected_code_changes_the_label(hospital: Any) -> None:
    hospital.admit("P1", codes=["I50.0"])
    hospital.film("P1", 1)
    before = build_cohort(hospital.tables(), load_rules()).labels["label"].item()
    hospital.rows["admissions"][0]["codes"] = ["J18.9"]
    assert (before, build_cohort(hospital.tables(), load_rules()).labels["label"].item()) == ("normal", "pneumonia")
