"""Rules of a cohort: read from TOML over the packaged defaults, each telling itself in a sentence (M8-M18)."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from carina.cohort.sections import (
    AetiologyRules,
    CodeRules,
    CovariateRules,
    EligibilityRules,
    EpisodeRules,
    FilmRules,
    GoldRules,
    Section,
    SplitRules,
)
from carina.errors import CohortError

__all__ = ["Rules", "load_rules"]


class Rules(Section):
    """Every rule of a cohort, by section; see the packaged ``rules.toml`` for the defaults."""

    eligibility: EligibilityRules
    episodes: EpisodeRules
    codes: CodeRules
    gold: GoldRules
    films: FilmRules
    aetiology: AetiologyRules
    covariates: CovariateRules
    split: SplitRules

    def sentences(self) -> tuple[str, ...]:
        """Every rule in a sentence, in the order they are applied.

        Examples
        --------
        >>> load_rules().sentences()[2]
        'Admission events of one patient that are less than 24 h apart are one episode (M9).'
        """
        return tuple(sentence for name in type(self).model_fields for sentence in getattr(self, name).sentences())

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json")

    @property
    def sha256(self) -> str:
        """Hash of the rules as canonical JSON, lower-case hex: equal rules have equal hashes however written."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def load_rules(path: Path | None = None) -> Rules:
    """Read rules; what the file leaves out stays as in the packaged ``rules.toml``.

    Parameters
    ----------
    path : Path or None
        TOML file with any part of the rules; without one, the defaults.

    Returns
    -------
    Rules

    Raises
    ------
    CohortError
        If the file cannot be read, is not TOML, or holds an unknown or wrong rule.

    Examples
    --------
    >>> load_rules().episodes.merge_hours
    24.0
    """
    packaged = tomllib.loads(files("carina.cohort").joinpath("rules.toml").read_text(encoding="utf-8"))
    if path is None:
        return Rules.model_validate(packaged)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CohortError(f"a rules file must be readable TOML; {str(path)!r} is not: {error}") from error
    _refuse_unknown(values, packaged, path)
    merged = {
        name: {**section, **values.get(name, {})} if isinstance(section, dict) else section
        for name, section in packaged.items()
    }
    try:
        return Rules.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the rules"
        raise CohortError(
            f"rule {place!r} in {str(path)!r} is wrong: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def _refuse_unknown(values: Mapping[str, Any], known: Mapping[str, Any], path: Path) -> None:
    """Say which key no rule has: a misspelt rule that is silently ignored would change who is in the cohort."""
    for section, content in values.items():
        if section not in known:
            raise CohortError(
                f"a rules file must hold only known sections; {str(path)!r} has {section!r}, known are "
                f"{', '.join(known)}"
            )
        if not isinstance(content, dict):
            raise CohortError(f"section {section!r} in {str(path)!r} must be a table of rules; found {content!r}")
        for key in content:
            if key not in known[section]:
                raise CohortError(
                    f"a rules file must hold only known rules; {str(path)!r} has '{section}.{key}', known in "
                    f"[{section}] are {', '.join(known[section])}"
                )
