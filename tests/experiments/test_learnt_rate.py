"""Quantizers that learn their bitrate, in both recipes by flag: the rate asked for is reached, measured and kept."""

import pytest

from codeclab.experiments.assemble import RecipeError
from codeclab.experiments.fit import CodecCLI, build

DEMO = ["--scale", "demo", "--dry-run"]


def built(*words: str) -> CodecCLI:
    return build("fit", list(words))


@pytest.mark.parametrize(
    ("recipe", "quantizer", "left_out"),
    [
        ("encodec_24khz", "DiffQ", ["bitrates [1.5, 3.0, 6.0, 12.0, 24.0]", "ensemble_per_bandwidth True",
                                    "rate_sampling PerBatchBandwidth"]),
        ("dac_44khz", "GumbelSoftmax", ["rate_sampling CodebookDropout"]),
    ],
)  # fmt: skip
def test_a_quantizer_that_learns_its_rate_needs_no_more_than_its_flag(
    recipe: str, quantizer: str, left_out: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", recipe, *DEMO, "--model.quantizer", quantizer, "--model.quantizer.target_bitrate", "3"]
    model = built(*words, "--model.discriminators", "[]").model
    assert len(model.codec.bitrates) == 1
    assert model.codec.quantizer.target_bitrate == 3
    notes = [line for line in capsys.readouterr().err.splitlines() if "learns its one bitrate" in line]
    begin = f"note: quantizer is {quantizer}, which learns its one bitrate: "
    assert sorted(notes) == sorted(f"{begin}{one} is left out" for one in left_out)


def test_what_a_flag_asks_of_a_learnt_rate_is_not_left_out_but_refused() -> None:
    words = ["--config", "encodec_24khz", *DEMO, "--model.quantizer", "DiffQ", "--model.discriminators", "[]"]
    for flag, value in (("bitrates", "[6]"), ("rate_sampling", "CodebookDropout")):
        with pytest.raises(RecipeError, match=rf"If DiffQ learns its own bitrate, add .*--model.{flag} (null|AllC)"):
            built(*words, f"--model.{flag}", value)
    with pytest.raises(RecipeError) as other:
        built(*words, "--model.encoder.strides", "[2,4]")
    assert "strides are [2, 4] and the decoder's [2, 4, 5, 8]" in str(other.value)
    assert "AllCodebooks" not in str(other.value)
