"""The store: what it accepts is what PEFT loads; what it refuses, or fails at, changes nothing."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import resource
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llmrec.adapters import AdapterStore
from llmrec.adapters.check import CONFIG, WEIGHTS
from llmrec.errors import UnknownName, UserError, WorkspaceError
from llmrec.testing.adapters import AdapterSourceContract
from llmrec.workspace.files import DiskFullError


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "ws" / "adapters")


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def logits(base_model: torch.nn.Module, folder: Path | None) -> torch.Tensor:
    model = copy.deepcopy(base_model)
    if folder is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder).eval()
    with torch.no_grad():
        return model(input_ids=torch.arange(12)[None]).logits


class TestContract(AdapterSourceContract):
    known = ("search", "user:42", "user:Änne+1@example.com")

    @pytest.fixture(autouse=True)
    def _fill(self, store: AdapterStore, plain: Path) -> None:
        self.store = store
        for name in self.known:
            store.add(name, plain)

    def make(self) -> AdapterStore:
        return AdapterStore(self.store.folder)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"r": 16, "use_rslora": True},
        {"target_modules": "all-linear", "rank_pattern": {"layers.1.mlp.up_proj": 16}},
        {"dtype": torch.bfloat16},
    ],
    ids=["plain", "rslora", "rank-pattern", "bfloat16"],
)
def test_peft_loads_what_the_store_resolves(
    store: AdapterStore, base_model: torch.nn.Module, train: Callable[..., Path], settings: dict
) -> None:
    trained = train(seed=1, **settings)
    expected = logits(base_model, trained)
    store.add("search", trained, "tiny-qwen3")
    shutil.rmtree(trained)
    found = logits(base_model, store.resolve("search"))
    assert torch.equal(found, expected)
    assert (found - logits(base_model, None)).abs().max() > 0.1


def test_an_adapter_started_by_eva_loads(store: AdapterStore, base_model: torch.nn.Module, plain: Path) -> None:
    expected = logits(base_model, plain)
    config = json.loads((plain / CONFIG).read_text())
    (plain / CONFIG).write_text(json.dumps(config | {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}}))
    store.add("search", plain)
    assert torch.equal(logits(base_model, store.resolve("search")), expected)


def test_an_absent_store_is_empty_and_stays_absent(store: AdapterStore) -> None:
    assert list(store.list()) == [] and store.resolve("search") is None and store.get("search") is None
    assert not store.folder.exists()


def test_what_is_known_of_an_adapter(store: AdapterStore, plain: Path) -> None:
    (plain / "training_args.bin").write_bytes(b"x")
    added = store.add("user:42", plain)
    assert (added.name, added.base, added.rank) == ("user:42", "tiny-qwen3", 8)
    assert added.target_modules == ("q_proj", "v_proj")
    assert added.size == sum((plain / name).stat().st_size for name in (CONFIG, WEIGHTS))
    store.add("search", plain)
    assert [adapter.name for adapter in AdapterStore(store.folder).list()] == ["search", "user:42"]
    assert store.get("user:42") == added
    folder = store.resolve("user:42")
    assert folder is not None and {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS}


def test_names_stay_out_of_paths(store: AdapterStore, plain: Path) -> None:
    store.add("user:..", plain)
    store.add("user:secret-42", plain)
    assert "42" not in {part for path in content(store.folder) for part in Path(path).parts}
    assert all(len(path.name) == 32 for path in store.folder.iterdir() if not path.name.startswith("."))
    assert "secret" not in str(store.resolve("user:secret-42"))
    assert {path.name for path in store.folder.parent.iterdir()} == {"adapters"}


@pytest.mark.parametrize(
    "name",
    ["", "User", "../x", "user:", "user:a/b", "user:..\\x", "user:a b", "user:\n", "user:\0", "x" * 65, "user:\ud800"],
)
def test_other_names_are_refused(store: AdapterStore, plain: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name an adapter"):
        store.add(name, plain)
    assert store.resolve(name) is None
    with pytest.raises(UnknownName):
        store.remove(name)
    assert content(store.folder.parent) == {}


def test_a_taken_name_needs_replace(
    store: AdapterStore, base_model: torch.nn.Module, train: Callable[..., Path], plain: Path
) -> None:
    first = store.add("search", plain)
    before = content(store.folder)
    with pytest.raises(UserError, match="there is an adapter 'search' already"):
        store.add("search", train(seed=2))
    assert content(store.folder) == before
    old = store.resolve("search")
    second = store.add("search", train(seed=2), replace=True)
    new = store.resolve("search")
    assert second.version != first.version and old != new
    assert torch.equal(logits(base_model, old), logits(base_model, plain)), "who has the old version can go on"
    assert not torch.equal(logits(base_model, old), logits(base_model, new))
    assert [adapter.version for adapter in store.list()] == [second.version]


def test_versions_do_not_pile_up(store: AdapterStore, plain: Path) -> None:
    versions = {store.add("search", plain, replace=True).version for _ in range(5)}
    assert len(versions) == 5, "the same files added again are a new version"
    assert len(content(store.folder)) == 1 + 2 * 2  # the pointer, this version and the one before


def test_remove(store: AdapterStore, plain: Path) -> None:
    first = store.add("search", plain)
    store.add("user:42", plain)
    with pytest.raises(UnknownName, match=r"no adapter 'serch': did you mean search\?"):
        store.remove("serch")
    store.remove("search")
    assert store.resolve("search") is None
    assert [adapter.name for adapter in store.list()] == ["user:42"]
    assert len(content(store.folder)) == 3, "all its files are gone"
    assert store.add("search", plain).version != first.version


def test_what_is_loaded_survives_its_removal(store: AdapterStore, base_model: torch.nn.Module, plain: Path) -> None:
    from peft import PeftModel

    store.add("search", plain)
    folder = store.resolve("search")
    assert folder is not None
    model = PeftModel.from_pretrained(copy.deepcopy(base_model), folder).eval()
    store.remove("search")
    with torch.no_grad():
        assert torch.equal(model(input_ids=torch.arange(12)[None]).logits, logits(base_model, plain))


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_refused_adapter_changes_nothing(store: AdapterStore, plain: Path, file: str, existing: bool) -> None:
    if existing:
        store.add("search", plain)
    before = content(store.folder)
    (plain / file).write_bytes((plain / file).read_bytes()[:60])
    with pytest.raises(UserError):
        store.add("search", plain, replace=True)
    with pytest.raises(UserError):
        store.add("other", plain)
    assert content(store.folder) == before


def test_an_adapter_of_another_base_changes_nothing(store: AdapterStore, plain: Path) -> None:
    store.add("search", plain, "tiny-qwen3")
    before = content(store.folder)
    with pytest.raises(UserError, match="was trained on tiny-qwen3, not on another"):
        store.add("search", plain, "another", replace=True)
    assert content(store.folder) == before


def test_a_full_disk_changes_nothing(store: AdapterStore, train: Callable[..., Path]) -> None:
    small, large = train(), train(target_modules="all-linear", r=512)
    first = store.add("search", small)
    before = content(store.folder)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(DiskFullError, match="disk was full while adding the adapter search"):
            store.add("search", large, replace=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert content(store.folder) == before and store.get("search") == first
    store.add("search", large, replace=True)


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("call", ["rename", "replace"])
def test_a_failure_while_switching_changes_nothing(
    store: AdapterStore, plain: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, call: str
) -> None:
    if existing:
        store.add("search", plain)
    store.add("other", plain)
    before = content(store.folder)

    real = getattr(Path, call)

    def full(path: Path, target: Path) -> Path:
        if ".tmp" in path.parts:
            raise OSError(28, "No space left on device")
        return real(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, call, full)
        with pytest.raises(DiskFullError):
            store.add("search", plain, replace=existing)
    assert content(store.folder) == before
    assert len([path for path in store.folder.iterdir() if not path.name.startswith(".")]) == 1 + existing


def test_damaged_stores_say_what_to_do(store: AdapterStore, plain: Path) -> None:
    store.add("search", plain)
    folder = store.resolve("search")
    assert folder is not None
    (folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(WorkspaceError, match="'search' are damaged: add it again with --replace"):
        store.resolve("search")
    store.add("search", plain, replace=True)
    assert store.resolve("search") is not None
    (folder.parent / "adapter.json").write_text("{")
    with pytest.raises(WorkspaceError, match="is damaged"):
        store.list()
    store.remove("search")
    assert list(store.list()) == []


def test_a_killed_writer_leaves_the_store_whole(store: AdapterStore, plain: Path) -> None:
    store.add("search", plain)
    before = content(store.folder)

    def killed() -> None:
        Path.replace = lambda *_: os._exit(9)  # type: ignore[method-assign]
        store.add("search", plain, replace=True)

    child = multiprocessing.get_context("fork").Process(target=killed)
    child.start()
    child.join(60)
    assert child.exitcode == 9
    assert content(store.folder).keys() > before.keys()
    assert [adapter.name for adapter in store.list()] == ["search"] and store.resolve("search") is not None
    store.add("search", plain, replace=True)
    assert len(content(store.folder)) == 1 + 2 * 2, "what it left is cleared away"


def test_readers_see_the_old_or_the_new_while_many_write(store: AdapterStore, plain: Path) -> None:
    store.add("search", plain)
    stop, problems = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                folder = AdapterStore(store.folder).resolve("search")
                if folder is None or len(AdapterStore(store.folder).list()) < 1:
                    problems.append("absent")
            except Exception as error:
                problems.append(repr(error))

    def write(number: int) -> None:
        for _ in range(5):
            AdapterStore(store.folder).add("search", plain, replace=True)
            AdapterStore(store.folder).add(f"user:{number}", plain, replace=True)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert problems == []
    assert len(store.list()) == 5


def test_a_folder_that_cannot_be_written(tmp_path: Path, plain: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        AdapterStore(tmp_path / "file" / "adapters").add("search", plain)
