"""Files that are replaced as a whole, or not at all."""

import os
from pathlib import Path

import pytest

from codeclab.codecs.io.files import replacing, write_atomically


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is a device or a pipe; the output should be a file"):
        write_atomically(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_nothing_is_replaced_where_the_system_keeps_its_devices() -> None:
    # A name that is not there, because a failing test would replace a device.
    for path in ("/dev/no-such-device", "/dev/fd/77"):
        with pytest.raises(OSError, match=f"{path} is a device or a pipe"):
            write_atomically(Path(path), "text")
        assert not Path(path).exists()


def test_an_error_names_the_file_and_not_its_temporary_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError), replacing(tmp_path / "file" / "result"):
        pass
    with pytest.raises(OSError, match="name too long") as error, replacing(tmp_path / ("long" * 70)):
        pass
    assert error.value.filename == str(tmp_path / ("long" * 70))
