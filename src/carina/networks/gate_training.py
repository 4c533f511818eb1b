"""Fit the quality gate's network: one seeded command, about ten minutes of one core.

``python -m carina.networks.gate_training --data DATA --out FOLDER`` writes ``gate.onnx`` and ``gate.json``. What it
fits on and what it leaves for measuring is fixed in `carina.networks.gate_data`; the measuring is done by
``benchmarks/quality_gate.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from carina.errors import FilmRejectedError, TrainingError
from carina.imaging import read_film
from carina.imaging.standardise import Standardisation, standardise
from carina.networks.gate_data import GateFilm, gate_films, other_pictures, photographs
from carina.networks.gate_drawings import chance
from carina.networks.gate_network import STATES, GateNetwork, export_gate
from carina.networks.gate_pictures import WORK, augmented, cropped, drawn, from_picture, scrambled, turned
from carina.types import Bytes

__all__ = ["fit_gate"]

_log = logging.getLogger(__name__)
PREPROCESSING = Standardisation(size=96, intensity="window")
_BATCH = 64
_STEPS = 1400
_RATE = 1.5e-3
_MIX = {"kermany": 0.5, "nih": 0.25, "cxnet": 0.25}
_SHARES = {"whole": 0.48, "cropped": 0.16, "scrambled": 0.12, "picture": 0.13, "drawn": 0.11}
_WHOLE, _CROPPED, _OTHER = range(3)
_NO_STATE = -1
_REFUSED_TUNE = 0.002
_ONE_LOOK = 0.95
_ONE_SUBJECT = 3
_SMALLEST = 16


class _Pool:
    """Films by source and pictures that are no film; draws one labelled square at a time."""

    def __init__(self, films: dict[str, list[Bytes]], pictures: Sequence[Bytes], seed: int) -> None:
        self.films = films
        self.every = [film for group in films.values() for film in group]
        self.pictures = pictures
        self.rng = np.random.default_rng(seed)
        self.sources = sorted(films)
        share = np.array([_MIX.get(source, 0.1) for source in self.sources])
        self.share = share / share.sum()

    def film(self) -> Bytes:
        """Draw a film (192, 192), its source by the mix."""
        group = self.films[self.sources[int(self.rng.choice(len(self.sources), p=self.share))]]
        return group[int(self.rng.integers(len(group)))]

    def draw(self) -> tuple[Bytes, int, int]:
        """Draw a square (192, 192) with its state (or -1: none) and its kind."""
        rng = self.rng
        state = int(rng.integers(8)) if chance(rng, 0.6) else 0
        what = rng.choice(list(_SHARES), p=list(_SHARES.values()))
        if what == "whole":
            return turned(augmented(self.film(), rng), state), state, _WHOLE
        if what == "cropped":
            return turned(augmented(cropped(self.film(), rng), rng), state), _NO_STATE, _CROPPED
        if what == "scrambled":
            spoilt = scrambled([self.film() for _ in range(4)], rng)
            return (255 - spoilt if chance(rng, 0.3) else spoilt), _NO_STATE, _OTHER
        return (self._other() if what == "picture" else drawn(rng)), _NO_STATE, _OTHER

    def _other(self) -> Bytes:
        first = from_picture(self.pictures[int(self.rng.integers(len(self.pictures)))], self.rng)
        if chance(self.rng, 0.65):
            return first
        if chance(self.rng, 0.5):
            second = from_picture(self.pictures[int(self.rng.integers(len(self.pictures)))], self.rng)
        else:
            second = drawn(self.rng)
        share = self.rng.uniform(0.2, 0.8)
        return np.asarray(cv2.addWeighted(first, share, second, 1.0 - share, 0.0), np.uint8)

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw films (size, 1, S, S) in [0, 1], states (size,) and kinds (size,)."""
        drawn_ = [self.draw() for _ in range(size)]
        squares = np.stack([_network_input(square) for square, _, _ in drawn_])
        states = torch.tensor([state for _, state, _ in drawn_])
        kinds = torch.tensor([kind for _, _, kind in drawn_])
        return torch.from_numpy(squares)[:, None], states, kinds


def _network_input(square: Bytes) -> NDArray[np.float32]:
    pixels = square.astype(np.float32) / np.float32(255.0)
    return np.asarray(standardise(pixels, PREPROCESSING) / np.float32(255.0), np.float32)


def _read_square(path: Path) -> Bytes:
    """Read any film or picture as a square (192, 192) in 256 greys between its extremes."""
    pixels = read_film(path).pixels
    low, high = float(pixels.min()), float(pixels.max())
    spread = (pixels - low) * (255.0 / max(high - low, 1e-6))
    return np.asarray(cv2.resize(spread, (WORK, WORK), interpolation=cv2.INTER_AREA), np.uint8)


def _read_films(films: Sequence[GateFilm]) -> dict[str, list[Bytes]]:
    groups: dict[str, list[Bytes]] = {}
    for film in films:
        groups.setdefault(film.source, []).append(_read_square(film.path))
    return groups


def _read_pictures() -> list[Bytes]:
    """Read the fitting half: at most three pictures a subject, for packages hold one picture in many encodings."""
    sources = [(picture.path, picture.subject) for picture in other_pictures() if picture.half == "fit"]
    sources += [(path, path.stem) for path in photographs()]
    taken: dict[str, list[Bytes]] = {}
    for path, subject in sources:
        if len(taken.get(subject, ())) == _ONE_SUBJECT:
            continue
        try:
            pixels = read_film(path).pixels
        except FilmRejectedError:
            continue
        if min(pixels.shape) >= _SMALLEST:
            taken.setdefault(subject, []).append(np.asarray(np.rint(pixels * 255.0), np.uint8))
    return [picture for pictures in taken.values() for picture in pictures]


def _train(network: GateNetwork, pool: _Pool, steps: int) -> None:
    trunk = [*network.stem.parameters(), *network.blocks.parameters()]
    ids = {id(parameter) for parameter in trunk}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in ids]
    optimiser = torch.optim.AdamW([{"params": trunk}, {"params": rest}], lr=_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=[_RATE, 2 * _RATE], total_steps=steps, pct_start=0.1, cycle_momentum=False
    )
    state_loss = nn.CrossEntropyLoss(ignore_index=_NO_STATE)
    kind_loss = nn.CrossEntropyLoss(label_smoothing=0.01)
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # its stub lacks this form
    begun = time.monotonic()
    for step in range(steps):
        films, states, kinds = pool.batch(_BATCH)
        state, kind, _ = network(films.to(memory_format=torch.channels_last))
        loss = state_loss(state, states) + kind_loss(kind, kinds)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if not torch.isfinite(loss):
            raise TrainingError(f"the gate's loss must stay finite; it is not at step {step}")
        if (step + 1) % 50 == 0:
            right = (kind.argmax(1) == kinds).float().mean().item()
            _log.info("step %d loss %.3f kind %.3f %.0f s", step + 1, loss.item(), right, time.monotonic() - begun)
    network.eval()


@torch.no_grad()
def _outputs(network: GateNetwork, squares: Sequence[Bytes]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, kinds (softmax), distances and features of squares as they are."""
    parts = []
    for start in range(0, len(squares), _BATCH):
        films = torch.from_numpy(np.stack([_network_input(one) for one in squares[start : start + _BATCH]]))[:, None]
        state, kind, distance = network(films)
        parts.append((state.softmax(1), kind.softmax(1), distance, network.features(films)))
    states, kinds, distances, features = (torch.cat(column) for column in zip(*parts, strict=True))
    return states, kinds, distances, features


def _fit_distance(network: GateNetwork, pool: _Pool) -> None:
    """Fit on every fitting film once as it is and once, weighted by source as in training, augmented."""
    varied = [augmented(pool.film(), pool.rng) for _ in range(2000)]
    network.fit_distance(_outputs(network, [*pool.every, *varied])[3])


def _thresholds(network: GateNetwork, tune: Sequence[Bytes]) -> dict[str, float]:
    """Set each line where one or two tuning films in a thousand fall beyond it, and never above even odds."""
    views = [_outputs(network, [turned(film, state) for film in tune]) for state in range(STATES)]
    whole = np.where(
        views[0][1][:, _WHOLE] < _ONE_LOOK, torch.stack([view[1][:, _WHOLE] for view in views]).mean(0), 1.0
    )
    distances = views[0][2]
    distance = float(np.quantile(distances.numpy(), 1.0 - _REFUSED_TUNE / 2.0))
    return {
        "upright": 0.98,
        "state": 0.6,
        "sure": _ONE_LOOK,
        "whole": round(float(np.clip(np.quantile(whole, _REFUSED_TUNE), 0.2, 0.5)), 4),
        "distance": round(1.15 * distance, 3),
    }


def fit_gate(data: Path, out: Path, *, steps: int = _STEPS, seed: int = 20200820) -> dict[str, object]:
    """Fit, export and describe the gate.

    Parameters
    ----------
    data : Path
        Folder of the real films, with ``cxr/images.csv``.
    out : Path
        Folder for ``gate.onnx`` and ``gate.json``.
    steps : int
        Batches of 64.
    seed : int

    Returns
    -------
    dict
        What ``gate.json`` holds.

    Raises
    ------
    TableError, MissingExtraError, TrainingError
        Films missing; packages missing; loss not finite or export not equal to torch.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    films = gate_films(data)
    fit = _read_films([film for film in films if film.part == "fit"])
    tune = _read_films([film for film in films if film.part == "tune"])
    pictures = _read_pictures()
    _log.info("fitting on %d films and %d pictures", sum(map(len, fit.values())), len(pictures))
    pool = _Pool(fit, pictures, seed)
    network = GateNetwork(PREPROCESSING.size)
    network.load_imagenet()
    _train(network, pool, steps)
    _fit_distance(network, pool)
    out.mkdir(parents=True, exist_ok=True)
    worst = export_gate(network, out / "gate.onnx", PREPROCESSING.size)
    card: dict[str, object] = {
        "format": 1,
        "preprocessing": PREPROCESSING.model_dump(),
        "thresholds": _thresholds(network, [film for group in tune.values() for film in group]),
        "sha256": hashlib.sha256((out / "gate.onnx").read_bytes()).hexdigest(),
        "training": {
            "seed": seed,
            "steps": steps,
            "films": {source: len(group) for source, group in sorted(fit.items())},
            "tune_films": {source: len(group) for source, group in sorted(tune.items())},
            "pictures": len(pictures),
            "largest_difference_to_torch": worst,
            "versions": {name: version(name) for name in ("torch", "numpy", "opencv-python-headless", "onnx")},
        },
    }
    (out / "gate.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def main() -> None:
    """Read the command line and fit."""
    parser = argparse.ArgumentParser(description="Fit the quality gate.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the real films, with cxr/images.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for gate.onnx and gate.json")
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--seed", type=int, default=20200820)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    card = fit_gate(arguments.data, arguments.out, steps=arguments.steps, seed=arguments.seed)
    _log.info("%s", json.dumps(card["thresholds"]))


if __name__ == "__main__":
    main()
