"""What the operations share: backends, checks of inputs, sort keys, compilers."""
