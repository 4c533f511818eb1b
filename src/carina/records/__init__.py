"""Admissions, vitals, reads and microbiology as validated rows; NHI, ICD-10, ethnicity (M6, M7, M8, M13, M14, M17)."""

from __future__ import annotations

from carina.records.contracts import (
    CHOICES,
    IDENTIFIERS,
    RANGES,
    REQUIRED,
    SCHEMAS,
    TABLES,
    check_contract,
    contract,
)
from carina.records.ethnicity import (
    GROUPS,
    ethnic_group,
    ethnicity_name,
    ethnicity_ranks,
    prioritise,
    prioritise_expr,
)
from carina.records.extract import Extract, Source, canonical_rows, read_extract, read_extracts
from carina.records.fhir import read_fhir, read_fhir_files
from carina.records.guesses import Guess
from carina.records.icd10 import (
    CodeRule,
    CodesCall,
    PneumoniaCodes,
    normalise_icd10,
    normalise_icd10_expr,
    pneumonia_codes,
    pneumonia_codes_expr,
    shows_pneumonia,
)
from carina.records.mapping import ColumnMap, Mapping, TableMap, load_mapping, our_mapping
from carina.records.nhi import NHI_PATTERN, find_nhis, is_nhi, is_test_nhi, nhi_problems, nhi_shaped, normalise_nhi
from carina.records.organisms import ORGANISM_KINDS, organism_kind, organism_names, organism_synonyms
from carina.records.raw import REJECTED, Raw, read_raw
from carina.records.reports import (
    Agreement,
    ReportCall,
    classify_report,
    classify_reports,
    report_agreement,
    report_rules_version,
)
from carina.records.suggest import Suggestion, suggest_mapping

__all__ = [
    "CHOICES",
    "GROUPS",
    "IDENTIFIERS",
    "NHI_PATTERN",
    "ORGANISM_KINDS",
    "RANGES",
    "REJECTED",
    "REQUIRED",
    "SCHEMAS",
    "TABLES",
    "Agreement",
    "CodeRule",
    "CodesCall",
    "ColumnMap",
    "Extract",
    "Guess",
    "Mapping",
    "PneumoniaCodes",
    "Raw",
    "ReportCall",
    "Source",
    "Suggestion",
    "TableMap",
    "canonical_rows",
    "check_contract",
    "classify_report",
    "classify_reports",
    "contract",
    "ethnic_group",
    "ethnicity_name",
    "ethnicity_ranks",
    "find_nhis",
    "is_nhi",
    "is_test_nhi",
    "load_mapping",
    "nhi_problems",
    "nhi_shaped",
    "normalise_icd10",
    "normalise_icd10_expr",
    "normalise_nhi",
    "organism_kind",
    "organism_names",
    "organism_synonyms",
    "our_mapping",
    "pneumonia_codes",
    "pneumonia_codes_expr",
    "prioritise",
    "prioritise_expr",
    "read_extract",
    "read_extracts",
    "read_fhir",
    "read_fhir_files",
    "read_raw",
    "report_agreement",
    "report_rules_version",
    "shows_pneumonia",
    "suggest_mapping",
]
