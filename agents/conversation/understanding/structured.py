"""Understanding and wording by an instruct model: structured output, checked and linked before anyone believes it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.understanding.interpret import Interpreter, Situation
from llmrec.agents.conversation.understanding.linker import Mention
from llmrec.agents.conversation.understanding.normalise import Token, fold, tokenise
from llmrec.contracts import Engine
from llmrec.errors import EngineNonsense, UserError
from llmrec.filters import Filter
from llmrec.language import prompts

MESSAGE_LIMIT = 4_000
"""Characters of a message that a model sees."""
_OFFERED = 60
"""Attribute names that the prompt offers: those that the rules find in the message, then the most common."""
_ATTRIBUTES = (ActKind.ACCEPT, ActKind.REJECT, ActKind.DONT_CARE)
_ITEMS = (ActKind.LIKE_ITEM, ActKind.REJECT_ITEM, ActKind.SEEN, ActKind.MORE_LIKE)
_MEMORY = ("show", "delete", "export")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


async def read_by_model(
    engine: Engine, interpreter: Interpreter, text: str, situation: Situation, seconds: float
) -> list[Act]:
    """The acts of a message as the engine reads them; the `EngineError` family where it fails or answers nonsense."""
    catalogue = interpreter.catalogue
    shown = [at for at in map(catalogue.index.position, situation.shown) if at >= 0]
    messages = prompts.understand(
        text[:MESSAGE_LIMIT],
        situation.asked,
        [catalogue.titles[at] for at in shown],
        _offered(interpreter, text, situation.asked),
    )
    pieces = engine.chat(messages, schema=prompts.ACTS_SCHEMA, max_tokens=512, timeout=seconds)
    answer = "".join([piece async for piece in pieces])
    try:
        raw = json.loads(answer)["acts"]
        stated = [(ActKind(act["kind"]), act["value"]) for act in raw]
    except (ValueError, KeyError, TypeError):
        raise EngineNonsense("the language model's acts cannot be read") from None
    acts = [act for kind, value in stated for act in _ground(interpreter, kind, value, situation.asked, shown)]
    if not acts:
        raise EngineNonsense("the language model named nothing that the catalogue has")
    rest = [act for act in dict.fromkeys(acts) if act.kind is not ActKind.SMALL_TALK]
    return rest or [Act(kind=ActKind.SMALL_TALK)]


def _offered(interpreter: Interpreter, text: str, asked: str | None) -> list[str]:
    found = [mention.attribute for mention in interpreter.mentions(text, asked) if mention.attribute]
    support = interpreter.names.support
    common = [str(interpreter.catalogue.attributes.ids[at]) for at in support.argsort()[::-1][:_OFFERED]]
    return list(dict.fromkeys([*found, *common]))[:_OFFERED]


def _ground(
    interpreter: Interpreter, kind: ActKind, value: str | None, asked: str | None, shown: Sequence[int]
) -> list[Act]:
    """The act with its value linked to the catalogue; [] where the catalogue has no such thing."""
    value = (value or "").strip()
    if kind in _ATTRIBUTES:
        if not value:
            return [Act(kind=kind, value=asked)] if asked or kind is ActKind.DONT_CARE else []
        attribute = interpreter.names.attribute_named(value) or next(
            (mention.attribute for mention in interpreter.mentions(value, asked) if mention.attribute), None
        )
        return [Act(kind=kind, value=attribute)] if attribute else []
    if kind in _ITEMS or (kind in (ActKind.COMPARE, ActKind.EXPLAIN) and value):
        position = _item(interpreter, value, shown)
        if position is None:
            return [] if kind in _ITEMS else [Act(kind=kind)]
        catalogue = interpreter.catalogue
        return [Act(kind=kind, value=catalogue.titles[position], item_id=str(catalogue.index.ids[position]))]
    if kind is ActKind.FILTER:
        try:
            condition = Filter.parse(value)
        except UserError:
            return []
        return [Act(kind=kind, filter=condition)] if _possible(interpreter, condition) else []
    if kind is ActKind.SEARCH:
        return [Act(kind=kind, value=value)] if value else []
    if kind is ActKind.MEMORY:
        return [Act(kind=kind, value=value if value in _MEMORY else "show")]
    return [Act(kind=kind)]


def _possible(interpreter: Interpreter, condition: Filter) -> bool:
    names = interpreter.names
    if condition.field == "brand":
        return str(condition.value).casefold() in {brand.casefold() for brand in names.brands}
    if condition.field == "attribute":
        return names.attribute_named(str(condition.value)) is not None
    return names.has_prices if condition.field == "price" else names.has_years


def _item(interpreter: Interpreter, value: str, shown: Sequence[int]) -> int | None:
    """The position behind "#2" or a title, those shown first."""
    place = re.fullmatch(r"#\s*(\d{1,2})", value)
    if place:
        at = int(place[1]) - 1
        return shown[at] if 0 <= at < len(shown) else None
    titles = interpreter.catalogue.titles
    for at in shown:
        if fold(titles[at]) == fold(value):
            return at
    found = [mention.item for mention in interpreter.mentions(value, None) if mention.item is not None]
    return found[0] if len(found) == 1 else None


async def reword(engine: Engine, interpreter: Interpreter, draft: str, text: str, seconds: float) -> tuple[str, str]:
    """(wording, note): the engine's wording of `draft`, or `draft` itself with the reason why.

    Only a wording that keeps every name, number and attribute and brings in no other name is taken. Raises the
    `EngineError` family where the engine fails.
    """
    pieces = engine.chat(
        prompts.reword(draft, text[:MESSAGE_LIMIT]), max_tokens=64 + len(draft) // 2, temperature=0.3, timeout=seconds
    )
    wording = "".join([piece async for piece in pieces]).strip()
    problem = check_wording(interpreter, draft, wording)
    return (draft, problem) if problem else (wording, "")


def check_wording(interpreter: Interpreter, draft: str, wording: str) -> str:
    """Why a wording does not say what the draft says, "" where it does."""
    if not wording or len(wording) > 2 * len(draft) + 80:
        return "the language model's wording is empty or much too long"
    numbers, worded = set(_NUMBER.findall(draft)), set(_NUMBER.findall(wording))
    if numbers != worded:
        return f"the language model's wording changes the number {(numbers ^ worded).pop()}"
    before, after = _named(interpreter, draft), _named(interpreter, wording)
    folded = fold(wording)
    for name in before:
        if name not in folded:
            return f"the language model's wording leaves out {name!r}"
    new = [name for name in after if name not in fold(draft)]
    if new:
        return f"the language model's wording brings in {new[0]!r}"
    return ""


def _named(interpreter: Interpreter, text: str) -> set[str]:
    """Folded phrases of a text that name items, attributes or brands, and whatever stands in quotation marks."""
    tokens = tokenise(text)
    phrases = {_phrase(text, mention, tokens) for mention in interpreter.mentions(text, None) if _counts(mention)}
    phrases |= set(re.findall(r"[\"“«]([^\"”»]{2,80})[\"”»]", fold(text)))
    return phrases


def _counts(mention: Mention) -> bool:
    return not mention.weak and mention.quality >= 0.94


def _phrase(text: str, mention: Mention, tokens: Sequence[Token]) -> str:
    return fold(text[tokens[mention.start].start : tokens[mention.end - 1].end])
