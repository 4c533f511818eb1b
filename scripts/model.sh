#!/usr/bin/env bash
# Train the shipped models again: seeded, and resumable, for a run that was interrupted goes on from its last epoch.
# Usage: scripts/model.sh [DATA [RUNS]]      DATA has cxr/images.csv and cxr/boxes.csv; RUNS keeps the runs.
# Only films with `train_release = yes`; the patients of the films with boxes go to `test`.
set -euo pipefail
cd "$(dirname "$0")/.."

DATA=${1:-../shared/data}
RUNS=${2:-runs}
PYTHON=${PYTHON:-python}
THREADS=${THREADS:-$(nproc)}
ACCELERATOR=${ACCELERATOR:-auto}
export OMP_NUM_THREADS=$THREADS

[ -f "$DATA/cxr/images.csv" ] || {
    echo "the shipped models are trained on real films; there is no $DATA/cxr/images.csv" >&2
    exit 2
}
if [ ! -f "$RUNS/lungs/bundle.json" ]; then  # on all 109 masks; first, for the framing of the others may rest on it
    OMP_NUM_THREADS=1 "$PYTHON" -m carina.networks.lung_release --data "$DATA" --out "$RUNS/lungs"
fi
mkdir -p src/carina/models
rm -rf src/carina/models/lungs
cp -r "$RUNS/lungs" src/carina/models/lungs
echo "src/carina/models/lungs is the bundle of $RUNS/lungs"
for model in pneumonia-seed:1.0.0 pneumonia:1.2.0; do
    name=${model%:*}
    if [ ! -f "$RUNS/$name/bundle/bundle.json" ]; then
        "$PYTHON" -m carina train "$DATA/cxr/images.csv" --recipe "$name" --name "$name" --bundle-version "${model#*:}" --out "$RUNS/$name" \
            --where train_release=yes --hold-out "$DATA/cxr/boxes.csv" --threads "$THREADS" --accelerator "$ACCELERATOR" --open-test
    fi
    if [ ! -f "$RUNS/$name/audited/bundle.json" ]; then  # what ships says what the audit found
        "$PYTHON" -m carina audit "$RUNS/$name/bundle" "$RUNS/$name/split.csv" --split test --refit \
            --out "$RUNS/$name/audit" --card "$RUNS/$name/audited"
    fi
    mkdir -p src/carina/models
    rm -rf "src/carina/models/$name"
    cp -r "$RUNS/$name/audited" "src/carina/models/$name"
    echo "src/carina/models/$name is the bundle of $RUNS/$name"
done
