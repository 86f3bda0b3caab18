"""The Gradio application: one custom HTML component that draws the whole page and raises one event."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import gradio as gr
from fastapi import FastAPI, Request

from llmrec.ui.chat.events import Desk, Pieces
from llmrec.ui.chat.login import SignIn
from llmrec.ui.chat.render import FOLDER


def build(desk: Desk, sign_in: SignIn) -> gr.Blocks:
    """The page. Its frame (shell.html) holds no data: Gradio compiles templates, so data come as the value only."""

    async def answer(event: gr.EventData, request: gr.Request) -> AsyncGenerator[Pieces]:
        async for pieces in desk.answer(event._data, sign_in.principal(request.username)):
            yield pieces

    with gr.Blocks(title=desk.assistant.name, analytics_enabled=False, fill_width=True, fill_height=True) as blocks:
        view = gr.HTML(
            {"phase": "new"},
            html_template=_read("templates/shell.html"),
            js_on_load=_read("page.js"),
            apply_default_css=False,
            elem_id="llmrec",
        )
        view.act(
            answer,
            inputs=None,
            outputs=view,
            show_progress="hidden",
            concurrency_limit=desk.concurrency,
            trigger_mode="multiple",
            api_visibility="private",
        )
    return blocks


def mount(app: FastAPI, blocks: gr.Blocks, check: Callable[[Request], str | None] | None) -> FastAPI:
    """Mount the page at `/`, behind `check` where there is one, with everything of Gradio off that is not needed."""
    local = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        auth_dependency=check,
        theme=gr.themes.Base(font=[local, "system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        head=f"<style>{_read('page.css')}</style>",
        favicon_path=str(FOLDER / "mark.svg"),
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        max_file_size=1,
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
