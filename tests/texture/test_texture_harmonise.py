"""ComBat against neuroCombat 0.2.12, and what it must refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from carina.errors import TextureError
from carina.texture.harmonise import Combat, fit_combat

ORACLE = json.loads((Path(__file__).parent / "combat.json").read_text())
VALUES, SOURCES = np.array(ORACLE["values"]), ORACLE["sources"]
ILL = np.array(ORACLE["ill"], float)


@pytest.mark.parametrize(
    ("case", "covariates", "shrink"), [("plain", None, True), ("covariate", ILL, True), ("alone", None, False)]
)
def test_equal_to_neurocombat(case: str, covariates: np.ndarray | None, shrink: bool) -> None:  # noqa: FBT001 - parametrised
    found = fit_combat(VALUES, SOURCES, covariates, shrink=shrink).apply(VALUES, SOURCES, covariates)
    assert found == pytest.approx(np.array(ORACLE["found"][case]), rel=1e-7, abs=1e-7)


def test_other_films_do_not_change_what_was_fitted_on_training_films() -> None:
    fitted = fit_combat(VALUES[::2], SOURCES[::2])
    others = VALUES[1::2]
    alone = fitted.apply(others[:1], SOURCES[1:2])
    assert fitted.apply(others, SOURCES[1::2])[0] == pytest.approx(alone[0])


def test_a_source_not_seen_in_training_is_refused() -> None:
    with pytest.raises(TextureError, match="sources it was fitted on"):
        fit_combat(VALUES, SOURCES).apply(VALUES[:1], ["elsewhere"])


def test_covariates_that_are_the_source_are_refused() -> None:
    with pytest.raises(TextureError, match="vary within the sources"):
        fit_combat(VALUES, SOURCES, np.array([name == "a" for name in SOURCES], float))


def test_one_source_is_refused() -> None:
    with pytest.raises(TextureError, match="two sources"):
        fit_combat(VALUES, ["a"] * len(VALUES))


def test_a_feature_constant_in_a_source_stays_as_it_is() -> None:
    values = VALUES.copy()
    values[[name == "a" for name in SOURCES], 3] = 1.0
    fitted = fit_combat(values, SOURCES)
    assert not fitted.adjusted[3]
    assert (fitted.apply(values, SOURCES)[:, 3] == values[:, 3]).all()


def test_a_missing_value_stays_missing_and_spares_the_other_features() -> None:
    values = VALUES.copy()
    values[0, 0] = np.nan
    found = fit_combat(values, SOURCES, shrink=False).apply(values, SOURCES)
    assert np.isnan(found[0, 0])
    assert found[:, 1:] == pytest.approx(np.array(ORACLE["found"]["alone"])[:, 1:], rel=1e-7, abs=1e-7)


def test_a_fit_survives_json() -> None:
    fitted = fit_combat(VALUES, SOURCES, ILL)
    again = Combat.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert (again.apply(VALUES, SOURCES, ILL) == fitted.apply(VALUES, SOURCES, ILL)).all()
