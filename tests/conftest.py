"""Shared fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

_FILMS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def films_folder() -> Path:
    """Folder of the real films (`cxr`, `dicom`); a test that needs it skips where it is absent."""
    if not (_FILMS / "cxr" / "images.csv").is_file():
        pytest.skip("the real films are absent: no ../shared/data/cxr/images.csv beside the checkout")
    return _FILMS
