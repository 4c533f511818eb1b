"""Which framing, mixing of looks and hiding of lungs keeps the disease and loses the hospital (M3, M36).

One frozen split, the default network at 128 px, three seeds an arm, 12,000 films shown in a training. The films are
those of the shipped model's `train` and `tune` patients alone, parted anew by patient: three fifths train (a fifth of
kermany, which has most films), a twentieth picks the epoch, the rest is measured; all of hannover is kept out of
training as a source never seen, and the cxnet films that may train no released model are measured with it; with
`--unseen hannover nih` all of nih too, and then neither the COVID-19 films nor the adults' normal films that are
measured come from a hospital of the training; with `--unseen hannover kermany` no child's film is learned from, and
bacterial or viral, which no other source shows, is not asked. Asked of each trained network:

- the label within a source: AUC on films of one hospital (should stay or rise);
- the source within a label: balanced accuracy of a logistic regression on the network's features, cross-validated by
  patient (should fall towards 0.5);
- the unseen films: COVID-19 films of hannover, and of cxnet's groups kept apart, against normal films and pneumonias of
  nih; *cross-source*, so that the AUC alone proves nothing, but the mean P(COVID-19) of the normal films should be low;
- the same films with their lungs blacked out: what is still told is not read from the lungs (should fall to 0.5).

Run: python benchmarks/framing.py --data ../shared/data [--out runs/framing] [--arms whole lung_centred lung_masked]
[--unseen hannover nih] [--seeds 0] (another --out for another --unseen; one JSON line an arm and seed; resumable; some
3 minutes a seed on two idle cores)
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from carina.networks.film_cache import cache_films
from carina.networks.film_network import ExportedNetwork
from carina.networks.recipe import Recipe, load_recipe
from carina.networks.training import Machine, Prepared, Trained, fit
from carina.sampling import DEFAULT_FRACTIONS, FilmTable, prove_disjoint, read_film_table, split_by_patient
from carina.tasks import default_task

ARMS: dict[str, dict[str, object]] = {
    # what most would do: fine-tune on the whole film, M24's augmentation, every film with one voice
    "plain": {
        "framing": "whole",
        "intensity": "window",
        "augmentation": "basic",
        "one_sided": 1.0,
        "evenness": 0.0,
        "smoothing": 0.0,
        "averaging": 0.0,
    },
    "whole": {"framing": "whole"},
    "lung_centred": {"framing": "lung_centred"},
    "lung_masked": {"framing": "lung_masked"},
    "planted": {"framing": "lung_centred", "planted": 0.25},
    "spectrum": {"framing": "lung_centred", "spectrum_mixing": 0.5},
    "style": {"framing": "lung_centred", "style_mixing": 0.5},
    "spectrum_style": {"framing": "lung_centred", "spectrum_mixing": 0.5, "style_mixing": 0.5},
    "hidden": {"framing": "lung_centred", "lungless": 0.15, "surroundings": 0.3},
    "hidden_spectrum_style": {
        "framing": "lung_centred",
        "lungless": 0.15,
        "surroundings": 0.3,
        "spectrum_mixing": 0.5,
        "style_mixing": 0.5,
    },
}
# Films shown in a training, all epochs together, so that leaving out a large source does not leave a network half made.
_SIZE, _SHOWN, _FEWEST_EPOCHS = 128, 12_000, 8
# Share of the patients of a source that train; kermany has seven times the films of any other.
_TRAIN, _TRAIN_MOST, _TUNE = 0.6, 0.2, 0.05
_UNSEEN = "hannover"


def _frozen(table: FilmTable, data: Path, out: Path, recipe: Recipe, unseen: list[str]) -> FilmTable:
    """Patients of the shipped model's `train` and `tune`, parted anew; unseen sources measure only."""
    apart = table.frame["train_release"].to_numpy() != "yes"
    measured = table.frame.filter(pl.Series(apart)).with_columns(split=pl.lit("test"))
    table = table.with_frame(table.frame.filter(pl.Series(~apart)))
    cache = cache_films(table, recipe.standardisation(), out / "cache-whole", workers=2)
    with (data / "boxes.csv").open(encoding="utf-8") as stream:
        held_out = {row["image_id"] for row in csv.DictReader(stream)}
    split = split_by_patient(table, DEFAULT_FRACTIONS, seed=recipe.seed, hashes=cache.hashes, held_out=held_out).frame
    split = split.filter(pl.col("split").is_in(["train", "tune"]))
    patients = split["patient_id"].unique().sort().to_list()
    lot = dict(zip(patients, np.random.default_rng(recipe.seed).random(len(patients)), strict=True))
    seen_elsewhere = set(split.filter(pl.col("source").is_in(unseen))["patient_id"])
    parts = [
        "test" if row["patient_id"] in seen_elsewhere else _part(lot[row["patient_id"]], row["source"])
        for row in split.iter_rows(named=True)
    ]
    drawn = pl.Series("split", parts)
    return table.with_frame(pl.concat([split.with_columns(drawn), measured.select(split.columns)]))


def _part(lot: float, source: str) -> str:
    train = _TRAIN_MOST if source == "kermany" else _TRAIN
    if lot >= train + _TUNE:
        return "test"
    return "tune" if lot >= train else "train"


def _network_outputs(trained: Trained, films: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    network = ExportedNetwork(trained.network).eval()
    logits, features = [], []
    with torch.inference_mode():
        for start in range(0, len(films), 64):
            found = network(torch.from_numpy(films[start : start + 64].astype(np.float32) / 255)[:, None])
            logits.append(found[0].numpy())
            features.append(found[2].numpy())
    scores = np.concatenate(logits).astype(np.float64)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True), np.concatenate(features)


def _source_accuracy(features: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, class_weight="balanced", max_iter=2000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    guess = cross_val_predict(model, features, truth, groups=patients, cv=folds)
    return float(balanced_accuracy_score(truth, guess))


def _measured(trained: Trained, prepared: Prepared) -> dict[str, float]:
    test = (prepared.table.frame["split"] == "test").to_numpy()
    frame = prepared.table.frame.filter(pl.Series(test))
    source, label, patients = (frame[name].to_numpy() for name in ("source", "label", "patient_id"))
    rows = prepared.rows[test]
    chances, features = _network_outputs(trained, np.asarray(prepared.cache.films[rows]))
    normal, bacterial, viral, covid = chances.T
    nih, kermany = source == "nih", source == "kermany"

    def auc(chosen: np.ndarray, positive: np.ndarray, score: np.ndarray) -> float:
        return float(roc_auc_score(positive[chosen], score[chosen]))

    apart = frame["train_release"].to_numpy() != "yes"
    unseen, control = (source == _UNSEEN) | apart, nih & (label == "normal")
    disease = (label == "covid19") & np.isin(source, ["cxnet", _UNSEEN]) & ~apart
    healthy = (label == "normal") & (nih | kermany)
    told = {
        "nih pneumonia": auc(nih, label != "normal", 1 - normal),
        "kermany pneumonia": auc(kermany, label != "normal", 1 - normal),
        "source of covid19": _source_accuracy(features[disease], source[disease], patients[disease]),
        "source of normal": _source_accuracy(features[healthy], source[healthy], patients[healthy]),
        "unseen vs nih normal, P(covid19)": auc(unseen | control, unseen, covid),
        "unseen vs nih normal, P(pneumonia)": auc(unseen | control, unseen, 1 - normal),
        "unseen vs nih pneumonia": auc(unseen | (nih & ~control), unseen, covid),
        "hannover vs nih normal, P(covid19)": auc((source == _UNSEEN) | control, source == _UNSEEN, covid),
        "P(covid19) unseen": float(covid[unseen].mean()),
        "P(covid19) nih normal": float(covid[control].mean()),
        "P(covid19) nih pneumonia": float(covid[nih & ~control].mean()),
        "P(covid19) kermany normal": float(covid[kermany & (label == "normal")].mean()),
        "P(pneumonia) nih normal": float((1 - normal)[control].mean()),
    }
    learned = prepared.table.frame.filter(pl.col("split") == "train")["label"]
    if {"bacterial", "viral"} <= set(learned):
        kind = bacterial / (bacterial + viral)
        told["kermany bacterial"] = auc(kermany & (label != "normal"), label == "bacterial", kind)
    return {**told, **_without_lungs(trained, prepared, rows, chances, unseen=unseen, control=control)}


def _without_lungs(
    trained: Trained,
    prepared: Prepared,
    rows: np.ndarray,
    before: np.ndarray,
    *,
    unseen: np.ndarray,
    control: np.ndarray,
) -> dict[str, float]:
    """Answers on the unseen films and their control once the lungs are black."""
    lungless = prepared.cache.lungless
    if lungless is None:
        raise SystemExit("films without lungs were not cached")
    chosen = (unseen | control) & np.asarray([lungless[row, 1].any() for row in rows])
    chances, _ = _network_outputs(trained, np.asarray(lungless[rows[chosen], 0]))
    truth = unseen[chosen]
    return {
        "lungs black, P(covid19)": float(roc_auc_score(truth, chances[:, 3])),
        "lungs black, P(pneumonia)": float(roc_auc_score(truth, 1 - chances[:, 0])),
        "lungs black, change of P(covid19)": float(np.abs(chances[:, 3] - before[chosen, 3]).mean()),
    }


def main() -> None:
    """Train and measure every arm and seed that is not in the results yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/framing"))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--unseen", nargs="+", choices=[_UNSEEN, "nih", "kermany"], default=[_UNSEEN])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    chosen = parser.parse_args()
    data, out, arms = chosen.data / "cxr", chosen.out, chosen.arms
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.jsonl"
    done = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.exists() else []
    base = load_recipe("pneumonia").changed({"size": _SIZE, "averaging": 0.98})
    task = default_task()
    table = read_film_table(data / "images.csv", task)
    wanted = (table.frame["train_release"].to_numpy() == "yes") | (table.frame["source"].to_numpy() == "cxnet")
    table = table.with_frame(table.frame.filter(pl.Series(wanted)))
    frozen = _frozen(table, data, out, base, chosen.unseen)
    epochs = max(_FEWEST_EPOCHS, round(_SHOWN / (frozen.frame["split"] == "train").sum()))
    base = base.changed({"epochs": epochs, "patience": epochs})
    for seed in chosen.seeds:
        for arm in arms:
            if any((row["arm"], row["seed"]) == (arm, seed) for row in done):
                continue
            recipe = base.changed({**ARMS[arm], "seed": base.seed + seed})
            place = out / f"cache-{recipe.framing}-{recipe.intensity}-part"
            cache = cache_films(frozen, recipe.standardisation(), place, lungless=True, workers=2)
            proof = prove_disjoint(frozen, cache.hashes)
            prepared = Prepared(frozen, np.arange(len(frozen)), cache, proof, {})
            run = out / f"{arm}-{seed}"
            run.mkdir(exist_ok=True)
            trained = fit(prepared, task, recipe, run, Machine(accelerator="cpu", threads=torch.get_num_threads()))
            trained = replace(trained, network=trained.network.eval())
            row = {"arm": arm, "seed": seed, "unframed": len(cache.unframed), **_measured(trained, prepared)}
            done.append(row)
            with results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    _tell(done)


def _tell(rows: list[dict[str, object]]) -> None:
    names = [name for name in rows[0] if name not in {"arm", "seed", "unframed"}]
    print("mean (least to most) over seeds")
    for name in names:
        cells = []
        for arm in dict.fromkeys(str(row["arm"]) for row in rows):
            values = [float(str(row[name])) for row in rows if row["arm"] == arm]
            cells.append(f"{arm} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"{name:<36}{'   '.join(cells)}")


if __name__ == "__main__":
    main()
