"""An output that cannot be written is refused before the work that it is for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from codeclab.experiments.runs.disk import why_no_file, why_no_folder

CODEC = ["--codec", "box"]


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "box", "-o", "file/x"],
        ["compare", "box", "Opus", "-o", "file"],
        ["fit-lm", *CODEC, "--output", "file/x"],
        ["table", "demo", "-o", "file/x"],
        ["table", "demo", "--runs", "file"],
        ["table", "encodec_table1", "--runs", "file/x"],  # whose rows are not trained
        ["fit", "--config", "vocos_16khz", "--scale", "laptop", "--runs", "file"],
        ["fit", "--config", "vocos_16khz", "--scale", "laptop", "--runs", ".", "--name", "file"],
        ["mushra", "prepare", "box", "-o", "file/x"],
        ["report", "box", "-o", "file/page.html"],
        ["speed", "inference", *CODEC, "-o", "file/x.md"],
        ["speed", "train", "--config", "dac_44khz", "--sweep", "batch", "--plot", "file/x.png"],
    ],
    ids=lambda words: "-".join(words[:2] + words[-2:-1]),
)
def test_a_file_in_place_of_a_folder_is_refused(
    words: list[str], run_command: Callable[..., tuple[int, str, str]]
) -> None:
    Path("file").touch()
    status, out, err = run_command(*words)
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert "should be a folder, but " in last
    assert last.endswith("file is a file")
    assert [path.name for path in Path().iterdir()] == ["file"]


@pytest.mark.parametrize("words", [["report", "box"], ["speed", "inference", *CODEC]], ids=["report", "speed"])
def test_a_folder_in_place_of_a_file_is_refused(
    words: list[str], run_command: Callable[..., tuple[int, str, str]]
) -> None:
    Path("folder").mkdir()
    status, out, err = run_command(*words, "-o", "folder")
    assert (status, out) == (2, "")
    assert err.endswith("argument -o/--output: folder is a folder; it should be a file\n")


def test_a_folder_that_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_no_folder(tmp_path / "new" / "folder") == why_no_file(tmp_path / "new" / "file.md") == ""
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # whoever runs this may be root
    assert why_no_folder(tmp_path / "new") == f"{tmp_path / 'new'} cannot be written: {tmp_path} is read-only"
    assert why_no_file(tmp_path / "new.md") == f"{tmp_path} cannot be written: {tmp_path} is read-only"
