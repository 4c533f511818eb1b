"""What the benchmarks share: alternating runs, their table, films, one core, and the networks compared."""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import onnx
import onnxruntime
from threadpoolctl import threadpool_limits

from carina.errors import BundleError, FilmRejectedError
from carina.imaging import Standardisation, read_film
from carina.inference import Calibration, load_bundle
from carina.tasks import Task, default_task


@dataclass(frozen=True, slots=True)
class Product:
    """A network ready for inference: its ONNX file and what belongs to it."""

    name: str
    model: bytes
    spec: Standardisation
    task: Task
    calibration: Calibration | None


def hold_to_one_core() -> None:
    """Pin this process, and every process it starts, to one core and one thread."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    threadpool_limits(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def alternate(measures: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Take each measure in turn, `runs` times, so that a slower minute of the machine strikes all alike."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(runs):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Ratio of two measures within each run."""
    return [one / other for one, other in zip(above, below, strict=True)]


def median_and_spread(values: Sequence[float], digits: int = 2, unit: float = 1.0) -> str:
    """Median, with the least and the largest."""
    scaled = [value * unit for value in values]
    return f"{statistics.median(scaled):.{digits}f} ({min(scaled):.{digits}f} to {max(scaled):.{digits}f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdict(values: Sequence[float], aim: float, *, at_least: bool = True) -> str:
    """Aim, and whether the median meets it."""
    middle = statistics.median(values)
    met = middle >= aim if at_least else middle <= aim
    return f"{'at least' if at_least else 'at most'} {aim:g}: {'met' if met else 'missed'}"


def some_films(folder: Path, number: int) -> list[Path]:
    """Readable films of a folder, evenly from each of its subfolders, repeated where there are fewer."""
    groups: dict[Path, list[Path]] = {}
    for path in sorted(path.resolve() for path in folder.rglob("*") if path.is_file()):
        groups.setdefault(path.parent, []).append(path)
    mixed = (path for row in itertools.zip_longest(*groups.values()) for path in row if path is not None)
    films = list(itertools.islice(filter(_readable, mixed), number))
    if not films:
        raise SystemExit(f"no film is readable in {str(folder)!r}")
    return list(itertools.islice(itertools.cycle(films), number))


def _readable(path: Path) -> bool:
    try:
        read_film(path)
    except FilmRejectedError:
        return False
    return True


def default_product(model: str) -> Product:
    """Bundle named, or where the shipped one is missing, the same network from its ImageNet weights."""
    try:
        bundle = load_bundle(model)
    except BundleError as error:
        if model != "pneumonia":
            raise
        print(f"{error}; measured instead: its network with ImageNet weights, as fast\n")
        return _untrained_default()
    return Product(f"bundle {bundle.name}", bundle.model, bundle.preprocessing, bundle.task, bundle.calibration)


def _untrained_default() -> Product:
    from carina.networks import build_network, export_onnx, load_recipe  # noqa: PLC0415 - torch, only where needed

    recipe, task = load_recipe("pneumonia"), default_task()
    network = build_network(task, recipe.network_spec(), pretrained=True).eval()
    return Product("default network, untrained", export_onnx(network), recipe.standardisation(), task, None)


def cut(model: bytes, outputs: list[str]) -> bytes:
    """Take away the other outputs and all nodes that lead to them alone, which the runtime would compute still."""
    whole = onnx.load_from_string(model)
    graph = whole.graph
    kept_outputs = [output for output in graph.output if output.name in outputs]
    needed, nodes = set(outputs), []
    for node in reversed(graph.node):  # they are in the order of computation
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    constants = [constant for constant in graph.initializer if constant.name in needed]
    for field, kept in ((graph.output, kept_outputs), (graph.node, nodes[::-1]), (graph.initializer, constants)):
        copies = [type(one).FromString(one.SerializeToString()) for one in kept]
        del field[:]
        field.extend(copies)
    return bytes(whole.SerializeToString())


def opened(model: bytes) -> onnxruntime.InferenceSession:
    """Session with the options of the product."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
