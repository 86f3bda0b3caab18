"""A tokenizer from a dataset's own text: byte-level BPE with the chat markup (ChatML) that Qwen models use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    from llmrec.language.training.corpus import Document

END = "<|endoftext|>"
"""Ends a document; also what fills short rows."""
TURN, TURN_END = "<|im_start|>", "<|im_end|>"
SPECIAL = (END, TURN, TURN_END)

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocabulary` tokens (at least 256 bytes and 3 special ones): the same for the same texts.

    Whatever is encoded decodes to itself.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END,
        additional_special_tokens=[TURN],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def encode(documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int32]:
    """All documents as one run of tokens, each with its end behind it; dialogues in the tokenizer's chat template.

    Documents are data: markup that they quote is taken out, so that nobody's text ends a turn.
    """
    texts = [_text(document, tokenizer) for document in documents]
    end = tokenizer.convert_tokens_to_ids(END) if END in tokenizer.get_vocab() else tokenizer.eos_token_id
    rows = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []
    return np.fromiter(chain.from_iterable((*row, end) for row in rows), np.int32)


def _text(document: Document, tokenizer: PreTrainedTokenizerBase) -> str:
    if isinstance(document, str):
        return _plain(document, tokenizer)
    messages = [{"role": message.role, "content": _plain(message.content, tokenizer)} for message in document]
    if tokenizer.chat_template is None:
        return "\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in messages)
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def _plain(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, " ")
    return text
