"""What the shortcut audit comes to: probes, verdicts, and ``audit.json`` (M36)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from carina import __version__
from carina.errors import InputError
from carina.evidence.audit_criteria import VERSION
from carina.evidence.audit_measured import Measured
from carina.evidence.judged_films import ModelStamp

__all__ = ["Audit", "Outcome", "Probe", "Verdict"]

Outcome = Literal["passed", "failed", "not estimable"]
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """One question of the audit.

    Attributes
    ----------
    id : str
        Such as ``"lungs_black.pneumonia"``.
    name : str
        In words.
    contrast : str or None
        `None` for a question about the whole table.
    criterion : str
        What must hold for it to pass.
    describes : {"model", "data"}
    measured : dict of str to Measured
    outcome : {"passed", "failed", "not estimable"}
    sentence : str
    """

    id: str
    name: str
    contrast: str | None
    criterion: str
    describes: Literal["model", "data"]
    measured: Mapping[str, Measured]
    outcome: Outcome
    sentence: str

    @property
    def kind(self) -> str:
        """The id without its contrast."""
        return self.id.split(".", 1)[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit says of one contrast.

    Attributes
    ----------
    verdict : {"supported", "not supported", "not shown"}
    because : tuple of str
        Sentences, each with the probe's id in square brackets.
    """

    verdict: Literal["supported", "not supported", "not shown"]
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """Outcome of an audit.

    Attributes
    ----------
    model : ModelStamp or None
        `None` where only the films were audited.
    table_sha256 : str
    films, patients : int
        Audited.
    probes : tuple of Probe
    verdicts : dict of str to Verdict
        By contrast.
    films_listed : tuple of dict
        Films that stand out, with the probe and the reason: refused ones, near-duplicates.
    counts : dict of str to int
        Films given, judged, refused, without lungs, left out as trained on.
    criteria_version : str
    """

    model: ModelStamp | None
    table_sha256: str
    films: int
    patients: int
    probes: tuple[Probe, ...]
    verdicts: Mapping[str, Verdict]
    films_listed: tuple[dict[str, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    criteria_version: str = VERSION

    def verdict(self, contrast: str) -> Verdict:
        """Verdict of a contrast; *not shown* for one that the audit did not ask about."""
        missing = Verdict("not shown", (f"the audit has no contrast {contrast!r}",))
        return self.verdicts.get(contrast, missing)

    def probe(self, kind: str, contrast: str | None = None) -> Probe | None:
        """Find a probe by its kind, such as ``"lungs_black"``, and its contrast."""
        wanted = kind if contrast is None else f"{kind}.{contrast}"
        return next((one for one in self.probes if one.id == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """As ``audit.json`` holds it."""
        return {
            "schema": _SCHEMA,
            "carina": __version__,
            "model": None if self.model is None else asdict(self.model),
            "table_sha256": self.table_sha256,
            "films": self.films,
            "patients": self.patients,
            "counts": dict(self.counts),
            "criteria_version": self.criteria_version,
            "probes": [asdict(one) for one in self.probes],
            "verdicts": {
                name: {"verdict": one.verdict, "because": list(one.because)} for name, one in self.verdicts.items()
            },
            "films_listed": list(self.films_listed),
        }

    @classmethod
    def from_json(cls, source: Path | str) -> Audit:
        """Read ``audit.json``: its path, or its text.

        Raises
        ------
        InputError
            If it is no audit of this schema.
        """
        try:
            text = source.read_text("utf-8") if isinstance(source, Path) else source
            return cls._of(json.loads(text))
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"an audit must be the audit.json that `carina audit` wrote, schema {_SCHEMA}; found "
                f"{type(error).__name__}: {error}"
            ) from error

    @classmethod
    def _of(cls, values: dict[str, Any]) -> Audit:
        if values["schema"] != _SCHEMA:
            raise ValueError(f"schema {values['schema']!r}")
        probes = [
            Probe(**{**one, "measured": {name: Measured(**value) for name, value in one["measured"].items()}})
            for one in values["probes"]
        ]
        verdicts = {name: Verdict(one["verdict"], tuple(one["because"])) for name, one in values["verdicts"].items()}
        return cls(
            model=None if values["model"] is None else ModelStamp(**values["model"]),
            table_sha256=values["table_sha256"],
            films=values["films"],
            patients=values["patients"],
            probes=tuple(probes),
            verdicts=verdicts,
            films_listed=tuple(values["films_listed"]),
            counts=values.get("counts", {}),
            criteria_version=values["criteria_version"],
        )
