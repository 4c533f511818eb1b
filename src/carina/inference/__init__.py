"""From a model bundle and a film to a reading: no torch."""
