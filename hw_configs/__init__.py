"""Data shipped with the bench: rigs, pump models, scenarios and test plans."""
