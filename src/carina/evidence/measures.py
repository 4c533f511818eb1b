"""Every measure of relevance, with its sentence: a policy that describes itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MEASURES", "STAGES", "MeasureKind", "stage_name"]

STAGES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the layers whose weights are shuffled, from the output."""


@dataclass(frozen=True, slots=True)
class MeasureKind:
    """A measure of single films.

    Attributes
    ----------
    name : str
        Column of ``films.csv``.
    sentence : str
        What it is.
    family : str
        ``"lungs"``, ``"boxes"``, ``"perturbation"``, ``"stability"``, ``"randomised"`` or ``"occlusion"``.
    by_group : bool
        Whether it is also given for each source and each label.
    optional : bool
        Whether it is left out where no film has it: a model without that branch.
    """

    name: str
    sentence: str
    family: str
    by_group: bool = False
    optional: bool = False


def stage_name(share: float) -> str:
    """Name of a share of shuffled layers.

    Examples
    --------
    >>> stage_name(0.4)
    '40'
    """
    return f"{100 * share:.0f}"


_LUNGS = (
    MeasureKind("lung_share", "share of the raw class map's mass inside the lung fields", "lungs", by_group=True),
    MeasureKind("lung_area", "share of the network's field of view that the lung fields cover", "lungs", by_group=True),
    MeasureKind(
        "lung_enrichment",
        "mass share over area share; 1 is a map that points nowhere, below 1 one that avoids the lungs",
        "lungs",
        by_group=True,
    ),
    MeasureKind(
        "lung_reference",
        "mass share of a map of the same grid whose cells hold just what they have of the lung fields",
        "lungs",
        by_group=True,
    ),
    MeasureKind(
        "lung_share_without_heart",
        "mass share inside the lung fields less the estimated heart and mediastinum",
        "lungs",
        by_group=True,
    ),
    MeasureKind("lung_area_without_heart", "area share of the lung fields less the estimated heart", "lungs"),
    MeasureKind("lung_enrichment_without_heart", "mass share over area share, both less the estimated heart", "lungs"),
)
_BOXES = (
    MeasureKind("pointing", "pointing game: the class map's maximum lies inside a reader's box", "boxes"),
    MeasureKind("pointing_near", "pointing game with a tolerance of 3 % of the field of view's side", "boxes"),
    MeasureKind("pointing_lung_centres", "pointing game of the lungs' centres, the mean of both", "boxes"),
    MeasureKind("pointing_average_box", "pointing game of the centre of the other patients' average box", "boxes"),
    MeasureKind(
        "pointing_less_lung_centres", "pointing game of the class map less that of the lungs' centres", "boxes"
    ),
    MeasureKind("pointing_less_average_box", "pointing game of the class map less that of the average box", "boxes"),
    MeasureKind("box_iou", "overlap (IoU) of the map from half its maximum up with the readers' boxes", "boxes"),
    MeasureKind("box_share", "share of the class map's mass inside the readers' boxes", "boxes"),
    MeasureKind("box_area", "share of the field of view inside the readers' boxes: pointing by chance", "boxes"),
    MeasureKind("box_enrichment", "mass share over area share of the readers' boxes", "boxes"),
    MeasureKind("opacity_pointing", "pointing game of the score map", "boxes", optional=True),
    MeasureKind(
        "opacity_iou", "overlap (IoU) of the score map from half its maximum up with the boxes", "boxes", optional=True
    ),
    MeasureKind("opacity_share", "share of the score map's mass inside the readers' boxes", "boxes", optional=True),
)
_PERTURBATION = (
    MeasureKind(
        "deletion", "area under the deletion curve, pixels in the map's order; lower is better", "perturbation"
    ),
    MeasureKind("deletion_random", "the same for a random map of the same grid", "perturbation"),
    MeasureKind("deletion_lung_centres", "the same for nearness to the lungs' centres", "perturbation"),
    MeasureKind(
        "deletion_less_random", "deletion of the map less that of the random map; below 0 is better", "perturbation"
    ),
    MeasureKind(
        "deletion_less_lung_centres",
        "deletion of the map less that of the lungs' centres; below 0 is better",
        "perturbation",
    ),
    MeasureKind(
        "insertion", "area under the insertion curve, pixels in the map's order; higher is better", "perturbation"
    ),
    MeasureKind("insertion_random", "the same for a random map of the same grid", "perturbation"),
    MeasureKind("insertion_lung_centres", "the same for nearness to the lungs' centres", "perturbation"),
    MeasureKind(
        "insertion_less_random", "insertion of the map less that of the random map; above 0 is better", "perturbation"
    ),
    MeasureKind(
        "insertion_less_lung_centres",
        "insertion of the map less that of the lungs' centres; above 0 is better",
        "perturbation",
    ),
)
_STABILITY = (
    MeasureKind(
        "shift_correlation", "rank correlation of the map with that of the film shifted by 4 %, put back", "stability"
    ),
    MeasureKind("shift_change", "mean absolute change of the class's probability under these shifts", "stability"),
    MeasureKind(
        "noise_correlation",
        "rank correlation of the map with that of the film with noise of 2 % of the scale",
        "stability",
    ),
    MeasureKind("noise_change", "mean absolute change of the class's probability under this noise", "stability"),
)
_SHUFFLED = "rank correlation of the map with that of the network whose last {} % of layers are shuffled"
_SIMILAR = "structural similarity (SSIM) of these two maps, each spread over [0, 1]"
_RANDOMISED = (
    *(
        MeasureKind(f"shuffled_{stage_name(share)}_{kind}", sentence.format(stage_name(share)), "randomised")
        for share in STAGES
        for kind, sentence in (("correlation", _SHUFFLED), ("similarity", _SIMILAR))
    ),
    MeasureKind(
        "other_film_correlation", "rank correlation of the map with that of another patient's film", "randomised"
    ),
    MeasureKind("other_film_similarity", _SIMILAR, "randomised"),
)
_OCCLUSION = (
    MeasureKind(
        "occlusion_correlation",
        "rank correlation of the class map with the fall of log-odds under a grey patch",
        "occlusion",
    ),
    MeasureKind(
        "occlusion_lung_share",
        "share of the fall of log-odds under a patch that lies inside the lung fields",
        "occlusion",
    ),
    MeasureKind("occlusion_lung_enrichment", "that share over the lung fields' area share", "occlusion"),
)

MEASURES: tuple[MeasureKind, ...] = (*_LUNGS, *_BOXES, *_PERTURBATION, *_STABILITY, *_RANDOMISED, *_OCCLUSION)
"""Every measure of single films, in the order of the report."""
