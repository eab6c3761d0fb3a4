"""What the commands of the command line do; `parse` and `show` only parse and print."""
