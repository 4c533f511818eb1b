"""The schema, step by step; run by `carina.archive.database`, never by hand."""
