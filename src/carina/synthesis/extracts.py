"""The hospital's extracts as its systems write them: their column names, day-first dates, their codes."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable

from carina.synthesis.plans import Event, Read, Result, Vital

__all__ = ["COLUMNS", "MAPPING", "Row", "admission_row", "csv_bytes", "read_row", "result_row", "vital_row"]

Row = dict[str, str]

COLUMNS: dict[str, tuple[str, ...]] = {
    "admissions": (
        "NHI No",
        "Event No",
        "Adm Dt",
        "Disch Dt",
        "Gender",
        "DOB",
        "Ethnic 1",
        "Ethnic 2",
        "Ethnic 3",
        "Diagnoses",
        "Referral Reason",
        "Surname",
        "Forenames",
        "Home Address",
    ),
    "vitals": ("NHI", "Obs Date", "Obs Time", "Ht cm", "Wt kg", "BMI", "Temp", "SpO2", "RR"),
    "reads": (
        "Patient ID",
        "Accession No",
        "Exam Dt",
        "Reported Dt",
        "Clinical Details",
        "Position",
        "Mobile",
        "CXR Code",
        "Report Text",
    ),
    "microbiology": ("NHI", "Lab No", "Collected Dt", "Spec", "Test", "Organism", "Result"),
}
"""Columns of each extract, in order."""

MAPPING = """\
# Column names and codes of the synthetic hospital, for `carina records --mapping`.
format = 1
name = "synthetic hospital"
time_zone = "Pacific/Auckland"

[admissions]
encoding = "utf-8-sig"

[admissions.columns]
nhi = "NHI No"
event_id = "Event No"
admitted_at = { column = "Adm Dt", format = "%d/%m/%Y %H:%M" }
discharged_at = { column = "Disch Dt", format = "%d/%m/%Y %H:%M" }
sex = { column = "Gender", values = { I = "X" } }
birth_date = { column = "DOB", format = "%d/%m/%Y" }
ethnicity = { columns = ["Ethnic 1", "Ethnic 2", "Ethnic 3"] }
codes = { column = "Diagnoses", separator = "|" }
reason = "Referral Reason"
surname = "Surname"
given_names = "Forenames"
address = "Home Address"

[vitals.columns]
nhi = "NHI"
measured_at = { columns = ["Obs Date", "Obs Time"], format = "%d/%m/%Y %H:%M" }
height_cm = "Ht cm"
weight_kg = "Wt kg"
bmi = "BMI"
temperature_c = "Temp"
spo2_percent = "SpO2"
respiratory_rate = "RR"

[reads.columns]
nhi = "Patient ID"
accession_number = "Accession No"
acquired_at = { column = "Exam Dt", format = "%d/%m/%Y %H:%M" }
read_at = { column = "Reported Dt", format = "%d/%m/%Y %H:%M" }
request = "Clinical Details"
position = { column = "Position", values = { ERECT = "erect", SUPINE = "supine" } }
mobile = { column = "Mobile", values = { Y = "true", N = "false" } }
finding = { column = "CXR Code", values = { PN = "pneumonia", NAD = "none", EQ = "equivocal" } }
report = "Report Text"

[microbiology]
delimiter = ";"

[microbiology.columns]
nhi = "NHI"
specimen_id = "Lab No"
collected_at = { column = "Collected Dt", format = "%d/%m/%Y %H:%M" }
organism = { column = "Organism", values = { INFA = "Influenza A virus", RVP-RSV = "Respiratory syncytial virus" } }

[microbiology.columns.specimen]
column = "Spec"

[microbiology.columns.specimen.values]
NPS = "nasopharyngeal_swab"
THS = "throat_swab"
SPU = "sputum"
BAL = "bronchoalveolar_lavage"
BLC = "blood"
PLF = "pleural_fluid"
URN = "urine"

[microbiology.columns.test]
column = "Test"
values = { NAAT = "pcr", CULT = "culture", AG = "antigen" }

[microbiology.columns.result]
column = "Result"
values = { DET = "positive", ND = "negative", EQV = "indeterminate" }
"""
"""The mapping file that goes with the extracts."""

_SPECIMENS = {
    "nasopharyngeal_swab": "NPS",
    "throat_swab": "THS",
    "sputum": "SPU",
    "bronchoalveolar_lavage": "BAL",
    "blood": "BLC",
    "pleural_fluid": "PLF",
    "urine": "URN",
}
_TESTS = {"pcr": "NAAT", "culture": "CULT", "antigen": "AG"}
_RESULTS = {"positive": "DET", "negative": "ND", "indeterminate": "EQV"}
_ORGANISMS = {"Influenza A virus": "INFA", "Respiratory syncytial virus": "RVP-RSV", "SARS-CoV-2": "SARS CoV 2"}


def _moment(when: dt.datetime | None) -> str:
    return f"{when:%d/%m/%Y %H:%M}" if when else ""


def admission_row(event: Event, *, dotless: bool = False) -> Row:
    """Write one admission event; `dotless` writes diagnosis codes without the dot, as many systems do."""
    person = event.person
    codes = "|".join(event.codes)
    ethnic = [*person.ethnicities, "", ""][:3]
    return {
        "NHI No": person.nhi,
        "Event No": event.event_id,
        "Adm Dt": _moment(event.admitted),
        "Disch Dt": _moment(event.discharged),
        "Gender": "I" if person.sex == "X" else person.sex,
        "DOB": f"{person.birth:%d/%m/%Y}",
        **{f"Ethnic {place}": code for place, code in enumerate(ethnic, start=1)},
        "Diagnoses": codes.replace(".", "") if dotless else codes,
        "Referral Reason": event.reason,
        "Surname": person.surname,
        "Forenames": person.given,
        "Home Address": person.address,
    }


def vital_row(vital: Vital) -> Row:
    """Write one set of observations."""
    person = vital.person
    return {
        "NHI": person.nhi,
        "Obs Date": f"{vital.measured:%d/%m/%Y}",
        "Obs Time": f"{vital.measured:%H:%M}",
        "Ht cm": f"{person.height_cm:.1f}",
        "Wt kg": f"{person.weight_kg:.1f}",
        "BMI": f"{person.bmi:.1f}",
        "Temp": f"{vital.temperature_c:.1f}",
        "SpO2": str(vital.spo2_percent),
        "RR": str(vital.respiratory_rate),
    }


def read_row(read: Read) -> Row:
    """Write one read."""
    return {
        "Patient ID": read.person.nhi,
        "Accession No": read.accession,
        "Exam Dt": _moment(read.acquired),
        "Reported Dt": _moment(read.read),
        "Clinical Details": read.request,
        "Position": read.position,
        "Mobile": read.mobile,
        "CXR Code": read.coded,
        "Report Text": read.report,
    }


def result_row(result: Result) -> Row:
    """Write one result."""
    return {
        "NHI": result.person.nhi,
        "Lab No": result.specimen_id,
        "Collected Dt": _moment(result.collected),
        "Spec": _SPECIMENS[result.specimen],
        "Test": _TESTS[result.test],
        "Organism": _ORGANISMS.get(result.organism, result.organism),
        "Result": _RESULTS[result.result],
    }


def csv_bytes(columns: Iterable[str], rows: Iterable[Row], *, delimiter: str = ",", mark: bool = False) -> bytes:
    """Write rows as CSV (RFC 4180, lines ended by LF), with a byte order mark where asked for."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig" if mark else "utf-8")
