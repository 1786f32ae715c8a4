"""Mutants of the firmware, each swapped in for the time of a story, to see that a safety property shows it."""
