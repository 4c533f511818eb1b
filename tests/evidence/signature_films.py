"""Feature tables made up for tests: what is planted is known."""

from __future__ import annotations

import numpy as np
import polars as pl

from carina.evidence.signature_table import SignatureTable


def made_up(
    sides: dict[str, tuple[str, str]],
    *,
    patients: int = 40,
    features: int = 30,
    planted: float = 0.0,
    source_shift: float = 0.0,
    seed: int = 1,
    films: int = 1,
) -> SignatureTable:
    """Two labels a source, `patients` of each; the first three features differ by `planted` between them."""
    rng = np.random.default_rng(seed)
    rows, values = [], []
    for place, (source, labels) in enumerate(sides.items()):
        for label in labels:
            up = label != labels[0] or label == "covid19"
            for person in range(patients):
                own = rng.normal(0.0, 0.5, features)
                for film in range(films):
                    name = f"{source}-{label}-{person}"
                    rows.append({
                        "image_id": f"{name}-{film}", "patient_id": name, "label": label, "source": source
                    })  # fmt: skip
                    one = own + rng.normal(0.0, 1.0, features) + source_shift * place
                    one[:3] += planted * up
                    values.append(one)
    names = tuple(f"lungs.original_firstorder_Made{number}" for number in range(features))
    return SignatureTable(pl.DataFrame(rows), names, np.array(values), "0" * 64)
