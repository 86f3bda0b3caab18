"""`llmrec`: puts the commands together and turns errors into one sentence and an exit code."""

from __future__ import annotations

import os
import sys

import typer

from llmrec.errors import LlmrecError
from llmrec.ui.cli import adapters, ask, build, doctor, live, measure, serve
from llmrec.ui.cli.console import stderr

app = typer.Typer(
    name="llmrec",
    help="Turn any catalogue and interaction log into a recommender that people talk to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and log details."),
) -> None:
    import logging

    os.environ["LLMREC_DEBUG"] = "1" if debug else os.environ.get("LLMREC_DEBUG", "")
    logging.basicConfig(
        level=logging.DEBUG if os.environ["LLMREC_DEBUG"] else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


for module in (serve, build, ask, live, adapters, measure, doctor):
    module.register(app)


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 something failed, 2 the user's mistake, 130 interrupted."""
    # The models come from packages or local folders; a hub is asked only where a URI names one.
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except LlmrecError as error:
        if os.environ.get("LLMREC_DEBUG"):
            raise
        stderr.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # `llmrec ... | head` is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("LLMREC_DEBUG"):
            raise
        name = type(error).__name__
        stderr.print(
            f"[bold red]error:[/] {name}: {_escape(str(error))} (a fault of llmrec; `llmrec --debug ...` shows where)",
            soft_wrap=True,
        )
        sys.exit(1)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
