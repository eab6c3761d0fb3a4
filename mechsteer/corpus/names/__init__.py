"""Languages: their codes, canonical names and scripts."""
