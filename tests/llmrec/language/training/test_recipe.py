"""Training from scratch, continuing, adapters: seeds, interruptions, and what is left in the folder."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmrec.adapters import AdapterStore
from llmrec.data.dataset import Dataset
from llmrec.errors import LlmrecError, UnknownName, UserError, WorkspaceError
from llmrec.language.training import loop, recipe
from llmrec.language.training.base import LoraSettings
from llmrec.language.training.loop import LoopSettings
from llmrec.language.training.recipe import continue_model, load_tokenizer, train_from_scratch, train_on_examples
from llmrec.workspace.files import DiskFullError
from llmrec.workspace.locks import FileLock

from .conftest import TINY

WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The process dies in the middle of this step; checkpoints are written whenever they may."""
    original = loop._Run._step

    def step_or_die(self: loop._Run, number: int) -> torch.Tensor:
        loss = original(self, number)
        if number == step:
            raise Killed
        return loss

    monkeypatch.setattr(loop._Run, "_step", step_or_die)


@pytest.fixture
def always_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SAVING_SHARE", 1e9)
    monkeypatch.setitem(
        LoopSettings.model_fields, "checkpoint_seconds", LoopSettings.model_fields["checkpoint_seconds"]
    )
    original = LoopSettings.__init__
    monkeypatch.setattr(LoopSettings, "__init__", lambda self, **v: original(self, **{"checkpoint_seconds": 0.0, **v}))


def rows(folder: Path) -> list[dict[str, float]]:
    """The metrics without what depends on the clock."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


# --- From scratch -----------------------------------------------------------------------------------------------------


def test_the_folder_is_a_model_that_anybody_loads(tiny: Path, shop: Dataset) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert model.config.model_type == "qwen3" and model.config.tie_word_embeddings
    assert model.dtype == torch.float32
    assert len(tokenizer) <= model.config.vocab_size < len(tokenizer) + 64
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert tokenizer.decode(prompt["input_ids"][0]) == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    answer = model.generate(**prompt, max_new_tokens=5, do_sample=False)
    assert answer.shape[1] > prompt["input_ids"].shape[1]
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert model.generation_config.eos_token_id == ends and tokenizer.eos_token_id == ends[0]
    assert {path.name for path in tiny.iterdir()} >= {"metrics.jsonl", "learning-curve.png", "training.json"}
    assert not [path for path in tiny.iterdir() if path.name.startswith((".", "checkpoint"))]
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in tiny.iterdir())


def test_the_loss_falls(tiny: Path) -> None:
    measured = rows(tiny)
    validation = [row["validation_loss"] for row in measured if "validation_loss" in row]
    assert validation[-1] < validation[0] - 0.3
    assert measured[-1]["loss"] < measured[1]["loss"] - 0.3
    assert [row["step"] for row in measured] == list(range(21))
    report = json.loads((tiny / "training.json").read_text())["report"]
    assert report["validation_loss"] == validation[-1]
    assert report["tokens"] == TINY.tokens == 20 * 128


def test_the_seed_decides_everything(tiny: Path, shop: Dataset, tmp_path: Path) -> None:
    train_from_scratch(shop, tmp_path / "same", TINY)
    assert (tmp_path / "same" / WEIGHTS).read_bytes() == (tiny / WEIGHTS).read_bytes()
    assert (tmp_path / "same" / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()
    assert rows(tmp_path / "same") == rows(tiny)
    train_from_scratch(shop, tmp_path / "other", TINY, seed=1)
    assert (tmp_path / "other" / WEIGHTS).read_bytes() != (tiny / WEIGHTS).read_bytes()


@pytest.mark.parametrize("step", [0, 7, 19])
def test_a_killed_run_ends_in_the_same_weights(
    tiny: Path, shop: Dataset, tmp_path: Path, step: int, always_saving: None
) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, step)
        train_from_scratch(shop, tmp_path / "model", TINY)
    assert not (tmp_path / "model" / WEIGHTS).exists()
    resumed = []
    with pytest.MonkeyPatch.context() as patch:
        original = loop._Run._step
        patch.setattr(loop._Run, "_step", lambda self, number: resumed.append(number) or original(self, number))
        train_from_scratch(shop, tmp_path / "model", TINY)
    assert resumed == list(range(step, 20)), "it went on where it was killed"
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == (tiny / WEIGHTS).read_bytes()
    assert rows(tmp_path / "model") == rows(tiny)


def test_a_checkpoint_of_another_run_and_a_damaged_one_are_left_alone(
    tiny: Path, shop: Dataset, tmp_path: Path, always_saving: None, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 5)
        train_from_scratch(shop, folder, TINY, seed=1)
    [other] = folder.glob("checkpoint-*")
    damaged = folder / "checkpoint-000000009"
    shutil.copytree(other, damaged)
    (damaged / "weights.safetensors").write_bytes(b"half")
    state = json.loads((damaged / "state.json").read_text())
    state["run"]["seed"] = 0
    (damaged / "state.json").write_text(json.dumps(state))
    with caplog.at_level(logging.WARNING):
        train_from_scratch(shop, folder, TINY)
    assert (folder / WEIGHTS).read_bytes() == (tiny / WEIGHTS).read_bytes()


def test_what_has_ended_is_not_trained_again_and_not_overwritten(
    tiny: Path, shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop._Run, "_step", lambda *_: pytest.fail("it trains"))
    report = train_from_scratch(shop, tiny, TINY)
    assert (report.folder, report.steps) == (str(tiny), 20)
    with pytest.raises(UserError, match="holds another model already"):
        train_from_scratch(shop, tiny, TINY, seed=5)


def test_minutes_limit_the_time(shop: Dataset, tmp_path: Path) -> None:
    report = train_from_scratch(shop, tmp_path / "model", TINY, minutes=0.02)
    again = train_from_scratch(shop, tmp_path / "again", TINY, tokens=report.tokens)
    assert again.steps == report.steps
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "model" / WEIGHTS).read_bytes()


# --- Mistakes ---------------------------------------------------------------------------------------------------------


def one_sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text and text
    return text


def test_mistakes_are_one_sentence(shop: Dataset, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no preset 'nanno': did you mean nano") as unknown:
        train_from_scratch(shop, tmp_path / "a", "nanno")
    one_sentence(unknown.value)
    wordless = Dataset("numbers", shop.items.with_columns(title=pl.lit(""), description=pl.lit(""), attributes=[]))
    with pytest.raises(UserError, match="numbers has no text to learn from") as empty:
        train_from_scratch(wordless, tmp_path / "b", TINY)
    one_sentence(empty.value)
    (tmp_path / "junk").mkdir()
    for base in (tmp_path / "none", str(tmp_path / "none"), tmp_path / "junk"):
        with pytest.raises(UserError, match=r"there is no model at|cannot be loaded") as absent:
            continue_model(shop, base, tmp_path / "c")
        one_sentence(absent.value)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        train_from_scratch(shop, tmp_path / "file", TINY)
    with pytest.raises(UserError, match="cannot carry this adapter"):
        continue_model(shop, tiny, tmp_path / "d", lora=LoraSettings(modules=("query_key_value",)), tokens=128)
    with pytest.raises(UserError, match="no examples"):
        train_on_examples(tiny, [], tmp_path / "e")


def test_pickled_weights_are_not_read(shop: Dataset, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "pickled")
    (tmp_path / "pickled" / WEIGHTS).unlink()
    torch.save(load_file(tiny / WEIGHTS), tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded"):
        continue_model(shop, tmp_path / "pickled", tmp_path / "out")


@pytest.mark.parametrize("place", ["save", "model"])
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(
    shop: Dataset, tiny: Path, tmp_path: Path, place: str, always_saving: None
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "model"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DiskFullError, match="the disk was full while") as error:
        if place == "save":
            patch.setattr(loop.checkpoint, "save", full)
        else:
            patch.setattr(recipe._Training, "_save", full)
        train_from_scratch(shop, folder, TINY)
    one_sentence(error.value)
    train_from_scratch(shop, folder, TINY)
    assert (folder / WEIGHTS).read_bytes() == (tiny / WEIGHTS).read_bytes()


def test_a_loss_that_is_no_number_ends_the_run(shop: Dataset, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(LlmrecError, match="lower learning rate"):
        continue_model(shop, tiny, tmp_path / "model", learning_rate=1e30, tokens=50_000)


def test_two_processes_do_not_train_in_one_folder(shop: Dataset, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with FileLock(tmp_path / "model" / ".lock"), pytest.raises(WorkspaceError, match="is training in"):
        train_from_scratch(shop, tmp_path / "model", TINY)


# --- Continuing -------------------------------------------------------------------------------------------------------


def test_a_model_is_continued_by_the_same_code(tiny: Path, shop: Dataset, tmp_path: Path) -> None:
    report = continue_model(shop, tiny, tmp_path / "more", tokens=8_192, learning_rate=1e-3)
    assert report.kind == "model" and report.trained == report.parameters
    first = rows(tmp_path / "more")[0]["validation_loss"]
    assert first == pytest.approx(rows(tiny)[-1]["validation_loss"], abs=0.3), "it starts from what the base had learnt"
    assert report.validation_loss is not None and report.validation_loss < first
    assert AutoTokenizer.from_pretrained(tmp_path / "more").encode("a book") == load_tokenizer(tiny).encode("a book")
    AutoModelForCausalLM.from_pretrained(tmp_path / "more")


def test_an_adapter_is_what_the_store_accepts(tiny: Path, shop: Dataset, tmp_path: Path) -> None:
    before = (tiny / WEIGHTS).read_bytes()
    report = continue_model(shop, tiny, tmp_path / "adapter", lora=LoraSettings(), tokens=4_096)
    assert report.kind == "adapter" and report.trained < report.parameters / 20
    added = AdapterStore(tmp_path / "store").add("language", tmp_path / "adapter", tiny)
    assert (added.rank, added.target_modules) == (8, ("q_proj", "v_proj"))
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["lora_alpha"] == 16
    assert (tiny / WEIGHTS).read_bytes() == before
    assert any(
        tensor.abs().sum() > 0 for name, tensor in load_file(tmp_path / "adapter" / ADAPTER).items() if "_B" in name
    )


def test_a_killed_adapter_run_ends_in_the_same_weights(
    tiny: Path, shop: Dataset, tmp_path: Path, always_saving: None
) -> None:
    options = {"lora": LoraSettings(), "tokens": 8_192, "seed": 4}
    continue_model(shop, tiny, tmp_path / "whole", **options)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 2)
        continue_model(shop, tiny, tmp_path / "killed", **options)  # type: ignore[arg-type]
    continue_model(shop, tiny, tmp_path / "killed", **options)  # type: ignore[arg-type]
    assert (tmp_path / "killed" / ADAPTER).read_bytes() == (tmp_path / "whole" / ADAPTER).read_bytes()


def test_examples_teach_their_targets_alone(tiny: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(tiny)

    def example(number: int) -> tuple[list[int], list[int]]:
        prompt = tokenizer.encode(f"colour {number * 7919 % 1000}:")  # what cannot be learnt; the target can
        return prompt, [*tokenizer.encode(" blue"), tokenizer.eos_token_id]

    for lora, best in ((None, 1.0), (LoraSettings(modules=("q_proj", "v_proj", "up_proj", "down_proj")), 5.0)):
        folder = tmp_path / f"best-{best}"
        report = train_on_examples(
            tiny,
            [example(n) for n in range(200)],
            folder,
            validation=[example(n) for n in range(200, 240)],
            lora=lora,
            epochs=3,
            learning_rate=3e-3,
        )
        measured = [row["validation_loss"] for row in rows(folder) if "validation_loss" in row]
        assert report.steps == 36 and measured[0] > 5.5 and measured[-1] < best
    AdapterStore(tmp_path / "store").add("understand", folder, tiny)


def test_an_evaluated_model_predicts_what_was_measured(tiny: Path, shop: Dataset) -> None:
    """The validation loss of the report, computed another way from the saved files."""
    from llmrec.language.training.corpus import build_corpus
    from llmrec.language.training.tokenizer import encode

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    ids = torch.from_numpy(encode(build_corpus(shop).validation, tokenizer)[: 8_192 + 1].astype(np.int64))
    count = (len(ids) - 1) // 64
    losses = []
    with torch.no_grad():
        for start in range(0, count * 64, 64):
            block = ids[start : start + 65][None]
            losses.append(float(model(input_ids=block, labels=block).loss))
    reported = json.loads((tiny / "training.json").read_text())["report"]["validation_loss"]
    assert np.mean(losses) == pytest.approx(reported, abs=0.02)
