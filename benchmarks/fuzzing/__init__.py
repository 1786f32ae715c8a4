"""The fuzz targets: each is a function of bytes that raises if a promise of the protocol package is broken.

benchmarks/fuzz.py runs them under atheris; tests/protocol/test_fuzz.py runs a slice without.
"""
