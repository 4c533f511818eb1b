"""Which grey-scale standardisation keeps the label and loses the source (M3, M36).

All films are first degraded to one resolution and one aspect (160 x 160 px, 8 bit), then standardised in each way, then
turned into features by EfficientNet-Lite0 as trained on ImageNet. A logistic regression on them, cross-validated by
patient, is asked two questions: the disease within a source (its AUC should stay), and the source within a disease (its
balanced accuracy should fall towards chance).

Run: python benchmarks/standardisation.py ../shared/data/cxr/images.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from carina.imaging import Standardisation, read_film, standardise
from carina.networks.efficientnet_lite import EfficientNetLite0Trunk, imagenet_weights

_SIDE = 160
_MOST_PER_GROUP = 400
_WAYS = ("none", "window", "equalise", "local")
_DISEASE = (
    ("nih", "normal", "pneumonia_non_covid19"),
    ("kermany", "normal", "bacterial"),
    ("kermany", "viral", "bacterial"),
)
_SOURCE = (("covid19", ("cxnet", "hannover")), ("normal", ("kermany", "nih")))


def _chosen(table: Path) -> pl.DataFrame:
    frame = pl.read_csv(table, infer_schema=False).with_columns(pl.lit(str(table.parent)).alias("folder"))
    frame = frame.filter(pl.col("duplicate_of").fill_null("") == "", pl.col("source") != "cohen")
    wanted = frame.sample(fraction=1.0, shuffle=True, seed=1)
    return wanted.group_by("source", "label", maintain_order=True).head(_MOST_PER_GROUP)


def _degraded(frame: pl.DataFrame) -> np.ndarray:
    films = []
    for row in frame.iter_rows(named=True):
        pixels = read_film(Path(row["folder"]) / row["path"]).pixels
        small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        films.append(np.rint(small * 255) / 255)
    return np.stack(films).astype(np.float32)


def _features(films: np.ndarray, way: str) -> np.ndarray:
    if way != "none":
        spec = Standardisation(size=_SIDE, intensity=way)
        films = np.stack([standardise(film, spec) for film in films]).astype(np.float32) / 255
    trunk = EfficientNetLite0Trunk().eval()
    trunk.load_state_dict({k: v for k, v in imagenet_weights().items() if not k.startswith("classifier.")})
    parts = []
    with torch.no_grad():
        for start in range(0, len(films), 32):
            batch = (torch.from_numpy(films[start : start + 32])[:, None] * 255 - 127) / 128
            parts.append(trunk(batch.expand(-1, 3, -1, -1)).mean((2, 3)).numpy())
    return np.concatenate(parts)


def _ask(features: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> np.ndarray:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, class_weight="balanced", max_iter=2000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    return cross_val_predict(model, features, truth, groups=patients, cv=folds, method="predict_proba")[:, 1]


def main() -> None:
    """Print the table."""
    frame = _chosen(Path(sys.argv[1]))
    films = _degraded(frame)
    source, label, patients = (frame[name].to_numpy() for name in ("source", "label", "patient_id"))
    names = [f"{s}: {a} vs {b}, AUC" for s, a, b in _DISEASE] + [
        f"source within {d}, balanced acc." for d, _ in _SOURCE
    ]
    print(f"| grey scale | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for way in _WAYS:
        features = _features(films, way)
        cells = []
        for where, one, other in _DISEASE:
            use = (source == where) & np.isin(label, [one, other])
            scores = _ask(features[use], label[use] == other, patients[use])
            cells.append(roc_auc_score(label[use] == other, scores))
        for disease, (one, other) in _SOURCE:
            use = (label == disease) & np.isin(source, [one, other])
            scores = _ask(features[use], source[use] == other, patients[use])
            cells.append(balanced_accuracy_score(source[use] == other, scores > 0.5))
        print(f"| {way} | {' | '.join(f'{cell:.3f}' for cell in cells)} |", flush=True)


if __name__ == "__main__":
    main()
