"""Suites of quality, started by `llmrec eval NAME SOURCE`; one file each, options are the class's fields."""
