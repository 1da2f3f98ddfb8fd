"""A listening test's folder is as open to others as the umask says: listeners may read it from a shared disk."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codeclab.codecs.codec import Codec
from codeclab.experiments.listen.prepare import prepare_test
from codeclab.experiments.listen.request import ListeningRequest


@pytest.mark.parametrize("umask", [0o027, 0o002])
def test_the_folder_has_the_mode_that_the_umask_says(umask: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "audio").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", 0.1 * rng.standard_normal(24000), 24000)
    Codec.from_recipe("encodec_24khz", scale="laptop").save(tmp_path / "codec")
    request = ListeningRequest(
        [str(tmp_path / "codec")], data=str(tmp_path / "audio"), clips=1, seconds=1.0, device="cpu"
    )
    before = os.umask(umask)
    try:
        prepare_test(request, tmp_path / "test")
    finally:
        os.umask(before)
    written = [tmp_path / "test", *(tmp_path / "test").rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in written}
    assert modes == {0o777 & ~umask, 0o666 & ~umask}
    assert stat.S_IMODE((tmp_path / "test").stat().st_mode) == 0o777 & ~umask
    assert not list(tmp_path.glob(".test.*"))
