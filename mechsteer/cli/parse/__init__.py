"""Commands, their arguments and options."""
