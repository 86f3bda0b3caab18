"""The store and plugins as one source: real distributions on the path, the example of docs/adapters.md among them."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llmrec.adapters import AdapterSources, AdapterStore
from llmrec.adapters.check import CONFIG
from llmrec.errors import UserError
from llmrec.testing.adapters import AdapterSourceContract

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "house-styles"

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def add(package: str, entry: str, code: str) -> None:
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[llmrec.adapters]\n{entry}\n")
        (site / f"{package}.py").write_text(code)

    return add


def folder_plugin(name: str, folder: Path) -> str:
    return (
        "from pathlib import Path\nclass Source:\n    def resolve(self, name):\n"
        f"        return Path({str(folder)!r}) if name == {name!r} else None\n"
    )


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "adapters")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, train: Callable[..., Path]) -> Path:
    """The plugin of the documentation, installed by pip with the adapter `formal` in it; the folder where it is."""
    package, site = tmp_path_factory.mktemp("source") / "house-styles", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, package)
    shutil.copytree(train(), package / "house_styles" / "adapters" / "formal")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", site, package], check=True)
    return site


@pytest.fixture
def example(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where this process finds it."""
    monkeypatch.syspath_prepend(installed)
    return installed


@pytest.mark.usefixtures("example")
class TestContract(AdapterSourceContract):
    known = ("formal", "search")

    @pytest.fixture(autouse=True)
    def _fill(self, store: AdapterStore, plain: Path) -> None:
        self.store = store
        store.add("search", plain)

    def make(self) -> AdapterSources:
        return AdapterSources(self.store)

    def test_peft_loads_the_plugins_adapter(self, base_model: torch.nn.Module) -> None:
        from peft import PeftModel

        folder = self.make().resolve("formal")
        assert folder is not None
        model = PeftModel.from_pretrained(copy.deepcopy(base_model), folder)
        assert "default" in model.peft_config


def test_the_documentation_shows_the_example() -> None:
    page = EXAMPLE.parents[1].joinpath("adapters.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXAMPLE / 'house_styles' / '__init__.py').read_text(encoding='utf-8')}```" in page
    project = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    assert f"```toml\n{project[project.index('[project.entry-points') :]}```" in page


_USE = """
import sys
from llmrec.adapters import AdapterSources, AdapterStore
print(AdapterSources(AdapterStore(sys.argv[1])).resolve("formal"))
"""


def test_another_process_uses_the_installed_package(installed: Path, store: AdapterStore) -> None:
    command = [sys.executable, "-c", _USE, str(store.folder)]
    found = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == installed / "house_styles" / "adapters" / "formal", found.stderr


def test_the_store_comes_first_then_plugins_by_name(
    install: Install, store: AdapterStore, plain: Path, tmp_path: Path
) -> None:
    first, second = (Path(shutil.copytree(plain, tmp_path / name)) for name in ("first", "second"))
    install("adapters_b", "b-plugin = adapters_b:Source", folder_plugin("search", second))
    install("adapters_a", "a-plugin = adapters_a:Source", folder_plugin("search", first))
    assert AdapterSources(store).resolve("search") == first
    store.add("search", plain)
    assert AdapterSources(store).resolve("search") == store.resolve("search")


def test_a_plugin_that_fails_hides_no_other(
    install: Install, store: AdapterStore, plain: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("adapters_1", "a1 = adapters_1:Source", "raise RuntimeError('no licence')")
    install("adapters_2", "a2 = adapters_2:Source", "class Source:\n    def __init__(self, needed): pass")
    install("adapters_3", "a3 = adapters_3:Source", "class Source:\n    def resolve(self, name): raise OSError('gone')")
    install("adapters_4", "a4 = adapters_4:Source", folder_plugin("user:42", plain))
    sources = AdapterSources(store)
    assert sources.resolve("user:42") == plain
    assert all(text in caplog.text for text in ("'a1'", "no licence", "'a2'", "'a3' failed", "gone"))
    caplog.clear()
    assert sources.resolve("user:43") is None
    assert "'a1'" not in caplog.text, "what cannot be loaded is said once"


def test_a_plugins_adapter_is_checked(install: Install, store: AdapterStore, plain: Path) -> None:
    (plain / CONFIG).write_text(json.dumps(json.loads((plain / CONFIG).read_text()) | {"use_dora": True}))
    install("adapters_dora", "dora = adapters_dora:Source", folder_plugin("search", plain))
    with pytest.raises(UserError, match="adapter 'search' of the plugin 'dora' is refused: the adapter uses DoRA"):
        AdapterSources(store).resolve("search")
