"""The page of a report, with as many clips as fit into its size."""

from dataclasses import dataclass, replace

from codeclab.benchmarks.report import Report, render
from codeclab.codecs.device import choose_device
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.listen.report_clips import ReportClips
from codeclab.experiments.listen.sources import Sources


@dataclass(frozen=True)
class ReportRequest:
    """What a report's page holds beside the table.

    Attributes:
        data: folder of audio in place of the runs' own; None keeps those.
        split: part of the data; None is the default, of ``split_of_sources``.
        clips: largest number of clips, 0 or more; None is all that fit.
        max_mb: largest size of the page, megabytes.
        device: device that codecs run on; None takes a GPU where there is one.

    Raises:
        RecipeError: the number of clips is negative.
    """

    data: str | None = None
    split: str | None = None
    clips: int | None = None
    max_mb: float = 20.0
    device: str | None = None

    def __post_init__(self) -> None:
        if self.clips is not None and self.clips < 0:
            raise RecipeError("--clips should be 0 or more")


def make_report(sources: Sources, request: ReportRequest) -> str:
    """The page, with as many clips as fit.

    Args:
        sources: table and its rows' runs.
        request: clips, and the size of the page.

    Raises:
        RecipeError: the page would be too large without any clip.
    """
    histories = {source.row: history for source in sources.row_sources if (history := source.history) is not None}
    report = Report(sources.table, sources.notes, histories)
    room = round(request.max_mb * 1e6)
    bare = len(render(report).encode())
    if bare > room:
        raise RecipeError(f"the page takes {bare / 1e6:.1f} MB without any clip; give --max-mb {bare / 1e6 + 1:.0f}")
    device = choose_device(request.device)
    report_clips = ReportClips(sources.row_sources, request.data, device, request.split)
    room -= bare + 4000 * (1 + sum(len(source.evaluation.per_file) for source in sources.row_sources) // 100)
    clips = report_clips.played(report_clips.fitting(request.clips, room)) if request.clips != 0 else []
    available = len(report_clips.clips) if report_clips.clips is not None else 0
    wanted = available if request.clips is None else min(request.clips, available)
    while True:
        messages = list(report_clips.messages)
        if len(clips) < wanted:
            messages.append(
                f"{len(clips)} of {wanted} test clips are on this page, as many as fit into {request.max_mb:g} MB; "
                "`codeclab report --max-mb` makes room for more."
            )
        page = render(replace(report, clips=clips, messages=messages))
        if len(page.encode()) <= request.max_mb * 1e6 or not clips:
            return page
        clips = clips[:-1]
