"""Without the released code, it is said what is missing."""

import pytest

from codeclab.benchmarks.speed.released_dac import released_step


def test_a_folder_that_is_no_checkout_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=f"no checkout of descript-audio-codec at {tmp_path}"):
        released_step(tmp_path, 1, 0.1, {})
