"""Which adapters a server gets, what they are called there, and how many stay."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from llmrec.errors import EngineUnavailable, UnknownAdapter, WorkspaceError
from llmrec.language.vllm.adapters import CONFIG, PUBLISHED, WEIGHTS, Limits, Shelf, find, shapes_of
from llmrec.testing.models import Folders, TinyModel

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(name, content=..., **config)`: an adapter as far as a shelf looks at it."""

    def adapter(name: str, content: bytes | None = None, **config: object) -> Path:
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"base_model_name_or_path": "base", "r": 8, "target_modules": ["q_proj"]} | config
        (folder / CONFIG).write_text(json.dumps(settings))
        (folder / WEIGHTS).write_bytes(name.encode() if content is None else content)
        return folder

    return adapter


class Unloaded(list[str]):
    """Names that were unloaded."""

    fails = False

    async def __call__(self, name: str) -> None:
        self.append(name)
        if self.fails:
            raise EngineUnavailable("gone")


def shelf_of(tmp_path: Path, bound: int, unloaded: Unloaded, grace: float = 0.0) -> Shelf:
    folder = tmp_path / "published"
    folder.mkdir(exist_ok=True)
    return Shelf(folder, bound, unloaded, grace)


def published(shelf: Shelf) -> set[str]:
    return {path.name for path in shelf.folder.iterdir()}


async def use(shelf: Shelf, adapter: Path) -> str:
    async with shelf.using(adapter) as name:
        pass
    await shelf.aclose()
    return name


async def test_a_name_tells_the_content_and_nothing_else(make: Make, tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, 8, Unloaded())
    adapter = make("user:42")
    async with shelf.using(adapter) as name:
        assert PUBLISHED.fullmatch(name) and "42" not in name.replace("42", "", name.count("42"))
        files = {path.name: path.read_bytes() for path in (shelf.folder / name).iterdir()}
        assert files == {file: (adapter / file).read_bytes() for file in (CONFIG, WEIGHTS)}
    assert await use(shelf, make("copy", b"user:42")) == name
    assert await use(shelf, make("other")) != name
    make("user:42", b"a new version")
    assert await use(shelf, adapter) != name


async def test_the_copy_outlives_the_original(make: Make, tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, 8, Unloaded())
    adapter = make("a")
    async with shelf.using(adapter) as name:
        shutil.rmtree(adapter)
        assert (shelf.folder / name / WEIGHTS).read_bytes() == b"a"
    with pytest.raises(UnknownAdapter, match="cannot be read"):
        await use(shelf, adapter)


async def test_what_is_long_unused_goes_and_what_is_in_use_stays(make: Make, tmp_path: Path) -> None:
    unloaded = Unloaded()
    shelf = shelf_of(tmp_path, 2, unloaded)
    async with shelf.using(make("busy")) as busy:
        first, second, third = [await use(shelf, make(name)) for name in ("first", "second", "third")]
        assert unloaded == [first, second]
        assert len(shelf) == 2
        assert busy in published(shelf) and third in published(shelf)
        again = await use(shelf, make("first"))
        assert again == first and unloaded == [first, second, third]
    assert await use(shelf, make("last"))
    assert unloaded == [first, second, third, busy]


async def test_more_in_use_than_the_bound(make: Make, tmp_path: Path) -> None:
    unloaded = Unloaded()
    shelf = shelf_of(tmp_path, 2, unloaded)
    everyone = asyncio.Barrier(12)

    async def request(number: int) -> None:
        async with shelf.using(make(f"a{number % 6}")) as name:
            await everyone.wait()
            assert name not in unloaded and (shelf.folder / name).is_dir()

    await asyncio.gather(*(request(number) for number in range(12)))
    await shelf.aclose()
    assert len(shelf) == 2 and len(unloaded) == 4


async def test_a_server_that_is_gone_has_nothing_loaded(make: Make, tmp_path: Path) -> None:
    unloaded = Unloaded()
    unloaded.fails = True
    shelf = shelf_of(tmp_path, 1, unloaded)
    names = [await use(shelf, make(name)) for name in ("a", "b", "c")]
    assert unloaded == names[:2] and len(shelf) == 1


async def test_files_of_what_was_unloaded_stay_a_while(make: Make, tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, 1, Unloaded(), grace=60)
    names = [await use(shelf, make(name)) for name in ("a", "b", "c")]
    assert published(shelf) == set(names)


async def test_what_others_left_long_ago_is_cleared_up(make: Make, tmp_path: Path) -> None:
    before = shelf_of(tmp_path, 8, Unloaded())
    old, new = await use(before, make("old")), await use(before, make("new"))
    os.utime(before.folder / old, (0, 0))
    after = shelf_of(tmp_path, 8, Unloaded(), grace=3600)
    after.clear_up()
    assert published(after) == {new}
    os.utime(after.folder / new, (0, 0))
    assert await use(after, make("new")) == new
    after.clear_up()
    assert published(after) == {new}


async def test_what_becomes_unused_while_others_are_unloaded_goes_too(make: Make, tmp_path: Path) -> None:
    unloaded, goes_on = Unloaded(), asyncio.Event()

    async def unload(name: str) -> None:
        await goes_on.wait()
        await unloaded(name)

    (tmp_path / "published").mkdir()
    shelf = Shelf(tmp_path / "published", 1, unload, 0.0)
    async with shelf.using(make("last")):
        async with shelf.using(make("second")) as second:
            async with shelf.using(make("first")) as first:
                pass
            await asyncio.sleep(0)
        goes_on.set()
        await shelf.aclose()
        assert unloaded == [first, second] and len(shelf) == 1


async def test_many_names_take_no_more_room_than_the_bound(make: Make, tmp_path: Path) -> None:
    unloaded = 0

    async def unload(name: str) -> None:
        nonlocal unloaded
        unloaded += 1

    (tmp_path / "published").mkdir()
    shelf = Shelf(tmp_path / "published", 16, unload, 0.0)
    adapter = make("user")

    async def serve(numbers: range) -> None:
        for number in numbers:
            (adapter / WEIGHTS).write_bytes(str(number).encode())
            async with shelf.using(adapter):
                pass
            assert len(shelf) <= 40
        await shelf.aclose()

    def held() -> int:
        gc.collect()
        own = tracemalloc.Filter(inclusive=True, filename_pattern="*/vllm/adapters.py", all_frames=True)
        return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([own]).traces)

    tracemalloc.start()
    await serve(range(50))
    before = held()
    await serve(range(50, 1_050))
    assert held() < before + 20_000
    tracemalloc.stop()
    assert unloaded >= 1_000
    assert len(published(shelf)) == len(shelf) <= 16


def trained(folder: Path, width: int = 4) -> Path:
    """Put tensors of an adapter for one module of the shape (6, width) into a folder."""
    module = "base_model.model.layers.0.q_proj"
    tensors = {f"{module}.lora_A.weight": torch.ones(8, width), f"{module}.lora_B.weight": torch.ones(6, 8)}
    save_file(tensors, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"base_model_name_or_path": "elsewhere/another"}, "was trained on elsewhere/another, not on my/base"),
        ({"r": 64}, r"has rank 64, the server takes up to 16: add \?max_lora_rank="),
        ({"rank_pattern": {"v_proj": 32}}, "has rank 32"),
        ({"target_modules": ["q_proj", "lm_head"]}, "adapts lm_head, for which the server has no room"),
        ({"target_modules": 7}, "is damaged"),
        ({"r": None}, "is damaged"),
    ],
)
def test_what_does_not_fit_the_server_is_said(make: Make, config: dict[str, object], words: str) -> None:
    limits = Limits("my/base", 16, frozenset({"q_proj", "v_proj"}), {"layers.0.q_proj.weight": (6, 4)})
    good, bad = trained(make("good")), trained(make("bad", **config))
    source = Folders({"good": good, "bad": bad, "narrow": trained(make("narrow"), width=3)})
    assert find(source, "good", limits) == good
    with pytest.raises(UnknownAdapter, match=words):
        find(source, "bad", limits)
    with pytest.raises(UnknownAdapter, match="does not fit the size of my/base"):
        find(source, "narrow", limits)
    with pytest.raises(UnknownAdapter, match="there is no adapter 'user:1'"):
        find(source, "user:1", limits)


def test_a_damaged_adapter_and_a_damaged_source_are_said(make: Make) -> None:
    cut = trained(make("cut"))
    (cut / WEIGHTS).write_bytes((cut / WEIGHTS).read_bytes()[:-10])
    unreadable = trained(make("unreadable"))
    (unreadable / CONFIG).write_text("{")
    for folder in (cut, unreadable, cut / "absent"):
        with pytest.raises(UnknownAdapter, match="is damaged or was removed"):
            find(Folders({"a": folder}), "a", Limits())

    class Broken(Folders):
        def resolve(self, name: str) -> Path | None:
            raise WorkspaceError("the store is damaged")

    with pytest.raises(UnknownAdapter, match="the store is damaged"):
        find(Broken(), "a", Limits())


def test_the_tiny_adapters_fit_the_tiny_model(tiny_model: TinyModel) -> None:
    limits = Limits(
        str(tiny_model.folder),
        8,
        frozenset({"q_proj", "v_proj"}),
        shapes_of(*tiny_model.folder.glob("*.safetensors")),
    )
    assert find(Folders(dict(tiny_model.adapters)), "warm", limits) == tiny_model.adapters["warm"]
    assert "model.layers.0.self_attn.q_proj.weight" in limits.shapes
