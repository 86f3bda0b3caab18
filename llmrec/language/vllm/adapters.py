"""Adapters of a vLLM server while it serves: found by name, published under an opaque one, unloaded when unused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from llmrec import pool
from llmrec.contracts import AdapterSource
from llmrec.errors import LlmrecError, UnknownAdapter

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PUBLISHED = re.compile(r"a[0-9a-f]{32}")
"""What the server calls an adapter: after its content, so that caches never mix versions, and nobody's name."""

GRACE = 10.0
"""Seconds that the files of an unloaded adapter stay: the engine process ends where it does not find those of a request
that was cancelled while it waited."""


@dataclass(frozen=True)
class Limits:
    """What adapters a server takes; None is not known here."""

    base: str | None = None
    """Folder or hub name of its model."""
    rank: int | None = None
    modules: frozenset[str] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of its weights, by name; vLLM itself takes an adapter that is too narrow for them."""


def find(source: AdapterSource | None, name: str, limits: Limits) -> Path:
    """The folder of an adapter that fits the server; `UnknownAdapter` says why there is none. It reads files."""
    try:
        folder = source.resolve(name) if source is not None else None
        if folder is None:
            raise UnknownAdapter(f"there is no adapter {name[:80]!r}: llmrec adapters list shows what there is")
        config = json.loads((folder / CONFIG).read_bytes())
        base, rank, modules = config["base_model_name_or_path"], config["r"], config["target_modules"]
        rank = max(rank, *(config.get("rank_pattern") or {}).values(), 0)
        names = {module.rpartition(".")[2] for module in ([modules] if isinstance(modules, str) else modules)}
        shapes = shapes_of(folder / WEIGHTS)
    except UnknownAdapter:
        raise
    except LlmrecError as error:
        raise UnknownAdapter(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UnknownAdapter(f"the adapter {name!r} is damaged or was removed: add it again") from None
    # Folders move, so their last part has to do: a hub name's, or the hash of a workspace's artefact.
    if limits.base is not None and Path(base).name != Path(limits.base).name:
        raise UnknownAdapter(f"the adapter {name!r} was trained on {base}, not on {limits.base}: train it on that")
    if limits.rank is not None and rank > limits.rank:
        raise UnknownAdapter(
            f"the adapter {name!r} has rank {rank}, the server takes up to {limits.rank}: "
            "add ?max_lora_rank= to the llm setting"
        )
    if limits.modules is not None and (others := names - limits.modules):
        raise UnknownAdapter(
            f"the adapter {name!r} adapts {min(others)}, for which the server has no room: "
            "add ?lora_modules= to the llm setting"
        )
    for tensor, shape in shapes.items():
        module, _, side = tensor.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".lora_")
        weight = limits.shapes.get(f"{module}.weight")
        if weight is not None and side in ("A", "B") and shape[side == "A"] != weight[side == "A"]:
            raise UnknownAdapter(f"the adapter {name!r} does not fit the size of {limits.base}: train it on that")
    return folder


def shapes_of(*files: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in safetensors files; `ValueError` for a damaged one."""
    from safetensors import SafetensorError, safe_open

    found = {}
    for path in files:
        try:
            with safe_open(path, framework="numpy") as file:
                found.update({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(str(error)) from None
    return found


class Shelf:
    """What is published to one server, in the order of last use.

    The resolver plugin in the server loads what lies in `folder` when a request names it, and nothing else. The
    server would keep each name for ever: beyond `bound`, what nobody uses at the moment is unloaded, longest unused
    first, and taken off the shelf.
    """

    def __init__(self, folder: Path, bound: int, unload: Callable[[str], Awaitable[None]], grace: float) -> None:
        """`unload` takes a published name; what it raises is ignored (a server that is gone has nothing loaded).
        `grace`: seconds that the files of an unloaded adapter stay."""
        self.folder, self.bound, self._unload, self._grace = folder, bound, unload, grace
        self._users: OrderedDict[str, int] = OrderedDict()
        self._names: OrderedDict[tuple[Path, tuple[int, ...]], str] = OrderedDict()
        self._leaving: dict[str, float] = {}
        self._lock = asyncio.Lock()
        self._trimming: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._users)

    @asynccontextmanager
    async def using(self, adapter: Path) -> AsyncIterator[str]:
        """The published name of the adapter in a folder, loaded by the server while the context lasts."""
        async with self._lock:
            name = await pool.run(self._publish, adapter)
            self._users[name] = self._users.get(name, 0) + 1
            self._users.move_to_end(name)
            self._leaving.pop(name, None)
        try:
            yield name
        finally:
            self._users[name] -= 1
            if len(self._users) > self.bound and self._trimming is None:
                self._trimming = asyncio.create_task(self._trim())

    def clear_up(self) -> None:
        """Remove what others left in the folder and nobody has used for as long as the grace is."""
        for path in self.folder.glob("*"):
            if path.stat().st_mtime < time.time() - self._grace:
                shutil.rmtree(path, ignore_errors=True)

    async def aclose(self) -> None:
        """Wait for what is being unloaded."""
        if self._trimming is not None:
            await asyncio.wait([self._trimming])

    async def empty(self) -> None:
        """Unload everything that nobody uses; the files stay for others who have published the same."""
        await self.aclose()
        with suppress(LlmrecError):  # one that fails tells of a server that is gone
            for name in [name for name, users in self._users.items() if not users]:
                del self._users[name]
                await self._unload(name)

    async def _trim(self) -> None:
        try:
            async with self._lock:
                while surplus := self._surplus():  # others may become unused meanwhile, and start no other trimming
                    for name in surplus:
                        del self._users[name]
                        with suppress(LlmrecError):
                            await self._unload(name)
                        self._leaving[name] = time.monotonic()
                    gone = [name for name, since in self._leaving.items() if since < time.monotonic() - self._grace]
                    for name in gone:
                        del self._leaving[name]
                    await pool.run(self._remove, gone)
        finally:
            self._trimming = None

    def _surplus(self) -> list[str]:
        """What is to be unloaded, the longest unused first."""
        unused = [name for name, users in self._users.items() if not users]
        return unused[: max(0, len(self._users) - self.bound)]

    def _remove(self, names: list[str]) -> None:
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _publish(self, adapter: Path) -> str:
        """Copy the adapter's two files, so that the server has them whatever becomes of the original."""
        try:
            version = tuple(
                number
                for file in (CONFIG, WEIGHTS)
                for stat in [(adapter / file).stat()]
                for number in (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            )
            name = self._names.get((adapter, version))
            if name is None or name not in self._users:
                contents = [(adapter / file).read_bytes() for file in (CONFIG, WEIGHTS)]
                name = "a" + hashlib.sha256(b"\0".join(contents)).hexdigest()[:32]
                self._write(name, contents)
        except OSError as error:
            raise UnknownAdapter(f"the adapter in {adapter} cannot be read ({error.strerror}): add it again") from None
        self._names[adapter, version] = name
        self._names.move_to_end((adapter, version))
        while len(self._names) > self.bound:
            self._names.popitem(last=False)
        return name

    def _write(self, name: str, contents: list[bytes]) -> None:
        target = self.folder / name
        if target.is_dir():
            os.utime(target)  # used now, whoever published it
            return
        unfinished = self.folder / f".{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        for file, content in zip((CONFIG, WEIGHTS), contents, strict=True):
            (unfinished / file).write_bytes(content)
        unfinished.rename(target)
