"""From records and films to a labelled cohort: eligibility, episodes, gold standard, aetiology, flow (M8-M19)."""

from carina.cohort.build import Cohort, build_cohort
from carina.cohort.coverage import coverage_gaps, coverage_table
from carina.cohort.exclusions import EXCLUSIONS, STAGES, Exclusion
from carina.cohort.gold import judge_films
from carina.cohort.output import add_public_films, require_films, write_cohort
from carina.cohort.rules import Rules, load_rules
from carina.cohort.sequence import GoldStandard, gold_standard
from carina.cohort.tables import TABLES, CohortTables

__all__ = [
    "EXCLUSIONS",
    "STAGES",
    "TABLES",
    "Cohort",
    "CohortTables",
    "Exclusion",
    "GoldStandard",
    "Rules",
    "add_public_films",
    "build_cohort",
    "coverage_gaps",
    "coverage_table",
    "gold_standard",
    "judge_films",
    "load_rules",
    "require_films",
    "write_cohort",
]
