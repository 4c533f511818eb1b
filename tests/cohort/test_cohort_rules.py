"""Rules of a cohort: read, refused, told in sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carina.cohort import Rules, load_rules
from carina.errors import CohortError


def test_defaults_are_those_of_the_method() -> None:
    rules = load_rules()
    assert (rules.episodes.merge_hours, rules.gold.equivocal, rules.gold.flanking) == (24, "pneumonia", "immediate")
    assert (rules.codes.position, rules.codes.covid19) == ("any", "with_pneumonia_code")
    window = rules.aetiology
    assert (window.sars_cov_2_days_before_admission, window.sars_cov_2_hours_after_film) == (14, 72)
    assert (window.hours_before_film, window.hours_after_film) == (72, 72)
    assert rules.films.unknown_position == "matches_nothing"


def test_what_a_file_leaves_out_stays(rules_with: Callable[[str], Rules]) -> None:
    rules = rules_with("[episodes]\nmerge_hours = 48")
    assert (rules.episodes.merge_hours, rules.episodes.film_hours_before) == (48, 24)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[episodes]\nmerge_hour = 48", r"'episodes.merge_hour', known in \[episodes\] are merge_hours"),
        ("[episode]\nmerge_hours = 48", "has 'episode', known are eligibility, episodes"),
        ("episodes = 3", "section 'episodes' in .* must be a table"),
        ("[gold]\nequivocal = 'maybe'", "rule 'gold.equivocal'"),
        ("[episodes]\nmerge_hours = -1", "rule 'episodes.merge_hours'"),
        ("[split]\ntrain = 0.9", "train, tune, calibrate and test must sum to 1"),
        ("[covariates]\nage_bands = [5, 5]", "age_bands must ascend"),
        ("[eligibility]\nrequest_words = []\nreason_words = []", "at least one of request_words"),
        ("merge_hours", "must be readable TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence(rules_with: Callable[[str], Rules], text: str, said: str) -> None:
    with pytest.raises(CohortError, match=said):
        rules_with(text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="must be readable TOML"):
        load_rules(tmp_path / "none.toml")


def test_every_rule_but_the_word_lists_changes_a_sentence(rules_with: Callable[[str], Rules]) -> None:
    """A policy describes itself: another value, another sentence."""
    other = {
        "eligibility": ['modalities = ["XA"]', "lateral_views = []", 'request_words = ["x"]', 'reason_words = ["x"]'],
        "episodes": [f"{name} = 7" for name in ("merge_hours", "film_hours_before", "film_hours_after")],
        "codes": ['position = "principal"', 'covid19 = "alone"', 'missing = "leave_out"'],
        "gold": ['equivocal = "none"', 'flanking = "surrounded"', 'refused_films = "count"'],
        "films": [
            'keep = "all"',
            'unknown_position = "matches_all"',
            'mobile = "unknown"',
            "view_position = false",
            'erect_words = ["x"]',
        ],
        "aetiology": [
            "sars_cov_2_days_before_admission = 3",
            "hours_before_film = 3",
            "start_date = 2020-02-28",
            'dates = "true"',
            'tests = ["pcr"]',
            'sterile_sites = ["blood"]',
            'upper_airway_pcr_shows = ["Mycoplasma pneumoniae"]',
            'contaminants = ["x"]',
        ],
        "covariates": ["bmi_days = 3", "age_bands = [0, 50]", "bmi_bands = [0.0, 25.0]"],
        "split": ['mode = "paper"', "train = 0.6\ntest = 0.2", "near_duplicate_bits = 8"],
    }
    default = load_rules()
    for section, lines in other.items():
        for line in lines:
            changed = rules_with(f"[{section}]\n{line}")
            assert changed.sentences() != default.sentences(), line
            assert changed.sha256 != default.sha256, line


def test_every_sentence_names_its_rule_of_the_method() -> None:
    assert all(" (M" in sentence and sentence.endswith(").") for sentence in load_rules().sentences())
