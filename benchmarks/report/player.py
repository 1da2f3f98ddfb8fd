"""Players as HTML: one for each clip, with a button for each version; the script makes them sound."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from codeclab.benchmarks.report.chart import STYLES
from codeclab.benchmarks.report.curves import data_uri
from codeclab.benchmarks.report.sound import mel

LABELLED = (100, 500, 1000, 2000, 5000, 10000, 20000)
"""Hz that are labelled beside a spectrogram, as far as it reaches."""


@dataclass(frozen=True)
class Stimulus:
    """One version of a clip: the original, or the output of a codec.

    Args:
        row: the table's row; None is the original.
        bitrate: bitrate really used, in kbps; None is the original.
        audio: content of an Ogg file of Opus.
        spectrogram: content of a PNG file.
    """

    row: str | None
    bitrate: float | None
    audio: bytes
    spectrogram: bytes

    @property
    def name(self) -> str:
        """Its name on the page."""
        return "Original" if self.row is None else f"{self.row}, {self.bitrate:.4g} kbps"


@dataclass(frozen=True)
class PlayedClip:
    """A clip with its versions, all at the same instants.

    Args:
        name: name of the clip in the evaluation.
        domain: the kind of sound.
        seconds: duration in seconds.
        sample_rate: sample rate of the original in Hz, whose half is the top of the spectrograms.
        stimuli: the original first.
    """

    name: str
    domain: str
    seconds: float
    sample_rate: int
    stimuli: Sequence[Stimulus]


def players(clips: Sequence[PlayedClip], rows: Sequence[str]) -> str:
    """The players of all clips; the order of the table's rows gives the colours."""
    return "".join(_player(number, clip, rows) for number, clip in enumerate(clips))


def _player(number: int, clip: PlayedClip, rows: Sequence[str]) -> str:
    files = [
        {"name": version.name, "row": version.row, "kbps": version.bitrate}
        | {"audio": data_uri("audio/ogg", version.audio), "picture": data_uri("image/png", version.spectrogram)}
        for version in clip.stimuli
    ]
    # "</script>" in a row's name would end the element.
    content = json.dumps(files).replace("</", "<\\/")
    name = escape(clip.name)
    return f"""
<section class="player" role="group" aria-labelledby="clip{number}" data-seconds="{clip.seconds:.6f}" tabindex="-1">
<header><h3 id="clip{number}">{name}</h3><span class="tag">{escape(clip.domain)}</span>
<span class="now"><span class="what">Original</span></span></header>
<div class="screen"><img src="{files[0]["picture"]}" alt="Spectrogram: Original" draggable="false">
<div class="hertz" aria-hidden="true">{_hertz(clip.sample_rate)}</div><div class="head" aria-hidden="true"></div>
<input class="seek" type="range" min="0" max="{clip.seconds:.3f}" step="0.01" value="0"
 aria-label="Position in {name}, seconds"></div>
<div class="transport"><button type="button" class="play" aria-pressed="false"
 aria-label="Play {name}"><span aria-hidden="true"></span></button>
<output class="time">0.0 / {clip.seconds:.1f} s</output>
<label><input type="checkbox" class="loop" checked> loop</label><span class="status" role="status"></span></div>
<div class="versions" role="group" aria-label="Version of {name} that is heard">{_versions(clip, rows)}</div>
<script type="application/json">{content}</script>
</section>"""


def _versions(clip: PlayedClip, rows: Sequence[str]) -> str:
    lines = []
    for digit, (row, group) in enumerate(groupby(enumerate(clip.stimuli), key=lambda placed: placed[1].row)):
        key = f"<kbd>{digit}</kbd>" if digit < 10 else "<kbd></kbd>"
        if row is None:
            buttons = "".join(
                f'<button type="button" data-version="{i}" aria-pressed="true">Original</button>' for i, _ in group
            )
            lines.append(f'<div class="line original">{key}{buttons}</div>')
            continue
        buttons = "".join(
            f'<button type="button" data-version="{i}" aria-pressed="false" aria-label="{escape(version.name)}">'
            f"{version.bitrate:.3g}</button>"
            for i, version in group
        )
        lines.append(
            f'<div class="line c{rows.index(row) % STYLES}">{key}<span class="key" aria-hidden="true"></span>'
            f'<span class="row">{escape(row)}</span><span class="rates">{buttons}<small>kbps</small></span></div>'
        )
    return "".join(lines)


def _hertz(sample_rate: int) -> str:
    top = mel(sample_rate / 2)
    labels = {hertz: f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz} Hz" for hertz in LABELLED}
    return "".join(
        f'<span style="bottom:{100 * mel(hertz) / top:.1f}%">{label}</span>'
        for hertz, label in labels.items()
        if mel(hertz) < 0.97 * top
    )
