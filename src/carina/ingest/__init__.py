"""Films and records into the archive: resumable, idempotent, pseudonymised at the door."""

from carina.ingest.ingest import IngestSummary, RefusedSource, ingest_films
from carina.ingest.link import LinkReport
from carina.ingest.load import load_records
from carina.ingest.sources import Source, find_sources

__all__ = [
    "IngestSummary",
    "LinkReport",
    "RefusedSource",
    "Source",
    "find_sources",
    "ingest_films",
    "load_records",
]
