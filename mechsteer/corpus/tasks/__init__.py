"""Labelled sentences, parallel in all languages: what a probe learns and tests."""
