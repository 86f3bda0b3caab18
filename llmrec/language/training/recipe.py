"""From a dataset, or from examples, to a model or adapter that every engine loads: what `llmrec train` runs.

A folder gets what transformers (or PEFT, for an adapter) writes, and beside it `training.json`, `metrics.jsonl` and
`learning-curve.png`. A run that was killed goes on where it stopped when it is started again with the same arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from llmrec.contracts import Progress, no_progress
from llmrec.data.dataset import Dataset
from llmrec.errors import UserError, WorkspaceError
from llmrec.language.training import checkpoint, curve
from llmrec.language.training.base import LoraSettings, identity, load_base, load_tokenizer, seeded
from llmrec.language.training.batches import Batch, Batches, Example, Packed, Padded, packed_once, padded
from llmrec.language.training.corpus import Corpus, build_corpus
from llmrec.language.training.facts import FACTS, follows_instructions, read_facts
from llmrec.language.training.loop import LoopSettings, find_device, train
from llmrec.language.training.presets import Preset, preset
from llmrec.language.training.tokenizer import END, TURN_END, encode, train_tokenizer
from llmrec.workspace.files import saying_disk_full
from llmrec.workspace.locks import FileLock, HeldError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LENGTH, _BATCH = 512, 4
_VALIDATION_TOKENS = 8_192
_TOKENIZER_CHARACTERS = 20_000_000
_LOCK = ".lock"


@dataclass(frozen=True)
class Report:
    """How a training went."""

    folder: str
    kind: Literal["model", "adapter"]
    base: str
    """Preset, folder or hub name."""
    parameters: int
    trained: int
    """Parameters that were trained."""
    steps: int
    tokens: int
    seconds: float
    """In the loop: reading, and what comes before and after, not counted."""
    tokens_per_second: float
    loss: float | None
    validation_loss: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def train_from_scratch(
    dataset: Dataset,
    folder: Path,
    size: str | Preset = "nano",
    *,
    tokens: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Report:
    """A tokenizer and a model of a preset from the text of `dataset`, into `folder`.

    `tokens` to read, by default the preset's; or `minutes` to train. Raises `UserError` for an unknown preset, a
    dataset without text, and a folder that holds something else.
    """
    from transformers import GenerationConfig, Qwen3ForCausalLM

    chosen = size if isinstance(size, Preset) else preset(size)
    corpus = _corpus(dataset, seed, progress)
    progress("training the tokenizer", 0, 1)
    tokenizer = train_tokenizer(_some_texts(corpus), chosen.vocabulary)
    config = chosen.config(-(-len(tokenizer) // 64) * 64)  # whole blocks multiply faster
    vocabulary = tokenizer.get_vocab()
    config.eos_token_id, config.pad_token_id = vocabulary[TURN_END], vocabulary[END]
    with seeded(seed):
        model: Any = Qwen3ForCausalLM(config)
    ends = [config.eos_token_id, config.pad_token_id]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=config.pad_token_id)
    if tokens is None and minutes is None:
        tokens = chosen.tokens
    return _Training(
        model, tokenizer, folder, size if isinstance(size, str) else "custom", None, seed, progress
    ).on_corpus(corpus, LoopSettings(learning_rate=chosen.learning_rate), chosen.length, chosen.batch, tokens, minutes)


def continue_model(
    dataset: Dataset,
    base: str | Path,
    folder: Path,
    *,
    lora: LoraSettings | None = None,
    tokens: int | None = None,
    minutes: float | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Report:
    """The model `base` (a folder or hub name) continued on the text of `dataset`: all of it, or a LoRA adapter.

    `tokens` to read, by default the whole text once; or `minutes` to train. Raises `UserError` for a base that cannot
    be loaded, a dataset without text, and a folder that holds something else.
    """
    tokenizer = load_tokenizer(base)
    corpus = _corpus(dataset, seed, progress)
    model = load_base(base, lora, seed)
    length = min(_LENGTH, getattr(model.config, "max_position_embeddings", _LENGTH))
    return _Training(model, tokenizer, folder, str(base), lora, seed, progress).on_corpus(
        corpus, _settings(lora, learning_rate), length, _BATCH, tokens, minutes
    )


def train_on_examples(
    base: str | Path,
    examples: Sequence[Example],
    folder: Path,
    *,
    validation: Sequence[Example] = (),
    lora: LoraSettings | None = None,
    epochs: float = 1.0,
    batch: int = 16,
    learning_rate: float | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Report:
    """The model `base` continued on examples, (prompt ids, target ids) each, with loss on the targets alone.

    All of it, or a LoRA adapter. Ids are those of the base's own tokenizer (`load_tokenizer`); a target should end with
    the id that ends an answer. Raises `UserError` as `continue_model` does.
    """
    if not examples:
        raise UserError("there are no examples to train on: give at least one")
    tokenizer = load_tokenizer(base)
    model = load_base(base, lora, seed)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    batches = Padded(examples, pad, batch, seed)
    shown = [padded(validation[start : start + batch], pad) for start in range(0, len(validation), batch)]
    data = _digest(np.array([len(p), *p, *t], np.int32) for p, t in (*examples, *validation))
    return _Training(model, tokenizer, folder, str(base), lora, seed, progress).run(
        batches, shown, _settings(lora, learning_rate), max(round(epochs * len(batches)), 1), None, data
    )


def _settings(lora: LoraSettings | None, learning_rate: float | None) -> LoopSettings:
    """Of a model that exists: a small learning rate for all of it, a larger one for an adapter."""
    return LoopSettings(learning_rate=learning_rate or (1e-3 if lora else 1e-4))


# --- Texts ------------------------------------------------------------------------------------------------------------


def _corpus(dataset: Dataset, seed: int, progress: Progress) -> Corpus:
    progress("reading the texts", 0, 1)
    corpus = build_corpus(dataset, seed)
    if not corpus.train:
        raise UserError(f"{dataset.name} has no text to learn from: its items need titles, descriptions or attributes")
    return corpus


def _some_texts(corpus: Corpus) -> Iterator[str]:
    """As much of the training text as a tokenizer needs to see."""
    left = _TOKENIZER_CHARACTERS
    for document in corpus.train:
        for text in [document] if isinstance(document, str) else [message.content for message in document]:
            yield text
            left -= len(text)
        if left < 0:
            return


def _digest(arrays: Iterator[NDArray[np.int32]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


# --- One training -----------------------------------------------------------------------------------------------------


class _Training:
    """What all ways to train share: the folder, the loop, and what is written at the end."""

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        folder: Path,
        base: str,
        lora: LoraSettings | None,
        seed: int,
        progress: Progress,
    ) -> None:
        self.model, self.tokenizer, self.folder, self.base = model.to(find_device()), tokenizer, folder, base
        self.lora, self.seed, self.progress = lora, seed, progress

    def on_corpus(
        self,
        corpus: Corpus,
        settings: LoopSettings,
        length: int,
        size: int,
        tokens: int | None,
        minutes: float | None,
    ) -> Report:
        """Train for `tokens` or `minutes`, or one epoch where both are None."""
        self.progress("tokenizing", 0, 1)
        train_ids, valid_ids = encode(corpus.train, self.tokenizer), encode(corpus.validation, self.tokenizer)
        batches = Packed(train_ids, length, size, self.seed)
        steps = None
        if minutes is None:
            steps = len(batches) if tokens is None else max(round(tokens / batches.tokens), 1)
        validation = packed_once(valid_ids, length, size, _VALIDATION_TOKENS)
        return self.run(batches, validation, settings, steps, minutes, _digest(iter((train_ids, valid_ids))))

    def run(
        self,
        batches: Batches,
        validation: Sequence[Batch],
        settings: LoopSettings,
        steps: int | None,
        minutes: float | None,
        data: str,
    ) -> Report:
        """Train, unless this very run has ended in the folder already, and write all that belongs to the result."""
        run = {
            "base": self.base,
            "of": identity(self.base),
            "lora": self.lora.model_dump(mode="json") if self.lora else None,
            "seed": self.seed,
            "data": data,
            "batch": batches.tokens,
            "steps": steps,
            "minutes": minutes,
            "settings": settings.model_dump(mode="json"),
        }
        with _claimed(self.folder):
            facts = read_facts(self.folder)
            if facts is not None and facts["run"] == run:
                return Report(**facts["report"] | {"folder": str(self.folder)})
            if facts is not None or (self.folder / "config.json").exists():
                raise UserError(f"{self.folder} holds another model already: name another folder, or remove it")
            done = train(
                self.model,
                batches,
                self.folder,
                settings,
                steps=steps,
                minutes=minutes,
                validation=validation,
                run=run,
                progress=self.progress,
            )
            self.progress("saving", done.tokens, done.tokens)
            report = Report(
                folder=str(self.folder),
                kind="adapter" if self.lora else "model",
                base=self.base,
                parameters=sum(p.numel() for p in self.model.parameters()),
                trained=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
                steps=done.steps,
                tokens=done.tokens,
                seconds=round(done.seconds, 3),
                tokens_per_second=round(done.tokens_per_second, 1),
                loss=done.rows[-1].get("loss"),
                validation_loss=done.validation_loss,
            )
            with saying_disk_full(self.folder, "saving the model"):
                self._save()
                curve.draw(done.rows, self.folder)
                facts = {"run": run, "report": report.to_json(), "instructed": follows_instructions(report.base)}
                text = json.dumps(facts, indent=1)
                (self.folder / FACTS).write_text(text + "\n", encoding="utf-8")
                checkpoint.remove(self.folder)
        return report

    def _save(self) -> None:
        from transformers.utils import logging

        logging.disable_progress_bar()
        if self.lora is not None:
            self.model.save_pretrained(self.folder, save_embedding_layers=False)
            (self.folder / "README.md").unlink(missing_ok=True)  # an empty form
        else:
            self.model.save_pretrained(self.folder)
            self.tokenizer.save_pretrained(self.folder)
        for weights in self.folder.glob("*.safetensors"):
            weights.chmod(0o644)  # safetensors lets only the owner read


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """The folder, made where it is absent, for this process alone."""
    if folder.is_file():
        raise UserError(f"{folder} is a file: name a folder for the model")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
    except HeldError as held:
        raise WorkspaceError(
            f"process {held.holder.get('pid', 'unknown')} is training in {folder}: wait until it ends"
        ) from None
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): name another folder") from None
    try:
        with lock:
            yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
