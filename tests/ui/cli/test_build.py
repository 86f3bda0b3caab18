"""`llmrec build`: warnings, resuming, and what is wrong with a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Llmrec, write

ITEMS = "item_id,title,price\na,Alpha,3\nb,Beta,nan\na,Alpha again,4\nc,Gamma,1e300\n"
EVENTS = "user_id,item_id,timestamp\nann,a,1\nbob,b,2\nbob,zzz,3\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "tiny" / "items.csv", ITEMS)
    write(tmp_path / "tiny" / "interactions.csv", EVENTS)
    return tmp_path / "tiny"


def test_a_small_untidy_folder_becomes_a_workspace(llmrec: Llmrec, data: Path) -> None:
    built = llmrec("build", data, "-w", "ws", "--json", "report.json")
    assert built.code == 0 and not built.out, built
    warnings = [line for line in built.err.splitlines() if line.startswith("warning: ")]
    assert any("item_id 'a'" in line for line in warnings), "a duplicate id"
    assert any("'zzz'" in line for line in warnings), "an event on an unknown item"
    assert any("price" in line for line in warnings), "a price that cannot be"
    assert "reading the data ..." in built.err, "progress"
    report = json.loads(Path("report.json").read_text())
    assert len(report["warnings"]) == len(warnings)
    assert {step["status"] for step in report["steps"]} == {"built"}

    again = llmrec("build", data, "-w", "ws")
    assert again.code == 0 and "reused" in again.out and "built" not in again.out.split("next:")[0]
    assert again.out.endswith("next: llmrec serve -w ws\n")
    assert llmrec("recommend", "ann", "-w", "ws", "-k", 2).out.count("\n") == 3, "1-item histories and a header"
    doctor = llmrec("doctor", "-w", "ws", "--json", "-")
    checks = {check["what"]: check for check in json.loads(doctor.out)}
    assert doctor.code == 0 and checks["workspace"]["status"] == "ok" and "all whole" in checks["workspace"]["detail"]
    assert checks["server"]["status"] == "note"

    file = next(file for file in Path("ws/data/catalogue").rglob("*") if file.is_file() and file.stat().st_size > 100)
    file.write_bytes(file.read_bytes()[:-9])
    ill = llmrec("doctor", "-w", "ws")
    assert ill.code == 1 and "rebuild it" in ill.out
    assert llmrec("build", data, "-w", "ws").code == 0 and llmrec("doctor", "-w", "ws").code == 0


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "holds no items file"),
        ({"items.csv": ""}, "items.csv: the file is empty"),
        ({"items.csv": "item_id,title\n"}, "the catalogue is empty"),
        ({"items.csv": "id,title\na,b\n"}, "items.csv, column 'item_id': the required column is missing"),
        ({"items.csv": "item_id,title,price\na,b,3\nc,d,cheap\n"}, "items.csv, row 2, column 'price'"),
        ({"items.csv": "item_id,title\na,b\nc\n"}, "items.csv, row 2: the row has 1 fields, the header has 2"),
        ({"items.jsonl": '{"item_id": "a"}\n{"item_id":\n'}, "items.jsonl, row 2: the line is not JSON"),
        ({"items.parquet": "PAR1"}, "items.parquet: the file cannot be read"),
    ],
)
def test_wrong_data_is_named_by_file_row_and_column(
    llmrec: Llmrec, tmp_path: Path, files: dict[str, str], sentence: str
) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for name, text in files.items():
        write(folder / name, text)
    built = llmrec("build", folder, "-w", "ws")
    assert built.code == 2 and sentence in built.err.splitlines()[-1], built
    assert not Path("ws").exists()


def test_folders_that_are_none(llmrec: Llmrec, data: Path) -> None:
    assert "there is no data folder 'nowhere'" in llmrec("build", "nowhere", "-w", "ws").err
    assert "holds other files and is no workspace" in llmrec("build", data, "-w", data).err
    assert "is a file" in llmrec("build", data, "-w", data / "items.csv").err


def test_interrupting_tells_how_to_go_on(llmrec: Llmrec, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmrec.agents.assistant.build_workspace", interrupt)
    outcome = llmrec("build", data, "-w", "ws")
    assert outcome.code == 130 and "goes on where this one stopped" in outcome.err
