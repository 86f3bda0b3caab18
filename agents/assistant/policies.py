"""The policies that a turn may choose from: ours and third parties', by name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from llmrec import plugins
from llmrec.agents.assistant import steps
from llmrec.agents.assistant.own import fingerprint_of
from llmrec.agents.conversation.policies.lessons import Ground
from llmrec.contracts import Policy
from llmrec.data.catalogue import Catalogue
from llmrec.errors import LlmrecError, UserError
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

    def ready(self) -> list[str]:
        """Names of those that can decide at present, the default first."""
        found = [self._default]
        for name in plugins.names("llmrec.policies"):
            with suppress(LlmrecError):
                self._kind(name)
                found.append(name)
        return list(dict.fromkeys(found))

    def _make(self, name: str) -> Policy:
        kind = self._kind(name)
        if not _needs_lessons(kind):
            policy: Policy = kind()
            return policy
        folder = self._workspace.artefact(steps.policy_artefact(name))
        ground = Ground(self._catalogue, AttributeGraph.load(folder, self._catalogue))
        learnt: Policy = kind.load(folder, ground)
        return learnt

    def _kind(self, name: str) -> Any:
        """The class of a policy that can decide; raises what `named` does."""
        kind = plugins.load("llmrec.policies", name)
        if _needs_lessons(kind):
            artefact, workspace = steps.policy_artefact(name), self._workspace
            here = workspace.has(artefact)
            if not here or workspace.record(artefact).settings["dataset"] != fingerprint_of(workspace):
                problem = "has learnt from other data than this workspace has now" if here else "has not learnt yet"
                raise UserError(f"the policy {name} {problem}: llmrec train policy {name}")
        return kind


def _needs_lessons(kind: Any) -> bool:
    return bool(getattr(kind, "needs_lessons", False))
