"""2,000 patient bootstraps of every metric on 100,000 films, against a loop of scikit-learn's functions.

Run: python benchmarks/bootstrap_speed.py [--number 100000] [--repeats 2000] [--peer-repeats 3] [--runs 3]

Every metric: AUC, average precision, Brier score, expected calibration error and, at one threshold, accuracy,
sensitivity, specificity, PPV, NPV, F1, MCC and kappa. Both draw whole patients with replacement and give a percentile
interval. The peer is the loop that is usually written: draw patients, repeat their films, call scikit-learn for each
metric (the calibration error from `calibration_curve` and its bins). It is given few repeats, and its time a repeat is
set against the product's; films, threads and machine are the same, and the two alternate. Point values must agree.

A second table gives the same for films that are each their own patient, and the time of the curves' bands.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn import metrics
from sklearn.calibration import calibration_curve

from _common import alternate, median_and_spread, ratios, table, verdict
from carina.statistics import cluster_bootstrap, decision_curve, pr_curve, roc_curve

THRESHOLD = 0.5
BINS = 10

Films = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(films: int, patients: int, seed: int = 1) -> Films:
    """Truth, probabilities and patients; films of a patient resemble one another."""
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, patients, films)
    truth = (rng.random(films) < 0.3).astype(np.int64)
    logits = 2.0 * truth - 1.8 + rng.normal(0, 0.7, patients)[owner] + rng.normal(0, 1.3, films)
    return truth, 1 / (1 + np.exp(-logits)), owner


def peer_metrics(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Each metric by scikit-learn."""
    called = (probabilities >= THRESHOLD).astype(np.int64)
    observed, predicted = calibration_curve(truth, probabilities, n_bins=BINS)
    counts = np.bincount(np.minimum((probabilities * BINS).astype(int), BINS - 1), minlength=BINS)
    return {
        "auc": metrics.roc_auc_score(truth, probabilities),
        "average_precision": metrics.average_precision_score(truth, probabilities),
        "brier": metrics.brier_score_loss(truth, probabilities),
        "ece": float((counts[counts > 0] * np.abs(observed - predicted)).sum() / truth.size),
        "accuracy": metrics.accuracy_score(truth, called),
        "sensitivity": metrics.recall_score(truth, called),
        "specificity": metrics.recall_score(truth, called, pos_label=0),
        "ppv": metrics.precision_score(truth, called),
        "npv": metrics.precision_score(truth, called, pos_label=0),
        "f1": metrics.f1_score(truth, called),
        "mcc": metrics.matthews_corrcoef(truth, called),
        "kappa": metrics.cohen_kappa_score(truth, called),
    }


def peer_bootstrap(films: Films, repeats: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Draw patients, repeat their films, call scikit-learn."""
    truth, probabilities, owner = films
    order = np.argsort(owner, kind="stable")
    _, starts, counts = np.unique(owner[order], return_index=True, return_counts=True)
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(repeats):
        chosen = rng.integers(0, counts.size, counts.size)
        sizes = counts[chosen]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = order[np.repeat(starts[chosen], sizes) + within]
        drawn.append(peer_metrics(truth[rows], probabilities[rows]))
    return {name: np.quantile([draw[name] for draw in drawn], [0.025, 0.975]) for name in drawn[0]}


def timed(work: Callable[[], object], repeats: int) -> Callable[[], float]:
    """Seconds a repeat."""

    def measure() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / repeats

    return measure


def agree(films: Films) -> None:
    """Stop unless product and peer have the same point values."""
    found = cluster_bootstrap(*films, THRESHOLD, seed=1, repeats=2)
    for name, value in peer_metrics(*films[:2]).items():
        ours = found[name].value
        if ours is None or abs(ours - value) > 1e-9:
            raise SystemExit(f"{name}: {ours} here and {value} by scikit-learn")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--peer-repeats", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    rows = []
    for words, patients in (("2.5 films a patient", int(chosen.number / 2.5)), ("a patient each", chosen.number)):
        films = made(chosen.number, patients)
        if words == "a patient each":
            films = (films[0], films[1], np.arange(chosen.number))
        agree(films)
        ours = timed(
            lambda films=films: cluster_bootstrap(*films, THRESHOLD, seed=1, repeats=chosen.repeats), chosen.repeats
        )
        peer = timed(lambda films=films: peer_bootstrap(films, chosen.peer_repeats), chosen.peer_repeats)
        found = alternate({"peer": peer, "carina": ours}, chosen.runs)
        faster = ratios(found["peer"], found["carina"])
        whole = [seconds * chosen.repeats for seconds in found["carina"]]
        rows.append(
            [
                f"{chosen.number:,} films, {words}",
                f"{median_and_spread(whole)}; {verdict(whole, 60.0, at_least=False)}",
                median_and_spread(found["peer"], 3),
                f"{median_and_spread(faster, 0)}; {verdict(faster, 50.0)}",
            ]
        )
    print(table(["films", f"carina, s for {chosen.repeats:,} draws", "peer, s a draw", "times as fast a draw"], rows))
    films = made(chosen.number, int(chosen.number / 2.5))
    start = time.perf_counter()
    roc_curve(*films, repeats=chosen.repeats)
    middle = time.perf_counter()
    pr_curve(*films, repeats=chosen.repeats)
    late = time.perf_counter()
    decision_curve(*films, repeats=chosen.repeats)
    end = time.perf_counter()
    print(
        f"\nbands of {chosen.repeats:,} draws, s: ROC curve {middle - start:.1f}, precision-recall curve "
        f"{late - middle:.1f}, decision curve at 99 thresholds {end - late:.1f}"
    )


if __name__ == "__main__":
    main()
