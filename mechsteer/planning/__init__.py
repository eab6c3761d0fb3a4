"""What a run will take before it runs: tokens, operations, bytes and seconds of every stage."""
