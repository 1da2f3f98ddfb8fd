"""Columns that a table shows beside metrics of decoded audio: computed, timed or only published."""

from dataclasses import dataclass

from codeclab.benchmarks.metrics.metric import Metric
from codeclab.benchmarks.metrics.registry import METRICS

LANGUAGE_MODEL = "our figures need a language model for each run: codeclab table NAME --fit-lm RECIPE"
LISTENING_TEST = "our figures need a listening test: codeclab mushra"


@dataclass(frozen=True)
class Column:
    """One column of a table beside its metrics.

    Args:
        name: name in tables' YAML, ``published`` figures and CSV files.
        title: column title.
        form: format specification of a figure, such as ".1f".
        unit: unit such as "ms" or "Hz"; empty for a plain number.
        open: reason why there is no figure of our own; None if ``codec_columns`` gives one.
    """

    name: str
    title: str
    form: str
    unit: str = ""
    open: str | None = None

    @property
    def heading(self) -> str:
        """Title with unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("sample_rate", "Sampling rate", ".4g", "kHz"),
        Column("bandwidth", "Bandwidth", ".4g", "kHz"),
        Column("stride", "Stride", ".0f"),
        Column("frame_rate", "Frame rate", ".4g", "Hz"),
        Column("n_codebooks", "Codebooks", ".0f"),
        Column("compression", "Compression factor", ".4g"),
        Column("latency", "Latency at the start", ".4g", "ms"),
        Column("latency_running", "Latency, running", ".4g", "ms"),
        Column("rtf_encoder", "RTF encoder", ".1f"),
        Column("rtf_decoder", "RTF decoder", ".1f"),
        Column("entropy_coded", "Entropy coded", ".2f", "kbps", LANGUAGE_MODEL),
        Column("rtf_encoder_entropy", "RTF encoder with entropy coding", ".2f"),
        Column("rtf_decoder_entropy", "RTF decoder with entropy coding", ".2f"),
        Column("mushra", "MUSHRA", ".1f", "", LISTENING_TEST),
    )
}
"""All columns by name.

``bandwidth`` is half the sampling rate; ``compression`` the rate of 16-bit PCM at the codec's sampling rate and
channels over its own (Improved RVQGAN, Table 1), with what cutting audio adds: overlaps are coded twice, and a level
goes with each segment (EnCodec, section 3.1). The real-time factors and
``latency``, the initial one, are EnCodec's, section 4.6; ``latency_running`` is that of a stream that has begun.
``entropy_coded`` is what a language model spends on the codes of the test clips, chunk by chunk; the factors with
entropy coding are of the paper's language model.
"""


SETTINGS = frozenset({"sample_rate", "bandwidth", "stride", "frame_rate", "n_codebooks", "compression"})
"""Columns that follow from a codec's settings: tables show them, but plots of measured figures do not."""


def described(name: str) -> Metric | Column:
    """The metric or column of a name; of any other name, a column that is called so and formats nothing."""
    return METRICS.get(name) or COLUMNS.get(name) or Column(name, title=name, form="")


def heading(name: str) -> str:
    """The heading of a metric or column in a table; any other name unchanged."""
    return described(name).heading


def title(name: str) -> str:
    """The title of a metric or column, without unit or direction; any other name unchanged."""
    return described(name).title


def form(name: str) -> str:
    """The format specification of a metric's or column's figures; empty where there is none."""
    return described(name).form
