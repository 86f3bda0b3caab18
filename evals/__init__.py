"""Suites, metrics, benchmarks and reports: every language-model part stands in a table beside its cheap floor."""
