"""The device's side of docs/protocol.md against a device at a port: named checks, each a sentence of that page."""

from bench.conformance.check import Check, Outcome, Verdict
from bench.conformance.runner import CHECKS, ConformanceReport, run_conformance

__all__ = ["CHECKS", "Check", "ConformanceReport", "Outcome", "Verdict", "run_conformance"]
