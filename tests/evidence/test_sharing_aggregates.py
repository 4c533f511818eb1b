"""Suppression: no cell under ten is shown, nor can it be computed from what is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.evidence.sharing_aggregates import share_numbers
from carina.tasks import default_task

TASK = default_task()


def _numbers(cell: str, counts: Sequence[int], contrast: str = "pneumonia", **changes: object) -> list[dict[str, Any]]:
    """The proportions of one two-by-two table, TP, FP, FN, TN."""
    tp, fp, fn, tn = counts
    parts = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "accuracy": (tp + tn, tp + fp + fn + tn),
    }
    return [
        {
            "id": f"{contrast}.{measure}.{cell}",
            "group": "contrast" if cell == "all" else "subgroup",
            "contrast": contrast,
            "measure": measure,
            "cell": cell,
            "denominator": "among_decided",
            "films_used": "first_films",
            "value": events / of if of else None,
            "low": 0.1,
            "high": 0.9,
            "events": events,
            "n": of,
            **changes,
        }
        for measure, (events, of) in parts.items()
    ]


def _shown(found: list[dict[str, Any]], cell: str) -> list[dict[str, Any]]:
    return [number for number in found if number["cell"] == cell and number["n"] is not None]


def test_one_small_cell_takes_all_numbers_of_its_table_along() -> None:
    found = share_numbers(_numbers("all", (90, 40, 9, 60)), TASK).numbers
    assert all(number["note"] == "suppressed" for number in found)
    assert all(number[name] is None for number in found for name in ("value", "low", "high", "events", "n"))


def test_an_auc_stays_where_both_sides_are_ten_or_more() -> None:
    def auc(n: int) -> dict[str, Any]:
        return {**_numbers("all", (90, 40, 30, 60))[0], "measure": "auc", "value": 0.9, "events": None, "n": n}

    kept = share_numbers([*_numbers("all", (90, 40, 9, 60)), auc(199)], TASK).numbers
    assert [number["measure"] for number in kept if number["n"] is not None] == ["auc"]
    gone = share_numbers([*_numbers("all", (5, 40, 3, 60)), auc(108)], TASK).numbers
    assert all(number["value"] is None for number in gone)
    alone = share_numbers([auc(199)], TASK).numbers
    assert alone[0]["note"] == "suppressed"  # its sides are not known


def test_tables_of_ten_or_more_in_each_cell_are_shown() -> None:
    found = share_numbers(_numbers("all", (90, 10, 10, 60)), TASK)
    assert found.held_back == 0
    assert [number["n"] for number in found.numbers] == [100, 70, 100, 70, 170]


def test_a_lone_suppressed_group_is_hidden_behind_a_second_one() -> None:
    women, men, others = (60, 30, 30, 60), (40, 20, 20, 40), (3, 2, 1, 4)
    total = tuple(np.sum([women, men, others], axis=0).tolist())
    numbers = [
        *_numbers("all", total),
        *_numbers("sex=F", women),
        *_numbers("sex=M", men),
        *_numbers("sex=X", others),
    ]
    found = share_numbers(numbers, TASK).numbers
    assert _shown(found, "sex=X") == []
    assert _shown(found, "sex=M") == []  # the smaller of the others; else total less F less M gives X
    assert len(_shown(found, "sex=F")) == 5
    assert len(_shown(found, "all")) == 5


def test_a_group_hidden_for_its_size_in_one_contrast_is_hidden_in_all() -> None:
    sizes = {"sex=F": (60, 30, 30, 60), "sex=M": (40, 20, 20, 40), "sex=X": (3, 2, 1, 4)}
    other = {"sex=F": (30, 60, 60, 30), "sex=M": (60, 5, 20, 35), "sex=X": (3, 2, 1, 4)}
    numbers = []
    for contrast, groups in (("pneumonia", sizes), ("covid19_given_pneumonia", other)):
        total = tuple(np.sum(list(groups.values()), axis=0).tolist())
        for cell, counts in {"all": total, **groups}.items():
            made = _numbers(cell, counts, contrast, denominator="all_films")
            numbers += [*made, {**made[0], "measure": "auc", "events": None, "n": sum(counts)}]
    found = share_numbers(numbers, TASK).numbers
    # M is hidden where it stands guard for X; were F hidden there in the other contrast, X would follow from both.
    assert {number["cell"] for number in found if number["n"] is not None} == {"all", "sex=F"}


def test_people_without_a_group_are_not_given_away_either() -> None:
    women, men = (60, 30, 30, 60), (40, 20, 20, 40)
    total = (100, 50, 50, 103)  # three people of unknown sex
    numbers = [*_numbers("all", total), *_numbers("sex=F", women), *_numbers("sex=M", men)]
    found = share_numbers(numbers, TASK).numbers
    assert _shown(found, "sex=M") == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 60)] * 4), min_size=1, max_size=5), st.tuples(*[st.integers(0, 15)] * 4))
def test_no_small_cell_follows_from_totals_and_groups(
    groups: list[tuple[int, int, int, int]], unknown: tuple[int, int, int, int]
) -> None:
    total = tuple(np.sum([*groups, unknown], axis=0).tolist())
    numbers = _numbers("all", total)
    for place, counts in enumerate(groups):
        numbers += _numbers(f"age={place}", counts)
    found = share_numbers(numbers, TASK).numbers
    shown = [place for place in range(len(groups)) if _shown(found, f"age={place}")]
    for place in shown:
        assert min(groups[place]) >= 10
    if _shown(found, "all"):
        assert min(total) >= 10
        hidden = [counts for place, counts in enumerate(groups) if place not in shown]
        # What an attacker gets by subtraction: the people not shown, cell by cell.
        rest = np.sum([unknown, *hidden], axis=0)
        if hidden and shown:
            assert rest.min() >= 10 or len(shown) == 0
        elif shown:
            assert not ((rest > 0) & (rest < 10)).any()
    else:
        assert shown == []


def test_the_size_of_a_small_class_is_not_given_away_by_two_contrasts() -> None:
    numbers = [
        *_numbers("all", (180, 30, 27, 60)),  # pneumonia: 207
        *_numbers("all", (90, 20, 20, 70), "bacterial_given_pneumonia_without_covid19"),  # 200: seven are COVID-19
    ]
    found = share_numbers(numbers, TASK).numbers
    shown = {number["contrast"] for number in found if number["n"] is not None}
    assert shown == {"pneumonia"}


def test_other_kinds_of_numbers_are_left_out() -> None:
    numbers = [
        *_numbers("all", (90, 40, 30, 60), films_used="all_films"),
        {**_numbers("all", (90, 40, 30, 60))[0], "group": "pairs"},
    ]
    found = share_numbers(numbers, TASK)
    assert found.numbers == []
    assert found.left_out == 6


def test_shares_of_classes_go_together() -> None:
    shares = [
        {"group": "proportion", "contrast": name, "measure": "gold", "cell": "all", "films_used": "first_films",
         "value": count / 200, "events": count, "n": 200}
        for name, count in {"normal": 100, "bacterial": 60, "viral": 33, "covid19": 7}.items()
    ]  # fmt: skip
    assert share_numbers(shares, TASK).held_back == 4
