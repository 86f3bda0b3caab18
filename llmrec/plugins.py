"""Plugins by entry points: ours and third parties' enter by the same door and are loaded when they are asked for.

A package registers `mine = "my_package:Mine"` under `[project.entry-points."llmrec.recommenders"]`, for example.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from llmrec.errors import LlmrecError, MissingExtra, UnknownName

Group = Literal["llmrec.recommenders", "llmrec.engines", "llmrec.adapters", "llmrec.policies", "llmrec.suites"]
GROUPS: tuple[Group, ...] = get_args(Group)


class PluginError(LlmrecError):
    """A plugin is registered but cannot be loaded."""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that does not work, and why."""

    group: Group
    name: str
    package: str
    """The distribution that registers it."""
    reason: str

    def __str__(self) -> str:
        plugin = f"{self.name!r} ({self.group}) of {self.package}"
        return f"the plugin {plugin} {self.reason}: update or uninstall {self.package}"


def names(group: Group) -> list[str]:
    """Names registered in a group, sorted; whether they load is not tried."""
    return sorted({point.name for point in entry_points(group=group)})


def load(group: Group, name: str) -> Any:
    """The object behind a name; `UnknownName` with the nearest name, `PluginError` where it is broken."""
    found = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        known = names(group)
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
        raise UnknownName(f"there is no {name!r} among {group.removeprefix('llmrec.')}: {hint}")
    # Where two packages register one name, ours wins, so that installing a package never changes what a name means.
    point = min(found, key=lambda p: (_package(p) != "llmrec", _package(p)))
    try:
        return point.load()
    except LlmrecError:  # it says itself what it needs, such as an extra
        raise
    except Exception as error:
        raise PluginError(str(_broken(group, point, error))) from error


def broken() -> list[BrokenPlugin]:
    """Every plugin that does not load or whose name is taken: loads them all, so only `llmrec doctor` asks."""
    problems = []
    for group in GROUPS:
        owners: dict[str, str] = {}
        for point in sorted(entry_points(group=group), key=lambda p: (_package(p) != "llmrec", _package(p))):
            try:
                point.load()
            except MissingExtra:  # not broken, only not complete here
                pass
            except Exception as error:
                problems.append(_broken(group, point, error))
            owner = owners.setdefault(point.name, _package(point))
            if owner != _package(point):
                reason = f"is never used, because {owner} registers the same name"
                problems.append(BrokenPlugin(group, point.name, _package(point), reason))
    return problems


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


def _broken(group: Group, point: EntryPoint, error: Exception) -> BrokenPlugin:
    text = str(error).splitlines()
    reason = f"cannot be loaded ({type(error).__name__}{': ' + text[0] if text else ''})"
    return BrokenPlugin(group, point.name, _package(point), reason)
