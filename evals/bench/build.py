"""`bench build`: how long a workspace takes to build, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from llmrec.contracts import Config, Progress, Row, no_progress
from llmrec.data.demo_world import generate
from llmrec.errors import LlmrecError, UserError


class BuildBench(Config):
    """SOURCE is a data folder, or a folder of data folders; left out, the demo world.

    Each is built from nothing by `llmrec build`, in a process and a temporary workspace of its own. `peak_mb` is the
    highest memory of that process, `workspace_mb` what lies on the disk afterwards; both count 2^20 bytes.
    """

    name: ClassVar[str] = "build"

    steps: bool = Field(default=False, description="also a row for each step")
    timeout: float = Field(default=3600, gt=0, description="seconds for one build")

    def run(self, source: str, progress: Progress = no_progress) -> list[Row]:
        """A row for each dataset."""
        with tempfile.TemporaryDirectory(prefix="llmrec-bench-") as temporary:
            folders = _datasets(Path(source)) if source else [_demo(Path(temporary) / "demo", progress)]
            rows = []
            for done, folder in enumerate(folders):
                progress(f"build {folder.name}", done, len(folders))
                rows += self._rows(folder, Path(temporary) / f"workspace-{done}")
            return rows

    def _rows(self, data: Path, workspace: Path) -> list[Row]:
        started = time.perf_counter()
        report = _build(data, workspace, self.timeout)
        seconds = time.perf_counter() - started
        size = sum(file.stat().st_size for file in workspace.rglob("*") if file.is_file()) / 2**20
        built = Row(
            name=data.name,
            kind="ours",
            protocol="llmrec build in a process of its own, from nothing",
            metrics={"peak_mb": report["peak_mb"], "workspace_mb": size},
            seconds=seconds,
        )
        if not self.steps:
            return [built]
        return [built] + [
            Row(f"{data.name}: {step['name']}", "ours", {"peak_mb": step["peak_mb"]}, seconds=step["seconds"])
            for step in report["steps"]
        ]


def _datasets(source: Path) -> list[Path]:
    """`source` itself where it holds items, else the folders in it that do."""
    if not source.is_dir():
        raise UserError(f"there is no folder {str(source)!r}: name a data folder or a folder of data folders")
    if _has_items(source):
        return [source]
    folders = sorted(folder for folder in source.iterdir() if folder.is_dir() and _has_items(folder))
    if not folders:
        raise UserError(f"{str(source)!r} holds no items file and no folder with one: name a data folder")
    return folders


def _has_items(folder: Path) -> bool:
    return any(folder.glob("items.*"))


def _demo(folder: Path, progress: Progress) -> Path:
    generate(folder, progress=progress)
    return folder


def _build(data: Path, workspace: Path, timeout: float) -> dict[str, Any]:
    """What `llmrec build --json` reports."""
    report = workspace.with_suffix(".json")
    command = [
        sys.executable,
        "-m",
        "llmrec.ui.cli.main",
        "build",
        str(data),
        "-w",
        str(workspace),
        "--json",
        str(report),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ, check=False)
    except subprocess.TimeoutExpired:
        raise LlmrecError(f"building {data.name} took more than {timeout:g} s: give it more with --timeout") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LlmrecError(f"building {data.name} failed: {reason}")
    return json.loads(report.read_text(encoding="utf-8"))
