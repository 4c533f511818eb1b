"""Proofs of guideline items: each looks into a run for one thing and, where it is there, says where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from carina.report.checklist_evidence import Evidence, Link, Proof
from carina.report.evaluation_run import factor_of, level_of
from carina.report.evaluation_words import factor_words

__all__ = ["PROOFS"]

_PEOPLE = {"sex", "age", "age_band", "ethnicity"}
_TAKING = {"view", "position", "device"}
_TWO = 2


def _if(there: Any, href: str, says: str) -> Link | None:
    return Link(href, says) if there else None


def _few(names: Iterable[str], most: int = 6) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:most]) + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def _rules(evidence: Evidence, *sections: str) -> Link | None:
    rules = (evidence.cohort or {}).get("rules")
    there = isinstance(rules, Mapping) and all(name in rules for name in sections)
    return _if(there, "#flow", f"the cohort's rules ({', '.join(sections)}), by sentence")


def _bundle(evidence: Evidence, key: str, says: str) -> Link | None:
    return _if((evidence.bundle or {}).get(key), "#model", says)


def _trained(evidence: Evidence, key: str, says: str) -> Link | None:
    return _if(evidence.training.get(key), "#model", says)


def _sources(evidence: Evidence) -> Link | None:
    found = evidence.cells.get("source", set())
    return _if(found, "#subgroups", f"sources: {_few(found)}")


def _trained_sources(evidence: Evidence) -> set[str]:
    labels = evidence.training.get("labels")
    train = labels.get("train", {}) if isinstance(labels, Mapping) else {}
    return {str(name).rpartition("/")[0] for name in train}


def _internal(evidence: Evidence) -> Link | None:
    both = evidence.cells.get("source", set()) & _trained_sources(evidence)
    return _if(both, "#subgroups", f"by source: {_few(both)} gave films to the training as well, of other patients")


def _external(evidence: Evidence) -> Link | None:
    trained = _trained_sources(evidence)
    outside = evidence.cells.get("source", set()) - trained if trained else set()
    estimated = {
        level_of(number) for number in evidence.estimated("auc", group="subgroup") if factor_of(number) == "source"
    }
    found = outside & estimated
    return _if(found, "#subgroups", f"by source: none of the training comes from {_few(found)}")


def _acquisition(evidence: Evidence) -> Link | None:
    found = _TAKING & set(evidence.cells)
    return _if(found, "#subgroups", f"by {_few(factor_words(name).lower() for name in found)}")


def _people(evidence: Evidence) -> Link | None:
    found = _PEOPLE & set(evidence.cells)
    return _if(len(found) >= _TWO, "#subgroups", f"by {_few(factor_words(name).lower() for name in found)}")


def _between_sources(evidence: Evidence) -> Link | None:
    found = [number for number in evidence.estimated("auc", group="subgroup") if factor_of(number) == "source"]
    levels = {level_of(number) for number in found}
    if len(levels) >= _TWO:
        return Link("#subgroups", f"AUC by source: {_few(levels)}")
    return _if(evidence.of_group("leave_one_source_out"), "#robustness", "each source left out of the training")


def _intervals(evidence: Evidence) -> Link | None:
    """Every headline that has a value has an interval: one without would make the item false."""
    valued = [number for number in evidence.run.headlines if number.value is not None]
    whole = valued and all(None not in {number.low, number.high} for number in valued)
    return _if(whole, "#headline", f"an interval beside each of {len(valued)} headline numbers, with its method")


def _sens_spec(evidence: Evidence) -> Link | None:
    both = evidence.estimated("sensitivity", group="contrast") and evidence.estimated("specificity", group="contrast")
    return _if(both, "#headline", "sensitivity and specificity with exact intervals")


def _thresholds(evidence: Evidence) -> Link | None:
    used = [n for n in evidence.estimated("sensitivity", "ppv", group="contrast") if n.threshold is not None]
    fixed = ((evidence.bundle or {}).get("calibration") or {}).get("thresholds")
    return _if(used and fixed, "#headline", "thresholds fixed on the bundle's calibrate films, before these were seen")


def _decided(evidence: Evidence) -> Link | None:
    confusion = evidence.run.metrics.get("confusion") or {}
    names = str(confusion.get("classes") or confusion.get("columns") or confusion.get("decisions") or "")
    found = "indeterminate" in names or evidence.of_group("conformal")
    return _if(found, "#confusion", "undecided and refused films counted; prediction sets by class")


def _left_out(evidence: Evidence) -> Link | None:
    films = evidence.run.metrics.get("films") or {}
    return _if("left_out" in films and "refused" in films, "#flow", "films left out and refused, each with its reason")


def _flow(evidence: Evidence) -> Link | None:
    films = evidence.run.metrics.get("films") or {}
    return _if(films.get("given") and films.get("judged"), "#flow", "flow of films, with counts")


def _curve(kind: str, says: str, *measures: str) -> Callable[[Evidence], Link | None]:
    def show(evidence: Evidence) -> Link | None:
        curves = evidence.run.metrics.get("curves") or {}
        drawn = any((curve or {}).get(kind) for curve in curves.values())
        return _if(drawn and (not measures or evidence.estimated(*measures)), "#curves", says)

    return show


def _failures(evidence: Evidence) -> Link | None:
    return _if(evidence.run.metrics.get("gallery"), "#gallery", "the films that went most wrong, one by one")


def _fairness(evidence: Evidence) -> Link | None:
    tested = [n for n in evidence.of_group("association") if n.value is not None]
    return _people(evidence) if tested else None


def _apart(evidence: Evidence) -> Link | None:
    left = (evidence.run.metrics.get("films") or {}).get("left_out") or {}
    by_rule = any("train" in str(reason).lower() for reason in left)
    known = evidence.training.get("films")
    asked = (evidence.run.metrics.get("options") or {}).get("split") != "train"
    return _if(
        asked and (by_rule or known), "#flow", "films of the training's patients are left out, by the bundle's hashes"
    )


def _probe(says: str, *fragments: str) -> Callable[[Evidence], Link | None]:
    def show(evidence: Evidence) -> Link | None:
        return _if(evidence.probe(*fragments), "#audit", says)

    return show


def _audited(evidence: Evidence) -> Link | None:
    done = [p for p in (evidence.run.audit or {}).get("probes", []) if p.get("outcome") in {"passed", "failed"}]
    return _if(done, "#audit", f"{len(done)} probes of the shortcut audit, each with its criterion")


def _disjoint(evidence: Evidence) -> Link | None:
    split = evidence.training.get("split")
    proved = isinstance(split, Mapping) and split.get("shared_patients") == 0
    return _if(proved, "#model", "patients in two parts: 0, proved by hash")


def _training(evidence: Evidence) -> Link | None:
    recipe = evidence.training.get("recipe")
    told = isinstance(recipe, Mapping) and {"augmentation", "learning_rate", "epochs"} <= set(recipe)
    return _if(told, "#model", "recipe: augmentation, learning rate, epochs, batch, seed")


def _by_part(evidence: Evidence) -> Link | None:
    """Two parts of the table or more, in each of which two things of the people are told."""
    told = (evidence.run.metrics.get("characteristics") or {}).get("parts") or ()
    parts = [
        str(one["part"])
        for one in told
        if one.get("part") != "judged"
        and one.get("label") == "all"
        and len(_PEOPLE & {name for name, levels in (one.get("levels") or {}).items() if set(levels) - {"not told"}})
        >= _TWO
    ]
    return _if(len(parts) >= _TWO, "#characteristics", f"patients by part: {', '.join(parts)}")


def _dates(evidence: Evidence) -> Link | None:
    """Shifted dates do not tell when films were taken."""
    dates = (evidence.cohort or {}).get("dates")
    true = isinstance(dates, Mapping) and dates.get("told") == "true" and dates.get("first")
    return _if(true, "#flow", "first and last day of the films")


def _deidentified(evidence: Evidence) -> Link | None:
    proof = ((evidence.cohort or {}).get("inputs") or {}).get("deidentified")
    clean = isinstance(proof, Mapping) and proof.get("leaks") == 0
    return _if(clean, "#flow", "identifiers removed; every stored byte searched for them, none found")


def _natural(evidence: Evidence) -> Link | None:
    """Only a cohort that takes every eligible patient has a prevalence of its own."""
    whole = (evidence.cohort or {}).get("labels") and evidence.of_group("proportion")
    return _if(
        whole and not (evidence.cohort or {}).get("public_films"), "#proportions", "class mix of the cohort as it is"
    )


def _stamp(evidence: Evidence) -> Link | None:
    model = evidence.run.model or {}
    return _if(model.get("model_sha256"), "#made", "bundle, version and hash; `carina predict` gives the same numbers")


def _model_alone(evidence: Evidence) -> Link | None:
    return _if(evidence.run.model, "#model", "the network gets pixels alone: no request, no record, no label")


PROOFS: dict[str, Proof] = {
    "sources": Proof("the table's column source", _sources),
    "eligibility": Proof("a cohort of `carina cohort` (--cohort)", lambda e: _rules(e, "eligibility")),
    "suspicion": Proof("a cohort of `carina cohort` (--cohort)", lambda e: _rules(e, "eligibility", "films")),
    "reference_standard": Proof(
        "a cohort with rules of the gold standard (--cohort)", lambda e: _rules(e, "gold", "codes")
    ),
    "reference_window": Proof(
        "a cohort with rules of episode and aetiology (--cohort)", lambda e: _rules(e, "episodes", "aetiology")
    ),
    "choice_of_films": Proof("a cohort with its split (--cohort)", lambda e: _rules(e, "films", "split")),
    "coverage": Proof(
        "a cohort with its coverage (--cohort)",
        lambda e: _if(
            e.cohort and "coverage_gaps" in e.cohort,
            "#flow",
            "coverage of each class by age, sex, BMI, ethnicity, view and device",
        ),
    ),
    "deidentified": Proof("`carina deid verify` that finds no leak before `carina cohort` (--cohort)", _deidentified),
    "dates": Proof("a cohort whose dates are the hospital's own; shifted ones do not tell (--cohort)", _dates),
    "preprocessing": Proof(
        "the model's bundle",
        lambda e: _bundle(e, "preprocessing", "framing, size and grey scale, the same for every film"),
    ),
    "quality_gate": Proof(
        "films refused, counted by reason",
        lambda e: _if(
            "refused" in (e.run.metrics.get("films") or {}), "#flow", "refused films, by reason of the quality gate"
        ),
    ),
    "left_out": Proof("counts of films left out, by reason", _left_out),
    "training_left_out": Proof(
        "the model's bundle with notes on films left out",
        lambda e: _trained(e, "notes", "films left out of the training, by reason"),
    ),
    "acquisition": Proof("the table's columns view, position or device", _acquisition),
    "devices": Proof("the table's column device", lambda e: _if(e.cells.get("device"), "#subgroups", "by device")),
    "reader_agreement": Proof(
        "a reader study (--readers)",
        lambda e: _if(
            [n for n in e.of_group("readers") if n.measure in {"kappa", "agreement", "readers_kappa"}],
            "#readers",
            "agreement of readers",
        ),
    ),
    "partitions": Proof(
        "the model's bundle",
        lambda e: _trained(e, "labels", "films of train, tune, calibrate and test, by source and label"),
    ),
    "patients_disjoint": Proof("the model's bundle with its proof of disjoint patients", _disjoint),
    "patients_apart": Proof("a bundle with the hashes of its training", _apart),
    "duplicates_probe": Proof(
        "the audit's probe of near-duplicates", _probe("near-duplicates between training and test", "duplicate")
    ),
    "sample_size": Proof(
        "`carina evaluate --sample-size` with what `carina sample-size` planned",
        lambda e: _if(e.run.metrics.get("sample_size"), "#sample-size", "films planned, beside those there are"),
    ),
    "model_described": Proof(
        "the model's bundle", lambda e: _bundle(e, "network", "network, parameters, input and output")
    ),
    "model_stamp": Proof("a model instead of predictions from a file", _stamp),
    "software": Proof(
        "the model's bundle with versions", lambda e: _trained(e, "versions", "versions of the libraries")
    ),
    "initial_weights": Proof(
        "the model's bundle with its recipe",
        lambda e: _if("pretrained" in (e.training.get("recipe") or {}), "#model", "first weights"),
    ),
    "training_described": Proof("the model's bundle with its recipe", _training),
    "model_selection": Proof(
        "the model's bundle with its loss on tune films",
        lambda e: _if(e.training.get("tune_loss") is not None, "#model", "epoch with the least loss on `tune` films"),
    ),
    "one_network": Proof("the model's bundle", lambda e: _bundle(e, "network", "one network; nothing is combined")),
    "recalibrated_mix": Proof(
        "a calibrated bundle with its class mix",
        lambda e: _if(
            ((e.bundle or {}).get("calibration") or {}).get("class_mix"),
            "#model",
            "temperatures fitted on `calibrate` films, with their class mix",
        ),
    ),
    "train_and_judged": Proof(
        "a bundle and the table's column source",
        lambda e: _if(
            _trained_sources(e) and e.cells.get("source"),
            "#model",
            "sources and labels of the training beside those judged",
        ),
    ),
    "metrics": Proof(
        "AUC, sensitivity, specificity",
        lambda e: _if(e.estimated("auc") and e.estimated("sensitivity"), "#headline", "measures of M29, by contrast"),
    ),
    "intervals": Proof("an interval beside every headline number", _intervals),
    "sensitivity_specificity": Proof("sensitivity and specificity at a fixed threshold", _sens_spec),
    "discrimination": Proof("ROC curve and AUC", _curve("roc", "ROC with AUC and interval", "auc")),
    "calibration": Proof("calibration curve", _curve("calibration", "calibration curve, slope and error")),
    "net_benefit": Proof("decision curve", _curve("decision", "net benefit against calling all and none")),
    "thresholds": Proof("a bundle whose thresholds were fixed on other films", _thresholds),
    "indeterminate": Proof("undecided films in the confusion matrix, or prediction sets", _decided),
    "robustness": Proof(
        "`carina evaluate` with changed films",
        lambda e: _if(e.of_group("robustness"), "#robustness", "noise, rotation, brightness and the like"),
    ),
    "heatmap_probe": Proof(
        "the audit's probe of heatmap and lungs",
        _probe("share of the heatmap in the lungs", "heatmap", "lung share", "relevance"),
    ),
    "internal_test": Proof("the bundle's sources and the table's column source", _internal),
    "external_test": Proof(
        "films of a source that gave none to the training, with both sides of a contrast", _external
    ),
    "between_sources": Proof("AUC in two sources or more", _between_sources),
    "subgroups": Proof(
        "subgroups in two columns of the table or more",
        lambda e: _if(len(e.cells) >= _TWO, "#subgroups", f"by {_few(factor_words(name).lower() for name in e.cells)}"),
    ),
    "demographics": Proof("the table's columns sex, age or ethnicity (two of them)", _people),
    "demographics_by_part": Proof("a table with split and two of sex, age, ethnicity", _by_part),
    "fairness": Proof("subgroups of people, and the tests of M32", _fairness),
    "alternative_diagnoses": Proof(
        "proportions of each class", lambda e: _if(e.of_group("proportion"), "#proportions", "shares of each diagnosis")
    ),
    "natural_prevalence": Proof("a cohort of all eligible patients (--cohort)", _natural),
    "counts_everywhere": Proof(
        "films and events beside each number",
        lambda e: _if(
            e.estimated("sensitivity")
            and all(n.n is not None for n in e.estimated("sensitivity", "specificity", "ppv", "npv")),
            "#numbers",
            "films, patients and events beside each number",
        ),
    ),
    "confusion": Proof(
        "a confusion matrix",
        lambda e: _if((e.run.metrics.get("confusion") or {}).get("matrix"), "#confusion", "what was called what"),
    ),
    "failures": Proof("films that went wrong", _failures),
    "audit": Proof("the shortcut audit", _audited),
    "flow": Proof("counts of films given and judged", _flow),
    "cross_validation": Proof(
        "cross-validation by patient",
        lambda e: _if(e.of_group("cross_validation"), "#robustness", "folds by patient, each trained anew"),
    ),
    "film_alone": Proof("a model instead of predictions from a file", _model_alone),
    "outputs_stored": Proof(
        "films.parquet beside metrics.json",
        lambda e: _if(
            (e.run.folder / "films.parquet").is_file(), "films.parquet", "one row a film, with its probabilities"
        ),
    ),
}
"""Every proof that an item may name."""
