"""Small hospitals written by hand, and rules over the defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hospital_rows import Hospital


@pytest.fixture
def hospital() -> Hospital:
    """An empty hospital."""
    return Hospital()


@pytest.fixture
def rules_with(tmp_path: Any) -> Callable[[str], Any]:
    """Rules from TOML text over the defaults."""
    from carina.cohort import load_rules  # noqa: PLC0415 - needed here alone

    def made(text: str) -> Any:
        path = tmp_path / "rules.toml"
        path.write_text(text, "utf-8")
        return load_rules(path)

    return made
