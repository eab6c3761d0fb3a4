"""Which neurons detect which language: scores, selections of experts, controls, significance."""
