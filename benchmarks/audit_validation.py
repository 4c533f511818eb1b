"""What the shortcut audit finds, and what it cries wolf over, on phantom cohorts (M36).

Each seed makes a cohort of 200 phantom patients with a planted shortcut, whose kind and strength follow from the seed;
each even seed a clean one besides. The seed CNN is trained at 64 px on half of a cohort's films; the other half is
audited, lung fields given. *Found*: the verdict is not "supported", and a probe that names the shortcut failed.
*Silent*: the verdict is "supported".

The criteria (`carina.evidence.audit_criteria`) were chosen on seeds 0 to 99 and validated once on 100 to 299. Seeds
below 100 draw from another pool of phantom patients than those above.

Run: python benchmarks/audit_validation.py --seeds 100-299 --out runs/audit_validation
(one JSON line a cohort; resumable; some 10 s a seed on one core)
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carina.evidence.audit import audit_films
from carina.evidence.audit_criteria import VERSION
from carina.evidence.audit_films import AuditedFilms, Eye, observe
from carina.evidence.audit_outcome import Audit
from carina.evidence.shortcut_phantoms import (
    SHORTCUTS,
    PhantomCohort,
    PhantomPool,
    phantom_pool,
    phantom_task,
    plant_cohort,
)
from carina.evidence.viewing import Answer
from carina.imaging.standardise import Standardisation, standardise
from carina.inference import Outputs
from carina.networks import ExportedNetwork, NetworkSpec, build_network
from carina.networks.losses import FilmLoss
from carina.sampling import FilmTable
from carina.statistics import clopper_pearson
from carina.tasks import Task

SPEC = Standardisation(size=64)
STRENGTHS = (1.0, 0.8, 1.0, 0.6)
NAMING = {
    "marker": ("markers_removed", "lungs_black", "border_only", "class_from_corners", "class_from_border"),
    "border": ("border_only", "lungs_black", "class_from_border", "class_from_corners"),
    "contrast": ("lungs_black", "border_only", "class_from_greys"),
    "source": ("source_table", "source_gap", "source_from_features", "class_from_greys"),
}
"""Probes that, failed, point at a shortcut of that kind."""

CONTRAST = "disease"
_TRAINED = 100
_EPOCHS, _BATCH, _RATE = 15, 20, 1e-3
_ROOM = 4
_POOL = 1000
_FIRST_PATIENT = (100_000, 200_000)
_FROZEN_FROM = 100


@dataclass(frozen=True, slots=True)
class Case:
    """One cohort to make."""

    seed: int
    kind: str | None
    strength: float

    @property
    def name(self) -> str:
        """As the results' lines are told apart."""
        return f"{self.seed}-{self.kind or 'clean'}"


def cases(seed: int) -> tuple[Case, ...]:
    """Planted cohort of a seed, and of an even one a clean cohort besides."""
    turn = seed // len(SHORTCUTS) % len(STRENGTHS)
    clean = () if seed % 2 else (Case(seed, None, 0.5),)
    return *clean, Case(seed, SHORTCUTS[seed % len(SHORTCUTS)], STRENGTHS[turn])


def train_seed_cnn(films: NDArray[np.uint8], labels: Sequence[str], task: Task, seed: int) -> ExportedNetwork:
    """Train M20's network with the product's loss and schedule; flips and shifts as augmentation."""
    torch.manual_seed(seed)
    spec = NetworkSpec("seed_cnn", SPEC.size, hierarchical=False, convolutions=3)
    network = build_network(task, spec, pretrained=False).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs lack it
    loss = FilmLoss(task, evenness=0.0, smoothing=0.05)
    inputs = torch.from_numpy(films.astype(np.float32) / 255.0)[:, None]
    targets = torch.from_numpy(task.targets(labels))
    steps = _EPOCHS * (len(inputs) // _BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps, pct_start=0.1)
    weights = torch.ones(_BATCH)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs) - _BATCH + 1, _BATCH):
            chosen = order[start : start + _BATCH]
            batch = _moved(inputs[chosen]).contiguous(memory_format=torch.channels_last)
            value = loss(network(batch), targets[chosen], weights, weights)
            optimiser.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
    return ExportedNetwork(network.eval())


def _moved(batch: torch.Tensor) -> torch.Tensor:
    if float(torch.rand(())) < 0.5:
        batch = batch.flip(-1)
    down, right = torch.randint(-_ROOM, _ROOM + 1, (2,)).tolist()
    return torch.roll(batch, (down, right), (2, 3))


def judge_with(network: ExportedNetwork) -> Callable[[NDArray[np.uint8]], Answer]:
    """Ask a network in memory as the audit asks a bundle's."""

    def judge(pictures: NDArray[np.uint8]) -> Answer:
        with torch.inference_mode():
            logits, maps, features = network(torch.from_numpy(pictures.astype(np.float32) / 255.0)[:, None])
            chances = logits.double().softmax(1).numpy()
        outputs = Outputs(logits.numpy(), maps.numpy(), features.numpy())
        return Answer(chances, outputs.class_maps, (outputs,))

    return judge


def audit_cohort(cohort: PhantomCohort, seed: int) -> Audit:
    """Train on one half of a cohort and audit the other."""
    task, labels = phantom_task(), cohort.frame["label"].to_list()
    films = np.stack([standardise(film, SPEC) for film in cohort.films[:_TRAINED]])
    eye = Eye(task, SPEC, judge_with(train_seed_cnn(films, labels[:_TRAINED], task, seed)))
    rows = range(_TRAINED, len(labels))
    seen = [observe(cohort.films[row], cohort.fields(row), labels[row], eye) for row in rows]
    table = FilmTable(cohort.frame[_TRAINED:], Path(), "0" * 64)
    return audit_films(AuditedFilms(table, task, seen, has_model=True))


def run_case(case: Case, pool: PhantomPool) -> dict[str, Any]:
    """Make, train, audit one cohort; give the line for the results."""
    started = time.perf_counter()
    found = audit_cohort(plant_cohort(pool, case.seed, kind=case.kind, strength=case.strength), case.seed)
    failed = sorted(one.kind for one in found.probes if one.outcome == "failed")
    verdict = found.verdict(CONTRAST).verdict
    named = case.kind is not None and any(kind in failed for kind in NAMING[case.kind])
    return {
        "name": case.name,
        "seed": case.seed,
        "kind": case.kind,
        "strength": case.strength,
        "criteria": VERSION,
        "verdict": verdict,
        "failed": failed,
        "found": verdict != "supported" and named,
        "seconds": round(time.perf_counter() - started, 2),
        "measured": {
            one.kind: {name: [value.value, value.low, value.high] for name, value in one.measured.items()}
            for one in found.probes
            if one.kind != "source_table"
        },
    }


def summarise(lines: Sequence[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Count what was silent and what was found: name, events, cohorts."""
    clean = [line for line in lines if line["kind"] is None]
    rows = [("clean, silent", sum(line["verdict"] == "supported" for line in clean), len(clean))]
    for strength in sorted(set(STRENGTHS), reverse=True):
        here = [line for line in lines if line["kind"] is not None and line["strength"] == strength]
        rows.append((f"planted at {strength:g}, found", sum(line["found"] for line in here), len(here)))
        for kind in SHORTCUTS:
            of_kind = [line for line in here if line["kind"] == kind]
            rows.append((f"  {kind} at {strength:g}", sum(line["found"] for line in of_kind), len(of_kind)))
    return [row for row in rows if row[2]]


def pool_for(seed: int, folder: Path) -> PhantomPool:
    """Phantom patients for a seed, kept in a file; other patients for the seeds of the validation."""
    first = _FIRST_PATIENT[seed >= _FROZEN_FROM]
    kept = folder / f"patients-{first}-{_POOL}.npz"
    if kept.is_file():
        with np.load(kept) as stored:
            return PhantomPool(stored["films"], stored["lungs"])
    pool = phantom_pool(first, _POOL)
    np.savez(kept, films=pool.films, lungs=pool.lungs)
    return pool


def main() -> None:
    """Run the cohorts that are not in the results yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-9", help="first and last, such as 100-299")
    parser.add_argument("--out", type=Path, default=Path("runs/audit_validation"))
    parser.add_argument("--table", action="store_true", help="only print the table of the results there are")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = chosen.out / "results.jsonl"
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.exists() else []
    done = {line["name"] for line in lines}
    first, last = (int(end) for end in chosen.seeds.split("-"))
    for seed in range(first, last + 1) if not chosen.table else ():
        pool = pool_for(seed, chosen.out)
        for case in cases(seed):
            if case.name in done:
                continue
            line = run_case(case, pool)
            lines.append(line)
            with results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
    print(f"criteria {VERSION}, seeds {first} to {last}\n\n| cohorts | share | 95 % interval |\n| --- | --- | --- |")
    for name, events, trials in summarise([line for line in lines if first <= line["seed"] <= last]):
        low, high = clopper_pearson(events, trials) or (float("nan"), float("nan"))
        print(f"| {name} | {events} of {trials}, {events / trials:.1%} | {low:.1%} to {high:.1%} |")


if __name__ == "__main__":
    main()
