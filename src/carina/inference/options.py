"""How films are judged, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from carina.inference.bundle import Bundle
from carina.inference.layers import LayerOptions
from carina.inference.lungs import LungFinder
from carina.inference.reader import Reader
from carina.inference.session import Engine
from carina.settings import Settings

__all__ = ["PredictOptions", "Summary", "make_reader"]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How films are judged.

    Attributes
    ----------
    model : str
        A bundle's folder or zip, or the name of a shipped one.
    engine : {"onnxruntime", "openvino"}
    gate : bool
        Whether the quality gate of the bundle's kind of input comes first, where there is one.
    lungs : bool
        Whether lung fields are looked for; a bundle whose framing rests on them looks for them in any case.
    layers : bool
        Whether heatmap, lungs and opacity are drawn.
    heatmap_class : str or None
        Class shown; `None` for the class decided on, or else the most probable one.
    age : float or None
        Of films whose header and table row say nothing, years.
    prevalence : mapping of class to float, or None
        See `carina.inference.complete_prevalence`.
    settings : Settings
    workers : int
        Processes, each of `settings.predict.threads` threads.
    overwrite : bool
        Whether predictions already in the output folder are thrown away.
    ray : str or None
        Address of a Ray cluster whose machines judge, `workers` processes in all (1: one for each core).
    """

    model: str = "pneumonia"
    engine: Engine = "onnxruntime"
    gate: bool = True
    lungs: bool = True
    layers: bool = True
    heatmap_class: str | None = None
    age: float | None = None
    prevalence: Mapping[str, float] | None = None
    settings: Settings = field(default_factory=Settings)
    workers: int = 1
    overwrite: bool = False
    ray: str | None = None


@dataclass(slots=True)
class Summary:
    """What became of the films.

    Attributes
    ----------
    films : int
        All.
    judged, refused, unread : int
        With probabilities; refused by the gate; no film, or not readable. They sum to `films`.
    kept : int
        Of all, those finished by an earlier run.
    decisions : dict of str to int
        Films newly judged, by decision.
    """

    films: int = 0
    judged: int = 0
    refused: int = 0
    unread: int = 0
    kept: int = 0
    decisions: dict[str, int] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """0 where every film has probabilities, else 3."""
        return 0 if self.judged == self.films else 3

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def make_reader(bundle: Bundle, options: PredictOptions, out: Path) -> Reader:
    """Build the reader that the options describe; layers go below `out`.

    Raises
    ------
    BundleError, MissingExtraError, SettingsError
    """
    kind = bundle.task.kind
    gate = None
    if options.gate and kind.gated:
        from carina.inference.gate import QualityGate  # noqa: PLC0415 - only where it is used

        gate = QualityGate.load(threads=options.settings.predict.threads)
    layers = LayerOptions(out, of=options.heatmap_class, opacity=options.settings.predict.overlay_opacity)
    return Reader(
        bundle,
        gate=gate,
        engine=options.engine,
        threads=options.settings.predict.threads,
        limits=options.settings.limits,
        prevalence=options.prevalence,
        lungs=LungFinder.load(threads=options.settings.predict.threads) if options.lungs and kind.lungs else None,
        layers=layers if options.layers else None,
    )
