"""The policies that a turn may choose from: ours and third parties', by name."""

from __future__ import annotations

from llmrec import plugins
from llmrec.agents.assistant import steps
from llmrec.agents.assistant.own import fingerprint_of
from llmrec.agents.conversation.policies.lessons import Ground
from llmrec.contracts import Policy
from llmrec.data.catalogue import Catalogue
from llmrec.errors import UserError
from llmrec.retrieval.graph import AttributeGraph
from llmrec.workspace import Workspace


class Policies:
    """Made when they are first asked for, then kept: a policy is immutable and serves all conversations."""

    def __init__(self, default: str, workspace: Workspace, catalogue: Catalogue) -> None:
        """`default` is what a turn gets that names none; `catalogue` is that of the build.

        Raises what `named` does.
        """
        self._default = default
        self._workspace, self._catalogue = workspace, catalogue
        self._made: dict[str, Policy] = {}
        self.named("")

    def named(self, name: str) -> Policy:
        """The policy of the entry-point group llmrec.policies, the default for "".

        Raises `UnknownName`, and `UserError` for one that has yet to learn from this workspace.
        """
        name = name or self._default
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Policy:
        kind = plugins.load("llmrec.policies", name)
        if not getattr(kind, "needs_lessons", False):
            policy: Policy = kind()
            return policy
        artefact, workspace = steps.policy_artefact(name), self._workspace
        here = workspace.has(artefact)
        if not here or workspace.record(artefact).settings["dataset"] != fingerprint_of(workspace):
            problem = "has learnt from other data than this workspace has now" if here else "has not learnt yet"
            raise UserError(f"the policy {name} {problem}: llmrec train policy {name}")
        folder = workspace.artefact(artefact)
        ground = Ground(self._catalogue, AttributeGraph.load(folder, self._catalogue))
        learnt: Policy = kind.load(folder, ground)
        return learnt
