"""Write tests/texture/combat.json: what neuroCombat makes of made-up films.

Run it with a Python that has neuroCombat 0.2.12 (``pip install neuroCombat``), in an environment of its own:
``python scripts/combat_oracle.py tests/texture/combat.json``. The product and its tests need none of it. Its iteration
stops at a change of 1e-4; here it goes on to 1e-12, so that the values are those of the method.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Make films of three sources, with and without a covariate, and harmonise them."""
    peer = import_module("neuroCombat.neuroCombat")  # hidden behind its function of the same name
    peer.it_sol.__defaults__ = (1e-12,)
    rng = np.random.default_rng(7)
    sources = np.repeat(["a", "b", "c"], [9, 14, 11])
    ill = rng.integers(0, 2, len(sources))
    values = rng.normal(size=(len(sources), 12)) * rng.uniform(0.5, 4, 12) + rng.normal(size=12) * 10
    values += ill[:, None] * rng.normal(size=12)
    for name, shift, wide in (("b", 2.0, 1.7), ("c", -1.0, 0.6)):
        rows = sources == name
        values[rows] = values[rows] * wide + shift + rng.normal(size=12)
    values = np.round(values, 6)
    frame = pd.DataFrame({"source": sources, "ill": ill})
    found = {}
    for name, more in (("plain", {}), ("covariate", {"continuous_cols": ["ill"]}), ("alone", {"eb": False})):
        answer = peer.neuroCombat(dat=values.T, covars=frame, batch_col="source", **more)
        found[name] = np.asarray(answer["data"]).T.tolist()
    content = {"sources": sources.tolist(), "ill": ill.tolist(), "values": values.tolist(), "found": found}
    Path(sys.argv[1]).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
