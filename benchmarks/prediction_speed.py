"""Film file to probabilities and heatmap at the film's size, one core, warm, against DenseNet-121 in eager torch.

Run: python benchmarks/prediction_speed.py --films FOLDER [--model BUNDLE] [--number 40] [--runs 3]

The peer is TorchXRayVision's pipeline (see `_peer.py`) with Grad-CAM in three ways; peer and product read the same
films with the same decoder, in float32. Aims: 4 times as fast with the very same network, 20 times with the default.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import DenseNet121
from torch import Tensor

from _common import (
    Product,
    alternate,
    default_product,
    hold_to_one_core,
    median_and_spread,
    ratios,
    some_films,
    table,
    verdict,
)
from _peer import (
    CLASSES,
    SIDE,
    Explained,
    film_heatmap,
    monai_backward,
    network_input,
    peer_network,
    read_grey,
    short_backward,
    whole_backward,
)
from carina.imaging import Standardisation, read_film, standardise
from carina.imaging.framing import frame_film
from carina.inference import (
    FilmSource,
    PredictOptions,
    Session,
    calibrated_probabilities,
    load_bundle,
    make_reader,
    normalise_map,
    open_session,
)
from carina.inference.lungs import LungFinder
from carina.inference.sources import LAYERS
from carina.networks import NetworkSpec, build_network, export_onnx
from carina.tasks import default_task

_STAGES = ("decoding", "lungs", "standardisation", "network", "probabilities", "heatmap")


def same_network(peer: DenseNet121) -> Product:
    """Export the peer's own weights as the product does, and see that both say the same."""
    network = build_network(default_task(), NetworkSpec("densenet121", SIDE, hierarchical=False), pretrained=False)
    network.trunk.features.load_state_dict(peer.features.state_dict())
    network.head.linear.load_state_dict(peer.class_layers.out.state_dict())
    model = export_onnx(network.eval())
    film = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE), dtype=np.uint8)
    with torch.no_grad():
        expected = peer((torch.from_numpy(film)[None].float() / 255 - network.mean) / network.deviation)
    worst = float(np.abs(open_session(model).run(film).logits - expected.numpy()).max())
    if not worst < 1e-3:
        raise SystemExit(f"peer and product must compute the same; their logits differ by {worst:.2g}")
    return Product("DenseNet-121", model, Standardisation(size=SIDE), default_task(), None)


def judge(
    path: Path, product: Product, session: Session, finder: LungFinder | None, spent: dict[str, float]
) -> np.ndarray:
    """One film through the product, lungs first where its framing rests on them; each stage's time goes to `spent`."""
    marks = [time.perf_counter()]
    film = read_film(path)
    marks.append(time.perf_counter())
    fields = None if finder is None else finder.find(film)
    marks.append(time.perf_counter())
    square = standardise(film.pixels, product.spec, fields)
    frame = frame_film((film.pixels.shape[0], film.pixels.shape[1]), product.spec.size, fields)
    marks.append(time.perf_counter())
    outputs = session.run(square[None])
    marks.append(time.perf_counter())
    probabilities = calibrated_probabilities(outputs.logits, product.task, product.calibration)[0]
    marks.append(time.perf_counter())
    raw = outputs.class_maps[0, int(probabilities.argmax())]
    heat = frame.lay_out(normalise_map(raw))
    marks.append(time.perf_counter())
    for stage, start, end in zip(_STAGES, marks, marks[1:], strict=False):
        spent[stage] = spent.get(stage, 0.0) + end - start
    return heat


def product_measure(films: list[Path], product: Product, spent: dict[str, float]) -> Callable[[], float]:
    """Time of a film, seconds, and its stages into `spent`."""
    session = open_session(product.model)
    finder = LungFinder.load() if product.spec.needs_lungs else None
    judge(films[0], product, session, finder, {})

    def measure() -> float:
        start = time.perf_counter()
        for path in films:
            judge(path, product, session, finder, spent)
        return (time.perf_counter() - start) / len(films)

    return measure


def peer_measure(
    films: list[Path], network: DenseNet121, explain: Callable[[DenseNet121, Tensor], Explained]
) -> Callable[[], float]:
    """Time of a film, seconds."""

    def one(path: Path) -> tuple[Tensor, np.ndarray]:
        film = read_grey(path)
        logits, raw = explain(network, network_input(film))
        return logits.softmax(1), film_heatmap(raw, film.shape)

    one(films[0])

    def measure() -> float:
        start = time.perf_counter()
        for path in films:
            one(path)
        return (time.perf_counter() - start) / len(films)

    return measure


def whole_measure(films: list[Path], model: str, out: Path) -> Callable[[], float]:
    """Time of a film, seconds, as `carina predict` judges it: gate first, overlay and maps written."""
    for layer in LAYERS:
        (out / layer).mkdir()
    reader = make_reader(load_bundle(model), PredictOptions(model=model), out)
    reader.read(FilmSource(str(films[0])))

    def measure() -> float:
        start = time.perf_counter()
        for path in films:
            reader.read(FilmSource(str(path)))
        return (time.perf_counter() - start) / len(films)

    return measure


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--model", default="pneumonia")
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    hold_to_one_core()
    torch.set_num_threads(1)
    films = some_films(chosen.films, chosen.number)
    peer = peer_network()
    assert len(default_task().classes) == CLASSES  # noqa: S101 - the peer's constant
    same, default = same_network(peer), default_product(chosen.model)
    stages: dict[str, dict[str, float]] = {same.name: {}, default.name: {}}
    with tempfile.TemporaryDirectory() as scratch:
        measures = {
            "peer, Grad-CAM by MONAI": peer_measure(films, peer_network(), monai_backward()),
            "peer, Grad-CAM by autograd": peer_measure(films, peer, whole_backward),
            "peer, backward pass ended at the map": peer_measure(films, peer, short_backward),
            "carina, same network": product_measure(films, same, stages[same.name]),
            "carina, default network": product_measure(films, default, stages[default.name]),
        }
        if default.name.startswith("bundle"):
            measures["carina predict, with gate and files"] = whole_measure(films, chosen.model, Path(scratch))
        found = alternate(measures, chosen.runs)
    report(found, stages, chosen.runs * len(films))


def report(found: dict[str, list[float]], stages: dict[str, dict[str, float]], films: int) -> None:
    """Print times, ratios against each peer, and where the product's time goes."""
    peers = [name for name in found if name.startswith("peer")]
    # The faster of the two that send a score back through the network, in each run.
    reference = [min(pair) for pair in zip(found[peers[0]], found[peers[1]], strict=True)]
    rows = []
    for name, times in found.items():
        cells = [name, median_and_spread(times, 1, 1e3)]
        if name in peers:
            rows.append([*cells, "", "", ""])
            continue
        against = ratios(reference, times)
        aim = 4.0 if "same" in name else 20.0
        rows.append([*cells, median_and_spread(against), median_and_spread(ratios(found[peers[2]], times)), ""])
        rows[-1][-1] = verdict(against, aim) if "predict" not in name else ""
    head = ["what", "ms a film", "peer / this", "peer ended at the map / this", "aim for peer / this"]
    print(table(head, rows))
    print("\nWhere carina's time goes, ms a film:\n")
    body = [[name, *(f"{spent[stage] / films * 1e3:.2f}" for stage in _STAGES)] for name, spent in stages.items()]
    print(table(["network", *_STAGES], body))


if __name__ == "__main__":
    main()
