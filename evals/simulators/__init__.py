"""Simulated people."""

from llmrec.evals.simulators.people import SIMULATORS, Pair, SimulatedPerson, Simulator, pairs_of
from llmrec.evals.simulators.reading import readable

__all__ = ["SIMULATORS", "Pair", "SimulatedPerson", "Simulator", "pairs_of", "readable"]
