"""GGUF files: read, dequantised by transformers, and nothing of them left out."""
