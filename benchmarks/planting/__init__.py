"""Bugs planted on purpose, each swapped in for the time of a trial, to see what the fault campaign would find."""
