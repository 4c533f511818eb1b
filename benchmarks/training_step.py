"""The training step as it runs against forward and backward pass of the bare network, on two cores.

Run: python benchmarks/training_step.py --films FOLDER [--number 1200] [--threads 2] [--runs 3]

The product is `carina.networks.training.fit` itself with the default recipe: films out of the uint8 cache, drawn,
augmented, loss, backward pass, gradients clipped, AdamW, mean of weights, logs. The bare network has the same batch,
precision, threads and memory layout, its input already in place. Steps are timed from one end to the next, the first
few left out. The aim is at least 80 % of the bare network's speed.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from _common import alternate, median_and_spread, ratios, some_films, table, verdict
from carina.networks import Machine, Recipe, build_network, load_recipe
from carina.networks.augmentation import Augmentation
from carina.networks.classifier import FilmClassifier
from carina.networks.training import Prepared, fit, prepare
from carina.sampling import read_film_table
from carina.tasks import default_task

_SKIPPED = 3


def made_table(films: list[Path], folder: Path) -> Path:
    """Film table with labels dealt in turn: speed does not depend on them."""
    classes = default_task().classes
    path = folder / "films.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "patient_id", "source"])
        for number, film in enumerate(films):
            writer.writerow([film, classes[number % len(classes)], f"p{number}", "films"])
    return path


def training_measure(prepared: Prepared, recipe: Recipe, folder: Path, threads: int) -> Callable[[], float]:
    """Median seconds of a step of the product's own training, one epoch."""
    numbers = iter(range(1000))

    def measure() -> float:
        marks: list[float] = []

        def on_end(*_: Any) -> None:
            marks.append(time.perf_counter())

        out = folder / f"run{next(numbers)}"
        out.mkdir()
        before = FilmClassifier.on_train_batch_end
        FilmClassifier.on_train_batch_end = on_end  # the training takes no observer of its steps
        try:
            with redirect_stdout(io.StringIO()):  # no progress bar between the tables
                fit(prepared, default_task(), recipe, out, Machine(accelerator="cpu", threads=threads, workers=1))
        finally:
            FilmClassifier.on_train_batch_end = before
        return statistics.median(
            end - start for start, end in zip(marks[_SKIPPED:], marks[_SKIPPED + 1 :], strict=False)
        )

    return measure


def repeated(step: Callable[[], object], repetitions: int) -> Callable[[], float]:
    """Median seconds of a step."""

    def measure() -> float:
        times = []
        for number in range(repetitions + _SKIPPED):
            start = time.perf_counter()
            step()
            if number >= _SKIPPED:
                times.append(time.perf_counter() - start)
        return statistics.median(times)

    return measure


def bare_step(recipe: Recipe, films: torch.Tensor) -> Callable[[], object]:
    """Forward and backward pass; nothing else."""
    task = default_task()
    network = build_network(task, recipe.network_spec(), pretrained=recipe.pretrained).train()
    network = network.to(memory_format=torch.channels_last)
    films = films.contiguous(memory_format=torch.channels_last)
    targets = torch.arange(len(films)) % len(task.classes)

    def step() -> None:
        network.zero_grad()
        functional.cross_entropy(network(films), targets).backward()

    return step


def optimiser_step(recipe: Recipe) -> Callable[[], object]:
    """AdamW, clipping and the mean of weights, on gradients already there."""
    network = build_network(default_task(), recipe.network_spec(), pretrained=recipe.pretrained)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5)
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.averaging), use_buffers=True
    )
    for parameter in network.parameters():
        parameter.grad = torch.rand_like(parameter) * 1e-3

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        mean.update_parameters(network)

    return step


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--number", type=int, default=1200, help="films in the table, about 70 % of them trained on")
    parser.add_argument("--repetitions", type=int, default=20, help="steps of the bare network a run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    recipe = load_recipe("pneumonia").changed({"epochs": 1})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        films = made_table(some_films(chosen.films, chosen.number), folder)
        prepared = prepare(read_film_table(films, default_task()), recipe, folder, workers=chosen.threads)
        torch.set_num_threads(chosen.threads)
        batch = torch.from_numpy(prepared.cache.films[: recipe.batch].copy()).float().unsqueeze(1) / 255.0
        augmentation = Augmentation(recipe.augmentation)
        found = alternate(
            {
                "bare network, forward and backward": repeated(bare_step(recipe, batch), chosen.repetitions),
                "training step": training_measure(prepared, recipe, folder, chosen.threads),
                "of it, augmentation alone": repeated(lambda: augmentation(batch), chosen.repetitions),
                "of it, clipping, AdamW and mean alone": repeated(optimiser_step(recipe), chosen.repetitions),
            },
            chosen.runs,
        )
    report(found, recipe, chosen.threads)


def report(found: dict[str, list[float]], recipe: Recipe, threads: int) -> None:
    """Print times and shares."""
    bare, step, *parts = found
    share = ratios(found[bare], found[step])
    rows = [
        [bare, median_and_spread(found[bare], 0, 1e3), "1", ""],
        [step, median_and_spread(found[step], 0, 1e3), median_and_spread(share), verdict(share, 0.8)],
        *([part, median_and_spread(found[part], 0, 1e3), "", ""] for part in parts),
    ]
    print(f"{recipe.network}, {recipe.size} px, batches of {recipe.batch}, {recipe.precision}, {threads} threads\n")
    print(table(["what", "ms", "bare / this", "aim"], rows))


if __name__ == "__main__":
    main()
