from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from carina.errors import TableError
from carina.sampling import (
    STUDY_SIZES,
    FilmTable,
    class_weights,
    draw_class_sizes,
    matched_pairs,
    paper_draw,
    parameters_per_film_warning,
)
from carina.tasks import default_task

_TASK = default_task()


def test_weights_of_single_classes_are_scikit_learn_s_balanced_ones() -> None:
    labels = ["normal"] * 50 + ["bacterial"] * 30 + ["viral"] * 15 + ["covid19"] * 5
    expected = compute_class_weight("balanced", classes=np.array(_TASK.classes), y=np.array(labels))
    assert class_weights(labels, _TASK) == pytest.approx(expected, rel=1e-6)


def test_a_label_set_counts_by_the_shares_of_its_classes() -> None:
    # Four films of {bacterial, viral} beside 3 bacterial and 1 viral count as 3 and 1: 6, 2 and 4 normal films.
    labels = ["bacterial"] * 3 + ["viral"] + ["pneumonia_non_covid19"] * 4 + ["normal"] * 4
    assert class_weights(labels, _TASK) == pytest.approx([12 / (3 * 4), 12 / (3 * 6), 12 / (3 * 2), 0.0])


def test_a_label_set_alone_counts_equally() -> None:
    assert class_weights(["pneumonia_non_covid19"] * 4, _TASK) == pytest.approx([0, 1, 1, 0])


@given(
    st.lists(st.sampled_from("ab"), min_size=1, max_size=60),
    st.integers(0, 90),
    st.integers(0, 90),
    st.integers(0, 50),
)
def test_a_draw_has_the_sizes_asked_for_and_repeats_only_what_it_must(
    labels: list[str], some: int, others: int, seed: int
) -> None:
    sizes = {"a": some, "b": others}
    if any(sizes[name] and name not in labels for name in sizes):
        with pytest.raises(TableError, match="must have a film"):
            draw_class_sizes(labels, sizes, seed=seed)
        return
    draw = draw_class_sizes(labels, sizes, seed=seed)
    drawn = Counter(labels[row] for row in draw.rows)
    assert drawn == Counter({name: size for name, size in sizes.items() if size})
    times = Counter(draw.rows.tolist())
    for name, size in sizes.items():
        films = labels.count(name)
        assert max((count for row, count in times.items() if labels[row] == name), default=0) <= -(
            -size // max(films, 1)
        )
        assert draw.repeated.get(name, 0) == max(size - films, 0)


def test_the_paper_s_sizes_come_out_of_a_small_cohort() -> None:
    labels = ["normal"] * 500 + ["bacterial"] * 450 + ["viral"] * 400 + ["covid19"] * 90 + ["pneumonia"] * 70
    rows = paper_draw(labels, _TASK, seed=3)
    assert Counter(labels[row] for row in rows) == STUDY_SIZES["train"]
    assert len(set(rows)) == 400 + 400 + 400 + 90
    assert draw_class_sizes(labels, STUDY_SIZES["train"], seed=3).repeated == {"covid19": 110}


def test_a_draw_is_repeatable() -> None:
    labels = ["a"] * 30 + ["b"] * 30
    one, other, third = (draw_class_sizes(labels, {"a": 9, "b": 9}, seed=seed).rows for seed in (5, 5, 6))
    assert one.tolist() == other.tolist() != third.tolist()


def test_pairs_are_drawn_together() -> None:
    labels = ["viral"] * 20 + ["normal"] * 20
    pairs = np.array([[row, 39 - row] for row in range(8)])
    draw = draw_class_sizes(labels, {"viral": 6, "normal": 10}, seed=2, pairs=pairs)
    rows = draw.rows.tolist()
    assert draw.pairs == 6
    for place in range(0, 12, 2):
        assert rows[place] + rows[place + 1] == 39
    assert len(set(rows)) == 16


def _episodes(rows: list[tuple[str | None, str, str | None]]) -> FilmTable:
    names = [f"f{number}" for number in range(len(rows))]
    frame = pl.DataFrame(
        {
            "image_id": names,
            "label": [row[1] for row in rows],
            "episode_id": [row[0] for row in rows],
            "film_order": [row[2] for row in rows],
        },
        schema_overrides={"episode_id": pl.String, "film_order": pl.String},
    )
    return FilmTable(frame, Path(), "")


def test_a_matched_pair_is_the_first_and_last_film_of_an_episode_that_differ() -> None:
    table = _episodes(
        [
            ("e1", "normal", "3"),
            ("e1", "viral", "1"),
            ("e1", "viral", "2"),
            ("e2", "viral", "1"),
            ("e2", "pneumonia", "2"),  # does not exclude viral
            ("e3", "normal", "1"),
            (None, "viral", "1"),
            (None, "normal", "2"),
        ]
    )
    assert matched_pairs(table, _TASK).tolist() == [[1, 0]]


def test_a_table_without_episodes_has_no_pairs() -> None:
    table = _episodes([("e", "normal", "1")])
    assert matched_pairs(table.with_frame(table.frame.drop("episode_id")), _TASK).shape == (0, 2)


def test_the_paper_s_rule_is_said_to_fail_for_a_network() -> None:
    assert "cannot hold" in parameters_per_film_warning(3_400_000, 1_400)
    assert "holds" in parameters_per_film_warning(4, 40)
