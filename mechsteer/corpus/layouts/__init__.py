"""Layouts of corpora: which file, column or row is which language, by folder, table and name."""
