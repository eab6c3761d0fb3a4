"""The whole road as one resumable study, and the tidy table it ends in."""
