"""Settings: order of sources, refusals that help, and keys that never show."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llmrec.errors import UserError
from llmrec.settings import Access, Settings, redact


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and an environment without settings; returns a workspace folder."""
    for name in [name for name in os.environ if name.startswith("LLMREC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


def test_the_stronger_source_wins_key_by_key(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load() == Settings()
    Path("llmrec.toml").write_text(
        'port = 1\nhost = "a"\nllm = "x"\nseed = 1\n[limits]\nconcurrency = 1\nbody_bytes = 1'
    )
    (elsewhere / "llmrec.toml").write_text('port = 2\nhost = "b"\nllm = "y"\n[limits]\nconcurrency = 2')
    monkeypatch.setenv("LLMREC_PORT", "3")
    monkeypatch.setenv("LLMREC_HOST", "c")
    monkeypatch.setenv("LLMREC_LIMITS__REQUESTS_PER_MINUTE", "9")
    settings = Settings.load(elsewhere, {"port": 4, "llm": None})
    assert (settings.port, settings.host, settings.llm, settings.seed) == (4, "c", "y", 1)
    assert settings.limits.model_dump() == {"body_bytes": 1, "requests_per_minute": 9, "concurrency": 2}
    assert Settings.load().port == 3, "without a workspace its file does not count"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prot = 1", r"ws/llmrec.toml: there is no setting 'prot': did you mean 'port'\?"),
        ("[limits]\nconcurency = 1", r"no setting 'limits.concurency': did you mean 'concurrency'\?"),
        ("port = 99999", r"ws/llmrec.toml: the setting 'port' is not valid: .*65535"),
        ("port = ", r"ws/llmrec.toml cannot be read .*: correct it"),
        ("zzz = 1", r"no setting 'zzz': known are llm, "),
    ],
)
def test_mistakes_in_a_file_are_named(elsewhere: Path, content: str, message: str) -> None:
    (elsewhere / "llmrec.toml").write_text(content)
    with pytest.raises(UserError, match=message):
        Settings.load(Path("ws"))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LLMREC_EMBEDINGS", "x", r"LLMREC_EMBEDINGS: there is no setting 'embedings': did you mean 'embeddings'\?"),
        ("LLMREC_PORT", "many", "LLMREC_PORT: the setting 'port' is not valid"),
        ("LLMREC_LLM_TIMEOUT", "0", "LLMREC_LLM_TIMEOUT: the setting 'llm_timeout' is not valid"),
        ("LLMREC_KEYS", "secret", "LLMREC_KEYS is not JSON"),
        ("LLMREC_KEYS", '{"secret": 3}', "LLMREC_KEYS: the setting 'keys' is not valid"),
        ("LLMREC_KEYS", '{"": "*"}', "a key must not be empty"),
        ("LLMREC_KEYS_FILE", "absent.json", "the keys file absent.json cannot be read"),
    ],
)
def test_mistakes_in_the_environment_are_named_without_secrets(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=message) as caught:
        Settings.load()
    assert "secret" not in str(caught.value) and caught.value.__cause__ is None


def test_variables_that_others_read_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_DEBUG", "1")
    monkeypatch.setenv("LLMREC_WORKSPACE", "ws")
    monkeypatch.setenv("LLMREC_LLM_KEY", "secret")
    assert Settings.load() == Settings()


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UserError, match="an option: there is no setting 'ports'"):
        Settings.load(overrides={"ports": 1})


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_keys_come_from_a_file_too(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    text = json.dumps({"sek": ["ann"], "all": "*"}) if suffix == "json" else 'sek = ["ann"]\nall = "*"'
    Path(f"keys.{suffix}").write_text(text)
    monkeypatch.setenv("LLMREC_KEYS_FILE", f"keys.{suffix}")
    assert Settings.load().keys == {"sek": ("ann",), "all": ("*",)}
    Path(f"keys.{suffix}").write_text("{sek")
    with pytest.raises(UserError, match="neither JSON nor") as caught:
        Settings.load()
    assert "{sek" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    settings = Settings(keys={"sekret": ("ann",)}, state="postgresql://me:sekret@host/db")
    for text in (repr(settings), str(settings), settings.model_dump_json(exclude={"state"})):
        assert "sekret" not in text
    assert "postgresql://me:***@host/db" in repr(settings)
    assert redact("chroma+http://h:1?token=sekret&a=b") == "chroma+http://h:1?token=***&a=b"
    assert redact("postgresql://me:a:b@c@host/db") == "postgresql://me:***@host/db"
    assert redact("openai:https://host:8000/v1") == "openai:https://host:8000/v1"


def test_keys_are_bound_to_users_and_namespaces() -> None:
    settings = Settings(keys={"one": ("ann", "bob"), "two": ("*",)})
    one, two = settings.access("one"), settings.access("two")
    assert one is not None and two is not None
    assert one.may_act_for("ann") and one.may_act_for(None) and not one.may_act_for("eve")
    assert not one.may_act_for("*") and two.may_act_for("eve")
    assert one.fingerprint != two.fingerprint and "one" not in one.fingerprint
    assert one.owner("ann") == two.owner("ann") == "", "a person's own, whatever the key"
    assert one.owner(None) == one.fingerprint, "anonymous, so the key's"
    assert settings.access("one") == one
    for wrong in (None, "", "on", "onee", "öne"):
        assert settings.access(wrong) is None
    assert Settings().access(None) == Access("", ("*",))


@pytest.mark.parametrize(
    ("host", "fine"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_without_keys_only_this_machine_may_connect(host: str, fine: bool) -> None:
    Settings(host=host, keys={"k": ("*",)}).check_exposure()
    if fine:
        Settings(host=host).check_exposure()
    else:
        with pytest.raises(UserError, match="needs keys: set LLMREC_KEYS"):
            Settings(host=host).check_exposure()


def test_state_lies_in_the_workspace_unless_set(elsewhere: Path) -> None:
    assert Settings().state_uri(elsewhere) == f"sqlite:{elsewhere}/state/state.sqlite"
    assert Settings(state="postgresql://h/d").state_uri(elsewhere) == "postgresql://h/d"
