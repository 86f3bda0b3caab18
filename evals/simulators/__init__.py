"""Simulated people and their dialogues with a policy."""

from llmrec.evals.simulators.dialogue import ACTIONS, Dialogue, Step, talk
from llmrec.evals.simulators.people import SIMULATORS, Pair, SimulatedPerson, Simulator, pairs_of

__all__ = ["ACTIONS", "SIMULATORS", "Dialogue", "Pair", "SimulatedPerson", "Simulator", "Step", "pairs_of", "talk"]
