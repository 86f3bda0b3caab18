"""The plugin inside a vLLM server: loads an adapter that llmrec has published when a request first names it.

vLLM finds it by the entry-point group `vllm.general_plugins`. It does nothing unless the server's environment names
the folder that llmrec publishes to (`LLMREC_VLLM_ADAPTERS`), as it does for servers that llmrec starts; for others see
docs/engines.md. On a CPU it also puts `vllm_cpu` in the place of vLLM's own LoRA, and it spares vLLM two things: to
keep locks for names that are gone, and to make text of tokens that are asked for by id.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from pathlib import Path
from typing import Any

from llmrec.language.vllm.adapters import PUBLISHED
from llmrec.language.vllm.target import FOLDER_VARIABLE

_NAME = "llmrec adapters"
_LORA_ON_CPU = "llmrec.adapters.vllm_cpu.LoRAOnCPU"


def register() -> None:
    """The entry point. vLLM calls it in each of its processes."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        type(current_platform).get_punica_wrapper = classmethod(lambda platform: _LORA_ON_CPU)
    if multiprocessing.parent_process() is None:  # the API process
        from vllm.entrypoints.openai.completion.protocol import CompletionRequest

        _resolve_names(Path(folder))
        leave_tokens_as_ids(CompletionRequest)


def _resolve_names(folder: Path) -> None:
    from vllm.entrypoints.openai.models.serving import OpenAIServingModels
    from vllm.lora.request import LoRARequest
    from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry

    class Resolver(LoRAResolver):
        """Published adapters, by their opaque names."""

        async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
            path = published(folder, lora_name)
            # vLLM gives it a number of its own
            return None if path is None else LoRARequest(lora_name=lora_name, lora_int_id=1, lora_path=str(path))

    if _NAME not in LoRAResolverRegistry.get_supported_resolvers():
        LoRAResolverRegistry.register_resolver(_NAME, Resolver())
        forget_locks(OpenAIServingModels)
    # vLLM logs each adapter that comes and goes. A filter, because it sets levels again when it configures logging.
    serving = logging.getLogger("vllm.entrypoints.openai.models.serving")
    serving.addFilter(lambda record: record.levelno >= logging.WARNING)


def leave_tokens_as_ids(request: Any) -> None:
    """Requests for the log-probabilities of named tokens, as scores and beams send them, get no text of each token.

    vLLM makes it even where ids are asked for, which takes a third of the API process's time.
    """
    original = request.to_sampling_params

    def to_sampling_params(self: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = original(self, *args, **kwargs)
        if self.logprob_token_ids and self.return_tokens_as_token_ids:
            parameters.detokenize = False
        return parameters

    request.to_sampling_params = to_sampling_params


def published(folder: Path, name: str) -> Path | None:
    """The folder of a published adapter, None for any other name."""
    if not PUBLISHED.fullmatch(name):
        return None
    path = folder / name
    return path if path.is_dir() and not path.is_symlink() else None


def forget_locks(serving: Any) -> None:
    """vLLM (0.32) keeps a lock for each name that was ever asked for; drop those of names that it does not have."""
    resolve, unload = serving.resolve_lora, serving.unload_lora_adapter

    def forget(self: Any, name: str) -> None:
        lock = self.lora_resolver_lock.get(name)
        if name not in self.lora_requests and lock is not None and not lock.locked():
            del self.lora_resolver_lock[name]

    async def resolve_lora(self: Any, lora_name: str) -> Any:
        try:
            return await resolve(self, lora_name)
        finally:
            forget(self, lora_name)

    async def unload_lora_adapter(self: Any, request: Any) -> Any:
        try:
            return await unload(self, request)
        finally:
            forget(self, request.lora_name)

    serving.resolve_lora, serving.unload_lora_adapter = resolve_lora, unload_lora_adapter
