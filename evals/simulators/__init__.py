"""Simulated people."""

from llmrec.evals.simulators.people import SIMULATORS, Pair, SimulatedPerson, Simulator, pairs_of

__all__ = ["SIMULATORS", "Pair", "SimulatedPerson", "Simulator", "pairs_of"]
