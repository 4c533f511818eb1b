"""A radiologist's free text to none, pneumonia or equivocal, by a versioned list of rules that knows negation (M13).

The idea is NegEx's (Chapman 2001, doi:10.1006/jbin.2001.1029): in each sentence a term is looked for; a negation or a
doubt before or after it qualifies it, unless a word that ends the scope stands between. Sections that say why the film
was taken, or what an earlier one showed, are left out. The rules are data, `reports.toml`. They are no substitute for a
coded read: their agreement with a coded sample is counted by `report_agreement`, and stands in the summary of a load.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import polars as pl

__all__ = ["Agreement", "ReportCall", "classify_report", "classify_reports", "report_agreement", "report_rules_version"]

FINDINGS = ("none", "pneumonia", "equivocal")
"""What a read can say."""


@dataclass(frozen=True, slots=True)
class ReportCall:
    """What a report says.

    Attributes
    ----------
    finding : {"none", "pneumonia", "equivocal"}
        Of the whole report: pneumonia if any term stands affirmed, else equivocal if any is in doubt, else none.
    reason : str
        The term that decided and how it stands, such as ``"consolidation: affirmed"``; never a passage of the report.
    version : int
        Of the rules.
    """

    finding: str
    reason: str
    version: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Coded reads beside what the rules make of the same reports.

    Attributes
    ----------
    reads : int
        Reads with both.
    agreeing : int
        Reads where both say the same.
    counts : polars.DataFrame
        Columns `coded`, `text`, `reads`: the cross table in long form, all nine cells.
    version : int
        Of the rules.
    """

    reads: int
    agreeing: int
    counts: pl.DataFrame
    version: int

    @property
    def proportion(self) -> float | None:
        """Share of reads that agree, in [0, 1]; None without reads."""
        return self.agreeing / self.reads if self.reads else None


@dataclass(frozen=True)
class _Rules:
    version: int
    term: re.Pattern[str]
    weak: re.Pattern[str]
    ignored: re.Pattern[str]
    pseudo: re.Pattern[str]
    hedge_before: re.Pattern[str]
    hedge_after: re.Pattern[str]
    negation_before: re.Pattern[str]
    negation_after: re.Pattern[str]
    scope_end: re.Pattern[str]
    section: re.Pattern[str]
    left_out: re.Pattern[str]


@cache
def _rules() -> _Rules:
    data = tomllib.loads(files("carina.records").joinpath("reports.toml").read_text("utf-8"))

    def any_of(*names: str, start: str = "", end: str = "") -> re.Pattern[str]:
        # Longest first, so that "no longer" is not read as "no".
        words = sorted((word for name in names for word in data[name]), key=len, reverse=True)
        return re.compile(rf"{start}(?<!\w)(?:{'|'.join(words)})(?!\w){end}", re.IGNORECASE)

    return _Rules(
        version=data["version"],
        term=any_of("strong", "weak"),
        weak=any_of("weak", start="^", end="$"),
        ignored=any_of("ignored"),
        pseudo=any_of("pseudo_negations"),
        hedge_before=any_of("hedges_before"),
        hedge_after=any_of("hedges_after"),
        negation_before=any_of("negations_before"),
        negation_after=any_of("negations_after"),
        scope_end=any_of("scope_ends"),
        section=any_of("sections_left_out", "sections_read", start=r"(?:^|(?<=\n)|(?<=[.] ))[ \t]*", end=r"[ \t]*:"),
        left_out=any_of("sections_left_out", start=r"^\s*", end=r"[ \t]*:$"),
    )


def report_rules_version() -> int:
    """Version of the packaged rules."""
    return _rules().version


def classify_report(text: str) -> ReportCall:
    """Read one report.

    Parameters
    ----------
    text : str
        The radiologist's words, with or without section headings.

    Returns
    -------
    ReportCall

    Examples
    --------
    >>> classify_report("Clinical details: ?pneumonia. Findings: No focal consolidation or effusion.").finding
    'none'
    >>> classify_report("Right lower lobe consolidation, no effusion.")
    ReportCall(finding='pneumonia', reason='consolidation: affirmed', version=1)
    >>> classify_report("Early infection cannot be excluded.").finding
    'equivocal'
    """
    rules = _rules()
    best = ("none", "no term")
    for sentence in _sentences(_kept(text)):
        masked = rules.ignored.sub(lambda match: " " * len(match.group()), sentence)
        for match in rules.term.finditer(masked):
            state = _state(masked, match.start(), match.end())
            word = " ".join(match.group().lower().split())
            if state == "affirmed" and rules.weak.search(match.group()):
                state = "weak"
            if state == "affirmed":
                return ReportCall("pneumonia", f"{word}: affirmed", rules.version)
            if state in ("doubted", "weak"):
                best = ("equivocal", f"{word}: {'in doubt' if state == 'doubted' else 'not specific'}")
            elif best[0] == "none":
                best = ("none", f"{word}: negated")
    return ReportCall(*best, rules.version)


def classify_reports(texts: pl.Series) -> pl.Series:
    """Read many reports, each distinct text once.

    Parameters
    ----------
    texts : polars.Series of str

    Returns
    -------
    polars.Series of str
        Finding, null where there is no text.
    """
    stripped = texts.str.strip_chars()
    filled = pl.select(pl.when(stripped != "").then(stripped)).to_series()
    # A report without any term needs no further reading; the search is one pass in Rust.
    data = tomllib.loads(files("carina.records").joinpath("reports.toml").read_text("utf-8"))
    named = filled.str.contains(rf"(?i){'|'.join([*data['strong'], *data['weak']])}")
    found = {text: classify_report(text).finding for text in filled.filter(named).unique().to_list()}
    called = filled.replace_strict(found, default=None, return_dtype=pl.String)
    none = pl.when(filled.is_not_null()).then(pl.lit("none"))
    return pl.select(pl.coalesce(pl.lit(called), none)).to_series().alias(texts.name)


def report_agreement(coded: pl.Series, reports: pl.Series) -> Agreement:
    """Count how the rules agree with coded reads.

    Parameters
    ----------
    coded : polars.Series of str
        ``none``, ``pneumonia``, ``equivocal`` or null.
    reports : polars.Series of str
        Free text of the same reads, or null.

    Returns
    -------
    Agreement
    """
    both = pl.DataFrame({"coded": coded, "text": classify_reports(reports)}).drop_nulls()
    cells = pl.DataFrame(
        [(one, other) for one in FINDINGS for other in FINDINGS], schema=["coded", "text"], orient="row"
    )
    found = both.group_by("coded", "text").agg(pl.len().alias("reads"))
    counts = cells.join(found, on=["coded", "text"], how="left", maintain_order="left").with_columns(
        pl.col("reads").fill_null(0).cast(pl.Int64)
    )
    agreeing = int((both["coded"] == both["text"]).sum())
    return Agreement(both.height, agreeing, counts, report_rules_version())


def _kept(text: str) -> str:
    """Return the text without the sections that do not say what this film shows."""
    rules = _rules()
    heads = list(rules.section.finditer(text))
    if not heads:
        return text
    parts = [text[: heads[0].start()]]
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        if not rules.left_out.match(head.group()):
            parts.append(text[head.end() : following.start() if following else len(text)])
    return "\n\n".join(parts)


def _sentences(text: str) -> list[str]:
    # A lone line break only wraps a line; a blank line, a full stop before a space, a semicolon end a sentence.
    unwrapped = re.sub(r"[ \t]*\r?\n(?![ \t]*(?:\r?\n|[-*•]|\d+[.)]))", " ", text)
    parts = re.split(r"[.!;](?=\s|$)|\n+", unwrapped)
    return [part for part in (" ".join(piece.split()) for piece in parts) if part]


def _state(sentence: str, start: int, end: int) -> str:
    """How the term at [start, end) stands in its sentence: affirmed, doubted or negated."""
    rules = _rules()
    before = _last_part(rules.scope_end, sentence[:start])
    after = _first_part(rules.scope_end, sentence[end:])
    # "no change in" and the like would read as negations; they are taken away first.
    before = rules.pseudo.sub(" ", before)
    after = rules.pseudo.sub(" ", after)
    if rules.hedge_after.search(after) or rules.hedge_before.search(before):
        hedged = True
        # "no possible consolidation", "unlikely" behind a doubt: the negation is the last word on a term before it.
        plain = rules.hedge_before.sub(" ", before)
        if not rules.hedge_after.search(after) and rules.negation_before.search(plain):
            hedged = False
        if hedged:
            return "negated" if rules.negation_after.search(_without(rules.hedge_after, after)) else "doubted"
    if rules.negation_before.search(before) or rules.negation_after.search(after):
        return "negated"
    return "affirmed"


def _without(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(" ", text)


def _last_part(pattern: re.Pattern[str], text: str) -> str:
    ends = [match.end() for match in pattern.finditer(text)]
    return text[ends[-1] :] if ends else text


def _first_part(pattern: re.Pattern[str], text: str) -> str:
    # A comma ends what is said about a term behind it: "consolidation, effusion has resolved" leaves the consolidation.
    match = pattern.search(text)
    return (text[: match.start()] if match else text).partition(",")[0]
