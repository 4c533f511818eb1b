"""The command line: one module a verb, and the only place that wires everything."""

from carina.cli.main import app, main

__all__ = ["app", "main"]
