"""Model ids: the agent, the text model, the base language model and its adapters, and who may name which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrec.settings import ALL
from llmrec.ui.api.access import Principal
from llmrec.ui.api.wire import MODEL, check_model

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant
    from llmrec.agents.assistant.language import Language

_OWN = "user:"


@dataclass(frozen=True)
class ChatModel:
    """What plain chat goes to."""

    language: Language
    adapter: str | None
    """None is the base model."""


async def models_for(assistant: Assistant, embedder: str, caller: Principal) -> dict[str, str]:
    """Model ids that this caller may name, each with its parent: the base model for adapters, else "".

    `embedder`: the id of the text model.
    """
    assistant.keep_up()
    names = dict.fromkeys((MODEL, embedder), "")
    if (language := assistant.language) is not None:
        base = await language.learn_name()
        names |= {base: ""} if base else {}
        adapters = [name for name in await language.stored_adapters() if _may_use(caller, name)]
        names |= dict.fromkeys((name for name in adapters if name not in names), base)
    return names


async def chat_model(assistant: Assistant, name: str, caller: Principal) -> ChatModel:
    """The base model or the adapter of this name; `ApiError` 404 where there is none, or none for this caller."""
    assistant.keep_up()
    language = assistant.language
    if language is not None:
        if name == await language.learn_name():
            return ChatModel(language, None)
        if _may_use(caller, name) and await language.has_adapter(name):
            return ChatModel(language, name)
    check_model(name)
    raise AssertionError("the agent is no chat model")


def _may_use(caller: Principal, adapter: str) -> bool:
    """Names without a colon are everybody's, `user:<id>` is that user's, other kinds are for keys that act for all."""
    if ":" not in adapter or ALL in caller.users:
        return True
    return adapter.startswith(_OWN) and caller.may_act_for(adapter.removeprefix(_OWN))
