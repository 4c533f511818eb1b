"""Eligibility, episodes, first and last film, exclusions (M8, M9, M10) on hand-made cases and real films."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from carina.cohort import EXCLUSIONS, Cohort, CohortTables, Rules, build_cohort, load_rules
from carina.errors import CohortError


def _column(cohort: Cohort, film: str, column: str) -> Any:
    return cohort.labels.filter(pl.col("film_id") == film)[column].item()


@pytest.mark.parametrize(("gap", "episodes"), [(0, 1), (23.99, 1), (24, 2), (100, 2)])
def test_events_under_a_day_apart_are_one_episode(hospital: Any, gap: float, episodes: int) -> None:
    hospital.admit("P1", 0, 48)
    hospital.admit("P1", 48 + gap, 240 + gap)
    one, other = hospital.film("P1", 1), hospital.film("P1", 50 + gap)
    cohort = build_cohort(hospital.tables(), load_rules())
    assert len({_column(cohort, one, "episode_id"), _column(cohort, other, "episode_id")}) == episodes


def test_an_event_within_another_belongs_to_its_episode(hospital: Any) -> None:
    first = hospital.admit("P1", 0, 400)
    hospital.admit("P1", 10, 20)
    hospital.admit("P1", 410, 500)  # 390 h after the inner event's end, 10 h after the outer one's
    film = hospital.film("P1", 450)
    assert _column(build_cohort(hospital.tables(), load_rules()), film, "episode_id") == first


def test_an_event_without_discharge_ends_with_the_next_or_after_thirty_days(hospital: Any) -> None:
    hospital.admit("P1", 0, None)
    inside, outside = hospital.film("P1", 29 * 24), hospital.film("P1", 31 * 24)
    cohort = build_cohort(hospital.tables(), load_rules())
    assert (_column(cohort, inside, "exclusion"), _column(cohort, outside, "exclusion")) == (None, "not_admitted")


@pytest.mark.parametrize(
    ("hours", "exclusion"), [(-25, "not_admitted"), (-23, None), (0, None), (240, None), (240.5, "not_admitted")]
)
def test_films_on_the_way_in_belong_to_the_episode(hospital: Any, hours: float, exclusion: str | None) -> None:
    hospital.admit("P1", 0, 240)
    film = hospital.film("P1", hours)
    assert _column(build_cohort(hospital.tables(), load_rules()), film, "exclusion") == exclusion


def test_each_film_has_the_first_reason_that_applies(hospital: Any) -> None:
    hospital.admit("P1")
    hospital.admit("P2", reason="hip fracture")
    hospital.admit("P3", reason="hip fracture")
    films = {
        hospital.film("P1", 1, modality="CT", accepted=False): "not_chest_radiograph",
        hospital.film("P1", 1, view_position="LL"): "lateral_view",
        hospital.film("P1", 1, accepted=False, finding=None): "refused",
        hospital.film("P1", None): "no_time",
        hospital.film("P9", 1): "no_records",
        hospital.film("P1", 999): "not_admitted",
        hospital.film("P2", 1, request="line position"): "not_suspected",
        hospital.film("P3", 1, request="pre-operative"): "before_suspicion",
        hospital.film("P3", 5, request="fever, ?pneumonia"): None,
        hospital.film("P1", 2, finding="no read"): "no_read",
        hospital.film("P1", 2, finding=None): "no_read",
        hospital.film("P1", 3): None,
        hospital.film("P1", 4, sop_instance_uid="2.25.11"): "repeated_film",
        hospital.film("P1", 5): "not_first_or_last",
        hospital.film("P1", 6): None,
    }
    cohort = build_cohort(hospital.tables(), load_rules())
    assert dict(cohort.labels.select("film_id", "exclusion").iter_rows()) == films


def test_the_flow_counts_every_film_once(hospital: Any) -> None:
    test_each_film_has_the_first_reason_that_applies(hospital)
    flow = build_cohort(hospital.tables(), load_rules()).flow
    left_out = flow.filter(pl.col("kind") == "exclusion")
    assert left_out["code"].to_list() == [reason.code for reason in EXCLUSIONS]
    stages = dict(flow.filter(pl.col("kind") == "stage").select("code", "films").iter_rows())
    assert stages["archive"] == 15
    assert stages["archive"] - left_out["films"].sum() == stages["cohort"] == 3
    assert flow.filter(pl.col("kind") == "class")["films"].sum() == 3


def test_follow_up_films_of_a_suspected_episode_are_eligible(hospital: Any) -> None:
    hospital.admit("P1", reason=None)
    hospital.film("P1", 1, request="?consolidation")
    last = hospital.film("P1", 90, finding="none", request="NG tube position")
    assert _column(build_cohort(hospital.tables(), load_rules()), last, "exclusion") is None


@pytest.mark.parametrize(
    ("positions", "roles"),
    [
        ("E", "F"),
        ("EE", "FL"),
        ("ES", "F-"),
        ("EES", "FL-"),
        ("ESE", "F-L"),
        ("SES", "F-L"),
        ("?E", "F-"),
        ("E?", "F-"),
        ("??", "F-"),
        ("E?E", "F-L"),
        ("SSEE", "FL--"),
    ],
)
def test_last_film_is_the_latest_in_the_position_of_the_first(hospital: Any, positions: str, roles: str) -> None:
    hospital.admit("P1")
    names = {"E": "erect", "S": "supine", "?": None}
    for number, sign in enumerate(positions):
        hospital.film("P1", 10 * number, position=names[sign])
    cohort = build_cohort(hospital.tables(), load_rules())
    found = {"first": "F", "last": "L", None: "-"}
    assert "".join(found[role] for role in cohort.labels["first_or_last"].to_list()) == roles
    assert cohort.film_table.height == len(roles.replace("-", ""))
    assert cohort.film_table["pair_id"].null_count() == (0 if "L" in roles else 1)


def test_unknown_positions_match_when_the_rules_say_so(hospital: Any, rules_with: Callable[[str], Rules]) -> None:
    hospital.admit("P1")
    for hours in (1, 2):
        hospital.film("P1", hours, position=None)
    rules = rules_with('[films]\nunknown_position = "matches_unknown"')
    assert build_cohort(hospital.tables(), rules).film_table["first_or_last"].to_list() == ["first", "last"]


@pytest.mark.parametrize(
    ("film", "position", "source"),
    [
        ({"position": "supine", "request": "erect film"}, "supine", "records"),
        ({"request": "CXR sitting, ?pneumonia", "view_position": "AP"}, "erect", "request"),
        ({"series_description": "Chest AP SUPINE", "view_position": "PA"}, "supine", "series"),
        ({"protocol_name": "CHEST PA ERECT"}, "erect", "series"),
        ({"mobile": True, "view_position": "PA"}, "supine", "mobile"),
        ({"series_description": "MOBILE CHEST"}, "supine", "mobile"),
        ({"view_position": "PA"}, "erect", "view"),
        ({"view_position": "AP"}, "supine", "view"),
        ({"request": "erect or supine"}, None, None),
        ({}, None, None),
    ],
)
def test_position_comes_from_the_best_source(
    hospital: Any, film: dict[str, Any], position: str | None, source: str | None
) -> None:
    hospital.admit("P1")
    hospital.film("P1", 1, **{"position": None, **film})
    row = build_cohort(hospital.tables(), load_rules()).film_table.to_dicts()[0]
    assert (row["position"], row["position_source"]) == (position, source)
    assert row["position_weak"] == (source in {"mobile", "view"})


def test_a_pair_whose_gold_differs_is_matched_and_stays_in_one_split(hospital: Any) -> None:
    for number in range(30):
        hospital.admit(f"P{number}")
        hospital.film(f"P{number}", 1)
        hospital.film(f"P{number}", 99, finding="none")
    table = build_cohort(hospital.tables(), load_rules()).film_table
    assert table["matched_pair"].all()
    assert table.group_by("pair_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 30
    assert set(table["split"].to_list()) == {"train", "tune", "calibrate", "test"}


def test_near_duplicate_films_keep_their_patients_together(hospital: Any) -> None:
    for number in range(40):
        hospital.admit(f"P{number}")
        picture = f"{number // 2:02x}" * 32 if number % 4 < 2 else f"{number:064x}"[::-1]
        hospital.film(f"P{number}", 1, perceptual_hash=picture)
    cohort = build_cohort(hospital.tables(), load_rules())
    splits = dict(cohort.film_table.select("patient_id", "split").iter_rows())
    assert all(splits[f"P{number}"] == splits[f"P{number + 1}"] for number in range(0, 40, 4))
    assert cohort.disjoint["cross_split_pairs"] == 0


def test_the_split_is_the_seed_s(hospital: Any) -> None:
    for number in range(60):
        hospital.admit(f"P{number}")
        hospital.film(f"P{number}", 1)
    tables = hospital.tables()
    splits = [build_cohort(tables, load_rules(), seed=seed).film_table["split"].to_list() for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_paper_s_sizes_are_filled_by_whole_patients(hospital: Any, rules_with: Callable[[str], Rules]) -> None:
    for number in range(450):
        hospital.admit(f"P{number}", codes=["I10"])
        hospital.film(f"P{number}", 1, finding="none")
    table = build_cohort(hospital.tables(), rules_with('[split]\nmode = "paper"')).film_table
    counts = dict(table.group_by("split").len().iter_rows())
    assert counts == {"train": 400, "tune": 9, "calibrate": 8, "test": 33}  # M25: 400 normal, 17 of tune halved


def test_hannover_s_films_give_first_and_last_in_one_position(films_folder: Any) -> None:
    """Real films of 40 patients with day offsets: M10 against a search by hand, ViewPosition as the only source."""
    films = pl.read_csv(films_folder / "cxr" / "images.csv", infer_schema=False).filter(pl.col("source") == "hannover")
    timed = films.filter(pl.col("offset_days").is_not_null()).with_row_index("number")
    start = pl.datetime(2020, 3, 1)
    offset = pl.col("offset_days").cast(pl.Float64)
    table = timed.select(
        pl.col("image_id").alias("film_id"),
        "path",
        "patient_id",
        pl.col("image_id").alias("sop_instance_uid"),
        pl.col("image_id").alias("accession_number"),
        (start + pl.duration(hours=offset * 24)).cast(pl.Datetime("us")).alias("acquired_at"),
        pl.col("number").cast(pl.Int64).alias("series_number"),
        pl.col("view").alias("view_position"),
        pl.lit("CR").alias("modality"),
        pl.lit(value=True).alias("accepted"),
    )
    stays = table.group_by("patient_id", maintain_order=True).agg(
        pl.col("acquired_at").min().alias("admitted_at"), pl.col("acquired_at").max().alias("discharged_at")
    )
    stays = stays.with_columns(
        pl.col("patient_id").alias("event_id"),
        pl.lit(["J12.8", "U07.1"]).alias("codes"),
        pl.lit("covid").alias("reason"),
    )
    reads = table.select("patient_id", "accession_number", pl.lit("pneumonia").alias("finding"))
    tables = CohortTables.empty(films=table, admissions=stays, reads=reads)
    cohort = build_cohort(tables, load_rules())

    expected = {}
    for _, group in timed.group_by("patient_id"):
        order = sorted(group.to_dicts(), key=lambda row: (float(row["offset_days"]), row["number"]))
        first = order[0]
        expected[first["image_id"]] = "first"
        same = [row for row in order[1:] if first["view"] is not None and row["view"] == first["view"]]
        if same:
            expected[same[-1]["image_id"]] = "last"
    found = cohort.labels.filter(pl.col("first_or_last").is_not_null()).select("film_id", "first_or_last")
    assert len(timed["patient_id"].unique()) >= 30
    assert "last" in expected.values()
    assert dict(found.iter_rows()) == expected


def test_missing_columns_are_named(hospital: Any) -> None:
    tables = hospital.tables()
    with pytest.raises(CohortError, match=r"the table of reads must have the columns .*; it lacks finding; load"):
        build_cohort(CohortTables(**{**tables.__dict__, "reads": tables.reads.drop("finding")}), load_rules())


def test_a_column_of_another_kind_is_named(hospital: Any) -> None:
    tables = hospital.tables()
    films = tables.films.with_columns(pl.lit("yesterday").alias("acquired_at"))
    with pytest.raises(CohortError, match=r"'acquired_at' of the table of films must be Datetime.*; it is String"):
        build_cohort(CohortTables(**{**tables.__dict__, "films": films}), load_rules())


@pytest.mark.parametrize("kept", ["films", "admissions", "reads", "microbiology", "vitals"])
def test_tables_may_be_empty(hospital: Any, kept: str) -> None:
    hospital.admit("P1")
    hospital.film("P1")
    hospital.specimen("P1", 1, "SARS-CoV-2")
    hospital.measure("P1", 1, bmi=25.0)
    tables = hospital.tables()
    cohort = build_cohort(CohortTables.empty(**{kept: getattr(tables, kept)}), load_rules())
    assert (cohort.film_table.height, cohort.labels.height) == (0, int(kept == "films"))


def test_a_later_report_holds(hospital: Any) -> None:
    hospital.admit("P1")
    film = hospital.film("P1", 1, finding="pneumonia", read_at=None)
    read = hospital.rows["reads"][0]
    hospital.rows["reads"] = [
        {**read, "finding": "none", "read_at": hospital.rows["films"][0]["acquired_at"].replace(day=3)},
        {**read, "finding": "pneumonia", "read_at": hospital.rows["films"][0]["acquired_at"]},
    ]
    cohort = build_cohort(hospital.tables(), load_rules())
    assert _column(cohort, film, "read") == "none"
    assert cohort.counts["reads_given_twice"] == 1


def test_a_read_that_names_a_film_holds_for_it_alone(hospital: Any) -> None:
    hospital.admit("P1", codes=["J18.9"])
    one = hospital.film("P1", 1, finding="none", accession_number="A")
    other = hospital.film("P1", 2, finding="no read", accession_number="A")
    hospital.rows["reads"].append(
        {"patient_id": "P1", "accession_number": "A", "sop_instance_uid": "2.25.1", "finding": "pneumonia"}
    )
    cohort = build_cohort(hospital.tables(), load_rules())
    assert (_column(cohort, one, "read"), _column(cohort, other, "read")) == ("none", "pneumonia")


def test_another_patient_s_read_of_the_same_number_is_not_taken(hospital: Any) -> None:
    hospital.admit("P1")
    film = hospital.film("P1", 1, finding="no read", accession_number="A")
    hospital.rows["reads"].append({"patient_id": "P2", "accession_number": "A", "finding": "pneumonia"})
    assert _column(build_cohort(hospital.tables(), load_rules()), film, "exclusion") == "no_read"


def test_the_read_of_a_refused_film_counts_for_the_others(hospital: Any) -> None:
    hospital.admit("P1")
    hospital.film("P1", 1, accepted=False, refusal="this does not look like a frontal chest film")
    after = hospital.film("P1", 5, finding="none")
    # M13 (a): another film of the episode was read as pneumonia, and this one is not flanked.
    assert _column(build_cohort(hospital.tables(), load_rules()), after, "gold") == "none"


@pytest.mark.parametrize(
    "refused",
    [
        {"accession_number": "A1"},  # a copy or a further view of the film at hand, and the read is of both
        {"refusal": "not a chest film: the header's BodyPartExamined is 'HAND'"},
        {"view_position": "LL"},
    ],
)
def test_it_does_not_count_where_it_says_nothing_of_its_own(hospital: Any, refused: dict[str, str]) -> None:
    hospital.admit("P1")
    hospital.film("P1", 1, finding="pneumonia", accepted=False, **refused)
    after = hospital.film("P1", 5, finding="none", accession_number="A1")
    hospital.rows["reads"] = [row for row in hospital.rows["reads"] if row["accession_number"] != "A1"]
    hospital.rows["reads"].append({"patient_id": "P1", "accession_number": "A1", "finding": "none"})
    # The only film whose read counts: the codes decide.
    assert _column(build_cohort(hospital.tables(), load_rules()), after, "gold") == "pneumonia"
