"""Numbers and names of an evaluation in words: one place decides how a value is printed."""

from __future__ import annotations

from markupsafe import Markup, escape

from carina.evidence.numbers import Number
from carina.report.evaluation_run import factor_of
from carina.report.page import words

__all__ = [
    "anchor",
    "cell_words",
    "factor_words",
    "level_words",
    "measure_words",
    "number_markup",
    "number_text",
    "origin",
    "value_text",
]

_MEASURES = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "kappa": "Cohen's kappa",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "ece": "Calibration error (ECE)",
    "slope": "Calibration slope",
    "intercept": "Calibration intercept",
    "in_the_large": "Calibration in the large",
    "observed_to_expected": "Observed to expected",
    "tp": "True positives",
    "fp": "False positives",
    "tn": "True negatives",
    "fn": "False negatives",
    "gold_share": "Gold standard",
    "predicted_share": "Mean probability",
    "called_share": "Most probable class",
    "decided_share": "Decision",
    "coverage": "Truth in the set",
    "empty": "Empty sets",
    "set_size": "Mean size of a set",
    "ordered": "Pairs ordered rightly",
    "change": "Change within patients",
    "gap_auc": "AUC, largest less smallest",
    "gap_sensitivity": "Sensitivity, largest less smallest",
    "gap_specificity": "Specificity, largest less smallest",
    "interaction": "Interaction (log odds)",
    "interaction_p": "Interaction, p",
    "interaction_p_holm": "Interaction, p by Holm",
    "right_among_positives": "Right among positives (log odds)",
    "right_among_positives_p": "Right among positives, p",
    "right_among_positives_p_holm": "Right among positives, p by Holm",
    "right_among_negatives": "Right among negatives (log odds)",
    "right_among_negatives_p": "Right among negatives, p",
    "right_among_negatives_p_holm": "Right among negatives, p by Holm",
}
_PERCENT = {
    *("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "macro_accuracy"),
    *("coverage", "empty", "indeterminate", "ordered", "agreement", "gap_sensitivity", "gap_specificity"),
    *("macro_sensitivity", "macro_specificity", "macro_ppv", "macro_npv"),
}
_COUNTS = {"tp", "fp", "tn", "fn", "films", "patients", "pairs", "n"}
_FACTORS = {
    "all": "All films",
    "sex": "Sex",
    "age": "Age",
    "age_band": "Age",
    "bmi": "BMI",
    "bmi_band": "BMI",
    "ethnicity": "Ethnicity",
    "view": "View",
    "position": "Position",
    "device": "Device",
    "source": "Source",
    "film_order": "First or last film",
}
_LEVELS = {
    ("sex", "F"): "female",
    ("sex", "M"): "male",
    ("sex", "f"): "female",
    ("sex", "m"): "male",
}
_NEARLY_ALL, _NEARLY_NONE = 0.9995, 0.0005


def measure_words(measure: str) -> str:
    """Measure in words.

    Examples
    --------
    >>> measure_words("ppv"), measure_words("mean_change")
    ('Positive predictive value', 'Mean change')
    """
    return _MEASURES.get(measure) or words(measure)


def factor_words(factor: str) -> str:
    """Put what divides the films into words."""
    return _FACTORS.get(factor) or words(factor)


def cell_words(number: Number) -> str:
    """Subgroup in words.

    Examples
    --------
    >>> told = {"id": "a.auc", "group": "subgroup", "measure": "auc", "contrast": "a", "value": 0.9}
    >>> told |= {"denominator": None, "films_used": "first_films"}
    >>> cell_words(Number.from_dict({**told, "cell": "sex=F"})), cell_words(Number.from_dict({**told, "cell": "all"}))
    ('Sex: female', 'All films')
    """
    if not factor_of(number):
        return factor_words(number.cell)
    parts = number.cell.split(",") if all("=" in part for part in number.cell.split(",")) else [number.cell]
    return ", ".join(_level_words(*part.split("=", 1)) for part in parts)


def _level_words(factor: str, level: str) -> str:
    if factor in {"class", "group"}:
        return words(level)
    return f"{factor_words(factor)}: {level_words(factor, level)}"


def level_words(factor: str, level: str) -> str:
    """Put a level of what divides the films into words.

    Examples
    --------
    >>> level_words("sex", "F"), level_words("view", "PA")
    ('female', 'PA')
    """
    return _LEVELS.get((factor, level), level)


def value_text(value: float | None, measure: str) -> str:
    """Print one value: percent for shares, whole numbers for counts, else three decimals; never a false 100 % or 0 %.

    Examples
    --------
    >>> value_text(0.8341, "ppv"), value_text(0.99962, "ppv"), value_text(1.0, "ppv"), value_text(0.93126, "auc")
    ('83.4 %', '> 99.9 %', '100 %', '0.931')
    >>> value_text(0.00001, "interaction_p"), value_text(None, "auc")
    ('< 0.001', 'not estimable')
    """
    if value is None:
        return "not estimable"
    if measure in _COUNTS:
        return f"{value:,.0f}"
    if measure in _PERCENT or measure.endswith("_share"):
        return _percent(value)
    if measure == "auc" and _NEARLY_ALL <= value < 1:
        return "> 0.999"
    return _decimals(value)


def number_text(number: Number) -> str:
    """Value and interval, or why there is none.

    Examples
    --------
    >>> told = {"id": "a.ppv", "group": "contrast", "measure": "ppv", "contrast": "a", "cell": "all"}
    >>> told |= {"denominator": "all_films", "films_used": "first_films", "value": None}
    >>> number_text(Number.from_dict({**told, "value": 0.834, "low": 0.76, "high": 0.893}))
    '83.4 % (76.0 % to 89.3 %)'
    >>> number_text(Number.from_dict({**told, "note": "not estimable: one class only"}))
    'not estimable: one class only'
    """
    if number.value is None:
        return number.note or "not estimable"
    text = value_text(number.value, number.measure)
    if number.low is None or number.high is None:
        return text
    low, high = value_text(number.low, number.measure), value_text(number.high, number.measure)
    return f"{text} ({low} to {high})"


def anchor(identity: str) -> str:
    """Name of a number's row in the table of all numbers; letters that no fragment may hold are hex.

    Examples
    --------
    >>> anchor("a.auc"), anchor("sex=F")
    ('n-a.auc', 'n-sex_3dF')
    """
    return "n-" + "".join(c if c.isascii() and (c.isalnum() or c in ".-") else f"_{ord(c):x}" for c in identity)


def number_markup(number: Number | None, *, interval: bool = True, link: bool = True) -> Markup:
    """Build a number for the page: printed value and interval, exact value, id, and its origin when pointed at."""
    if number is None:
        return Markup('<span class="none">\u2013</span>')
    if number.value is None:
        body = Markup('<span class="none">{}</span>').format(number.note or "not estimable")
    else:
        body = _datum(number.value, number.measure, "value")
        if interval and number.low is not None and number.high is not None:
            body += Markup(' <span class="ci">{}\u2009\u2013\u2009{}</span>').format(
                _datum(number.low, number.measure, "low"), _datum(number.high, number.measure, "high")
            )
    if not link:
        return Markup('<span class="num" data-id="{}" title="{}">{}</span>').format(number.id, origin(number), body)
    return Markup('<a class="num" href="#{}" data-id="{}" title="{}">{}</a>').format(
        anchor(number.id), number.id, origin(number), body
    )


def origin(number: Number) -> str:
    """Where a number comes from, in a line."""
    parts = [number.id]
    if number.n is not None:
        parts.append(f"{number.events} of {number.n}" if number.events is not None else f"n = {number.n}")
    if number.patients is not None:
        parts.append(f"{number.patients} patients")
    if number.level is not None:
        parts.append(f"{100 * number.level:g} % interval")
    parts += [part for part in (number.method, number.rule, number.sources, number.note) if part]
    return " \u00b7 ".join(parts)


def _datum(value: float, measure: str, part: str) -> Markup:
    return Markup('<data value="{}" data-part="{}">{}</data>').format(
        repr(value), part, escape(value_text(value, measure))
    )


def _decimals(value: float) -> str:
    if value and abs(value) < _NEARLY_NONE:
        return "< 0.001" if value > 0 else "> \u22120.001"
    return f"{value:.3f}".replace("-", "\u2212")


def _percent(value: float) -> str:
    if value in {0.0, 1.0}:
        return f"{100 * value:.0f} %"
    if value >= _NEARLY_ALL:
        return "> 99.9 %"
    if 0 < value < _NEARLY_NONE:
        return "< 0.1 %"
    return f"{100 * value:.1f} %".replace("-", "\u2212")
