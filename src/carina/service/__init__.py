"""Films at work: received, queued, read by workers; and the health of every link."""

from carina.service.facts import ModelFacts, ThresholdFacts, audit_verdicts, facts_of
from carina.service.fhir import diagnostic_report
from carina.service.health import Check, Health, check_health, health_check
from carina.service.priors import prior_films
from carina.service.queue import JobQueue
from carina.service.reader_table import ReaderTable, reader_table
from carina.service.reading import FilmWorker, urgency_of
from carina.service.receive import FILM_CLASSES, Received, receive_files, receive_film
from carina.service.sheets import SheetMaker

__all__ = [
    "FILM_CLASSES",
    "Check",
    "FilmWorker",
    "Health",
    "JobQueue",
    "ModelFacts",
    "ReaderTable",
    "Received",
    "SheetMaker",
    "ThresholdFacts",
    "audit_verdicts",
    "check_health",
    "diagnostic_report",
    "facts_of",
    "health_check",
    "prior_films",
    "reader_table",
    "receive_files",
    "receive_film",
    "urgency_of",
]
