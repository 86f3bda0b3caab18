"""The policies that a turn may choose from: ours and third parties', by name."""

from __future__ import annotations

from llmrec import plugins
from llmrec.contracts import Policy


class Policies:
    """Made when they are first asked for, then kept: a policy is immutable and serves all conversations."""

    def __init__(self, default: str) -> None:
        """`default` is what a turn gets that names none; raises `UnknownName` where there is none of this name."""
        self._default = default
        self._made: dict[str, Policy] = {}
        self.named("")

    def named(self, name: str) -> Policy:
        """The policy of the entry-point group llmrec.policies, the default for ""; raises `UnknownName`."""
        name = name or self._default
        if name not in self._made:
            self._made[name] = plugins.load("llmrec.policies", name)()
        return self._made[name]
