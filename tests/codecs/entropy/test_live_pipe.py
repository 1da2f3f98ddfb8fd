"""A live stream between two pipes."""

import os
from pathlib import Path

import pytest
import torch

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.live_coder import LiveCoder
from codeclab.codecs.entropy.live_pipe import code_pipe
from codeclab.codecs.io.pcm import Pcm
from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
from codeclab.quantizers.residual_vq import ResidualVQ


def make() -> Codec:
    torch.manual_seed(0)
    shape = {"dimension": 4, "n_filters": 2, "strides": [2, 4], "pad_mode": "constant", "causal": True}
    return Codec(SEANetEncoder(**shape), ResidualVQ(4, 3, 16), SEANetDecoder(**shape), sample_rate=8000).eval()


def test_a_file_is_piped_as_the_coder_codes_it(tmp_path: Path) -> None:
    codec, data = make(), Pcm("s16le", 1).bytes(0.1 * torch.randn(1, 1, 4000))
    (tmp_path / "in").write_bytes(data)
    for direction in ("encode", "both"):
        with (tmp_path / "in").open("rb") as source, (tmp_path / direction).open("wb") as target:
            live = LiveCoder(codec)
            assert code_pipe(live, direction, source, target) > 0
            assert live.seconds == 0.5
    assert (tmp_path / "encode").read_bytes() == b"".join(LiveCoder(codec).encode([data]))
    with (tmp_path / "encode").open("rb") as source, (tmp_path / "decode").open("wb") as target:
        code_pipe(LiveCoder(codec), "decode", source, target)
    assert len((tmp_path / "decode").read_bytes()) == len(data) == len((tmp_path / "both").read_bytes())


def test_a_pipe_that_nobody_reads_ends_the_work_and_discards_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(16000))
    reader, writer = os.pipe()
    os.close(reader)
    with (tmp_path / "in").open("rb") as source, os.fdopen(writer, "wb") as target:
        with pytest.raises(BrokenPipeError):
            code_pipe(LiveCoder(make()), "encode", source, target)
        target.write(b"discarded")
        target.flush()
