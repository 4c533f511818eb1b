"""The quality gate, fitted on real films alone, takes phantoms for frontal chest films that stand upright."""

from __future__ import annotations

import pytest

from carina.imaging.phantom import LABELS, phantom_film
from carina.inference.gate import QualityGate
from carina.types import Film, FilmHeader


@pytest.mark.parametrize("label", LABELS)
def test_phantoms_pass_uncorrected(label: str) -> None:
    gate = QualityGate.load()
    for seed in range(4):
        film = Film(phantom_film(seed, label=label, size=320).pixels, FilmHeader("png"), "0" * 64)
        _, quality = gate.check(film)
        assert quality.reasons == ()
        assert quality.corrected == ()
