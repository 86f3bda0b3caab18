"""Workspaces: immutable artefacts behind one manifest, built step by step, resumable, switched atomically."""

from llmrec.workspace.build import BuildReport, StepReport
from llmrec.workspace.server import Announcement, Server
from llmrec.workspace.step import Step, StepContext
from llmrec.workspace.workspace import Workspace

__all__ = ["Announcement", "BuildReport", "Server", "Step", "StepContext", "StepReport", "Workspace"]
