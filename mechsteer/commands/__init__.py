"""What the commands of the command line do; `mechsteer.cli` only parses and prints."""
