"""What is written to disk and read back: atomic, validated, versioned."""
