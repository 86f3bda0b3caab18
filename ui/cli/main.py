"""`llmrec`: puts the commands together and turns errors into one sentence and an exit code."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from llmrec.errors import LlmrecError
from llmrec.ui.cli import adapters, ask, build, doctor, live, measure, serve, talk, train
from llmrec.ui.cli.console import stderr, tell

app = typer.Typer(
    name="llmrec",
    help="Turn any catalogue and interaction log into a recommender that people talk to.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (serve, build, talk, ask, live, train, adapters, measure, doctor):
    module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        tell(f"llmrec {version('llmrec')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", metavar="", help="Show tracebacks and log details.")] = False,
    version: Annotated[
        bool, typer.Option("--version", metavar="", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if debug:
        os.environ["LLMREC_DEBUG"] = "1"
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    # Some libraries set the levels of their own loggers, so the handler has one, too.
    handler.setLevel(logging.DEBUG if _debugging() else logging.WARNING)
    logging.basicConfig(level=logging.INFO if _debugging() else logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("llmrec").setLevel(logging.DEBUG if _debugging() else logging.NOTSET)


def main() -> None:
    """The entry point of the process."""
    # The models come from packages or local folders; a hub is asked only where a URI names one.
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that wait for each other give up their core: on a busy machine spinning makes training ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a letter that a terminal lacks is no failure
    code = run(sys.argv[1:])
    # All is closed; collecting what torch and Gradio leave in memory would take seconds. Triton, which vLLM brings,
    # would call what is not collected a leak, at length.
    if "triton" not in sys.modules:
        gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """One command; returns the exit code: 0 done, 1 something failed, 2 the user's mistake, 130 interrupted."""
    try:
        try:
            with get_command(app).make_context("llmrec", list(arguments)) as context:
                context.command.invoke(context)
        finally:
            sys.stdout.flush()
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        # A group without a command has printed its help, and says nothing.
        if type(error).__name__ != "NoArgsIsHelpError":
            _complain(_sentence(error))
        return error.exit_code
    except LlmrecError as error:
        if _debugging():
            raise
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        _drop_output()  # `llmrec ... | head` is no failure
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        if _debugging():
            raise
        _complain(f"{type(error).__name__}: {error} (a fault of llmrec; `llmrec --debug ...` shows where)")
        return 1
    return 0


def _drop_output() -> None:
    """What is still in the buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging() -> bool:
    return bool(os.environ.get("LLMREC_DEBUG"))


def _complain(message: str) -> None:
    from rich.text import Text

    stderr.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def _sentence(error: typer.TyperException) -> str:
    """A mistake in the command line as one sentence."""
    message = error.format_message().strip().replace("\n", " ").rstrip(".")
    message = message.replace(". Did you mean", ": did you mean").replace(" (Possible options: ", ": did you mean (")
    context = getattr(error, "ctx", None)
    hint = f": see {context.command_path} --help" if context is not None and "did you mean" not in message else ""
    return message[:1].lower() + message[1:] + hint


if __name__ == "__main__":
    main()
