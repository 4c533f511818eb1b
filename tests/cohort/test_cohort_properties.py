"""What holds for every hospital, on generated tables."""

from __future__ import annotations

from typing import Any

import polars as pl
from hospital_rows import Hospital
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carina.cohort import build_cohort, load_rules
from carina.sampling import read_film_table
from carina.tasks import default_task

patients = st.sampled_from(["P1", "P2", "P3"])
hours = st.integers(-40, 400)
stays = st.lists(
    st.tuples(
        patients, hours, st.one_of(st.none(), st.integers(0, 200)), st.sampled_from([["J18.9"], ["I10"], [], None])
    ),
    max_size=6,
)
films = st.lists(
    st.tuples(
        st.sampled_from(["P1", "P2", "P3", "P4"]),
        st.one_of(st.none(), hours),
        st.sampled_from(["pneumonia", "none", "equivocal", None, "no read"]),
        st.sampled_from(["erect", "supine", None]),
        st.booleans(),
        st.sampled_from(["?pneumonia", "line position", None]),
    ),
    max_size=14,
)


def _hospital(stays: list[Any], films: list[Any]) -> Any:
    made = Hospital()
    for patient, begin, length, codes in stays:
        made.admit(patient, begin, None if length is None else begin + length, codes=codes, reason=None)
    for number, (patient, taken, finding, position, accepted, request) in enumerate(films):
        made.film(
            patient, taken, finding=finding, position=position, accepted=accepted, request=request, series_number=number
        )
    return made


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(stays=stays, films=films, seed=st.integers(0, 99))
def test_every_film_is_accounted_for(stays: list[Any], films: list[Any], seed: int, tmp_path: Any) -> None:
    made = _hospital(stays, films)
    tables = made.tables()
    cohort = build_cohort(tables, load_rules())
    labels, table = cohort.labels, cohort.film_table
    assert sorted(labels["film_id"].to_list()) == sorted(row["film_id"] for row in made.rows["films"])
    inside = labels.filter(pl.col("exclusion").is_null())
    assert sorted(table["image_id"].to_list()) == sorted(inside["film_id"].to_list())
    assert inside.select("gold", "label", "sentence", "split").null_count().sum_horizontal().item() == 0
    assert labels.filter(pl.col("gold").is_null() != pl.col("sentence").is_null()).height == 0
    assert inside.group_by("episode_id").len()["len"].max() in (None, 1, 2)
    stages = cohort.flow.filter(pl.col("kind") == "stage")["films"].to_list()
    assert stages == sorted(stages, reverse=True)
    # The order of rows changes nothing: series numbers differ.
    mixed = {name: getattr(tables, name).collect().sample(fraction=1, shuffle=True, seed=seed) for name in made.rows}
    again = build_cohort(type(tables)(**{name: frame.lazy() for name, frame in mixed.items()}), load_rules())
    assert again.labels.sort("film_id").equals(labels.sort("film_id"))
    if table.height:
        path = tmp_path / "films.parquet"
        table.write_parquet(path)
        assert len(read_film_table(path, default_task(), strict=True)) == table.height
