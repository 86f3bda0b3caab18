"""Plugins: real distributions on the path, some of them broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec import plugins
from llmrec.errors import MissingExtra, UnknownName

GROUP: plugins.Group = "llmrec.recommenders"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(tmp_path)

    def add(package: str, lines: str, code: str | None = None, group: str = GROUP) -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        if code is not None:
            (tmp_path / f"{package}.py").write_text(code)

    return add


def test_a_plugin_is_found_and_loaded_only_when_asked_for(install, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    install("zoo_lazy", "lazy-zoo = zoo_lazy:Thing", f"open({str(tmp_path / 'loaded')!r}, 'w')\nclass Thing: pass")
    assert "lazy-zoo" in plugins.names(GROUP)
    assert not (tmp_path / "loaded").exists()
    assert plugins.load(GROUP, "lazy-zoo").__name__ == "Thing"
    assert (tmp_path / "loaded").exists()
    assert "lazy-zoo" not in plugins.names("llmrec.engines")


def test_unknown_names_get_the_nearest(install) -> None:  # type: ignore[no-untyped-def]
    install("zoo_near", "wombat = zoo_near:Thing", "class Thing: pass")
    with pytest.raises(UnknownName, match=r"there is no 'wombt' among recommenders: did you mean wombat\?"):
        plugins.load(GROUP, "wombt")


def test_broken_plugins_are_explained_and_the_others_work(install) -> None:  # type: ignore[no-untyped-def]
    install("zoo_absent", "absent = zoo_absent:Thing")
    install("zoo_raises", "raises = zoo_raises:Thing", "raise RuntimeError('no licence\\nmore')")
    install("zoo_lacks", "lacks = zoo_lacks:Thing", "")
    install("zoo_fine", "fine-zoo = zoo_fine:Thing", "class Thing: pass")
    for name, reason in {"absent": "ModuleNotFoundError", "raises": "no licence", "lacks": "AttributeError"}.items():
        with pytest.raises(plugins.PluginError, match=f"'{name}' .* of zoo_{name} cannot be loaded .*{reason}"):
            plugins.load(GROUP, name)
    assert plugins.load(GROUP, "fine-zoo").__name__ == "Thing"
    ours = {(problem.name, problem.package) for problem in plugins.broken() if problem.package.startswith("zoo_")}
    assert ours == {("absent", "zoo_absent"), ("raises", "zoo_raises"), ("lacks", "zoo_lacks")}


def test_a_plugin_that_misses_an_extra_says_so_itself(install) -> None:  # type: ignore[no-untyped-def]
    code = "from llmrec.errors import MissingExtra\nraise MissingExtra('vllm', 'this engine')"
    install("zoo_extra", "extra = zoo_extra:Thing", code, group="llmrec.engines")
    with pytest.raises(MissingExtra):
        plugins.load("llmrec.engines", "extra")
    assert not [problem for problem in plugins.broken() if problem.package == "zoo_extra"]


def test_a_taken_name_keeps_its_meaning(install) -> None:  # type: ignore[no-untyped-def]
    install("zoo_bb", "taken = zoo_bb:Second", "class Second: pass")
    install("zoo_aa", "taken = zoo_aa:First", "class First: pass")
    assert plugins.load(GROUP, "taken").__name__ == "First"
    [problem] = [problem for problem in plugins.broken() if problem.package == "zoo_bb"]
    assert "zoo_aa registers the same name" in str(problem)


def test_what_llmrec_registers_itself_loads() -> None:
    problems = [problem for problem in plugins.broken() if problem.package == "llmrec"]
    assert problems == [], "\n".join(map(str, problems))
