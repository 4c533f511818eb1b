"""A model against evidence: where it looks, and what that can be believed for (M3, M21, M23)."""

from __future__ import annotations

from carina.evidence.audit import audit_model, audit_task, write_audit
from carina.evidence.audit_outcome import Audit, Probe, Verdict
from carina.evidence.baselines import average_boxes, lung_centre_boxes, lung_centres
from carina.evidence.boxes import BoxRow, BoxTable, read_boxes
from carina.evidence.estimates import Estimate, patient_bootstrap, patient_mean
from carina.evidence.explain import ExplainOptions, Explanation, Plan, explain, plan_films
from carina.evidence.explain_files import write_explanation
from carina.evidence.findings import Finding, findings
from carina.evidence.judged import (
    JudgedFilms,
    ModelStamp,
    contrast_scores,
    judge_changes,
    judge_films,
    read_predictions,
)
from carina.evidence.localisation import (
    Detections,
    Overlap,
    average_precision,
    box_iou,
    box_mask,
    froc_sensitivity,
    heat_boxes,
    map_overlap,
    match_boxes,
    pointing_hit,
)
from carina.evidence.measures import MEASURES, MeasureKind
from carina.evidence.perturbation import Curves, Occlusion, curve_area, deletion_insertion, occlusion
from carina.evidence.randomised import shuffled_weights, weight_layers
from carina.evidence.relevance import MassShare, mass_share
from carina.evidence.sharing import Exported, Imported, export_package, import_package
from carina.evidence.sharing_compare import Comparison, compare_evaluations
from carina.evidence.similarity import rank_correlation, structural_similarity

__all__ = [
    "MEASURES",
    "Audit",
    "BoxRow",
    "BoxTable",
    "Comparison",
    "Curves",
    "Detections",
    "Estimate",
    "ExplainOptions",
    "Explanation",
    "Exported",
    "Finding",
    "Imported",
    "JudgedFilms",
    "MassShare",
    "MeasureKind",
    "ModelStamp",
    "Occlusion",
    "Overlap",
    "Plan",
    "Probe",
    "Verdict",
    "audit_model",
    "audit_task",
    "average_boxes",
    "average_precision",
    "box_iou",
    "box_mask",
    "compare_evaluations",
    "contrast_scores",
    "curve_area",
    "deletion_insertion",
    "explain",
    "export_package",
    "findings",
    "froc_sensitivity",
    "heat_boxes",
    "import_package",
    "judge_changes",
    "judge_films",
    "lung_centre_boxes",
    "lung_centres",
    "map_overlap",
    "mass_share",
    "match_boxes",
    "occlusion",
    "patient_bootstrap",
    "patient_mean",
    "plan_films",
    "pointing_hit",
    "rank_correlation",
    "read_boxes",
    "read_predictions",
    "shuffled_weights",
    "structural_similarity",
    "weight_layers",
    "write_audit",
    "write_explanation",
]
