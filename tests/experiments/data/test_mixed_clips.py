"""Validation as EnCodec has it, and training on music alone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from codeclab.experiments.data.augmentation import RandomGain
from codeclab.experiments.data.module import AudioData
from codeclab.experiments.data.recording import Recording
from codeclab.experiments.data.sampling import EnCodecMixing, OnlyDomains

RATE = 800


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    for index, (split, domain) in enumerate(
        [(s, d) for s in ("train", "valid") for d in ("music", "speech", "general")]
    ):
        folder = tmp_path / split / domain
        folder.mkdir(parents=True)
        samples = 0.05 * np.random.default_rng(index).standard_normal(6 * RATE)
        soundfile.write(folder / f"{split}-{domain}.wav", samples, RATE)
    return str(tmp_path)


def data(corpus: str, mix_valid: bool, n: int = 60) -> AudioData:
    gain = RandomGain(-10, 0)
    return AudioData(
        corpus, RATE, valid_clips=n, clip_seconds=1.0, workers=0, augmentations=[gain], sampling=EnCodecMixing(),
        mix_valid=mix_valid,
    )  # fmt: skip


def test_validation_is_mixed_by_the_strategies_of_training(corpus: str) -> None:
    clips = list(data(corpus, mix_valid=True, n=300).clips("valid"))
    domains = [clip.domain for clip in clips]
    # s1: 0.32 music; s2: 0.32 one of the others; s3 and s4: 0.36 mixtures.
    shares = {name: domains.count(name) / 300 for name in ("music", "mixture")}
    assert shares["music"] == pytest.approx(0.32, abs=0.08)
    assert shares["mixture"] == pytest.approx(0.36, abs=0.08)
    levels = {
        domain: np.mean([float(c.audio.square().mean()) for c in clips if c.domain == domain])
        for domain in set(domains)
    }
    assert levels["mixture"] > 1.5 * levels["music"]
    again = data(corpus, mix_valid=True, n=3).clips("valid")
    assert all(torch.equal(one.audio, other.audio) for one, other in zip(clips, again, strict=False))
    assert [clip.name for clip in clips[:2]] == ["mixed-000", "mixed-001"]


def test_what_is_mixed_is_of_the_validation_files(corpus: str) -> None:
    module = data(corpus, mix_valid=True, n=8)
    clips = module.clips("valid")
    assert {r.split for _, rs in (clips.excerpts.draw_sources(0, i) for i in range(8)) for r in rs} == {"valid"}  # type: ignore[attr-defined]
    loader = module.val_dataloader()
    batches = list(loader)  # type: ignore[arg-type]
    assert sum(len(batch["name"]) for batch in batches) == 8  # type: ignore[index]
    assert torch.equal(batches[0]["audio"][0], clips[0].audio)  # type: ignore[index]
    assert len(clips[:3]) == 3
    with pytest.raises(ValueError, match="a slice of them begins at 0"):
        clips[1:3]
    assert {clip.name for clip in data(corpus, mix_valid=False).clips("valid")} == {
        f"valid/{domain}/valid-{domain}.wav" for domain in ("music", "speech", "general")
    }


def recordings(*domains: str) -> list[Recording]:
    return [Recording(Path(str(i)), domain, RATE, 1, 2.0) for i, domain in enumerate(domains)]


def test_music_alone() -> None:
    sampling = OnlyDomains()
    sampling.prepare(recordings("speech", "music", "general", "music"))
    rng = np.random.default_rng(0)
    assert {sampling.draw(rng, 0, 0, 1)[0] for _ in range(50)} == {1, 3}
    assert sampling.remark() == "OnlyDomains: 2 recordings of other domains than music, music-like are left out"
    sampling.prepare(recordings("music", "music"))
    assert sampling.remark() == ""
    sampling.prepare(recordings("speech", "general"))
    assert {sampling.draw(rng, 0, 0, 1)[0] for _ in range(50)} == {0, 1}
    assert (
        sampling.remark()
        == "OnlyDomains: no recording has the domain music, music-like; training uses all of general, speech"
    )
    with pytest.raises(ValueError, match="at least one domain"):
        OnlyDomains(())
