"""Opus and MP3: aligned to the sample, at the bitrate they say; held to libsndfile's own decoders."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from codeclab.benchmarks.baselines.base import Baseline
from codeclab.benchmarks.baselines.mp3 import MP3, coding_rate
from codeclab.benchmarks.baselines.opus import Opus
from codeclab.benchmarks.metrics.si_sdr import si_sdr


def voice(sample_rate: int, seconds: float = 0.8, seed: int = 0) -> Tensor:
    """A gliding, trembling voice with consonants of noise, ``[1, N]``; it repeats nowhere."""
    random = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * sample_rate)) / sample_rate
    pitch = 120 + 25 * seed + 60 * time
    phase = 2 * torch.pi * torch.cumsum(pitch / sample_rate, 0)
    tones = torch.stack([torch.sin(k * phase) / k for k in range(1, 20)]).sum(0)
    noise = torch.randn(len(time), generator=random) * (torch.sin(2 * torch.pi * 5 * time + seed) > 0.8)
    return (0.15 * tones * (0.6 + 0.4 * torch.sin(2 * torch.pi * 3 * time)) + 0.05 * noise)[None]


def lag(decoded: Tensor, original: Tensor) -> int:
    """Samples by which one channel is late, at the peak of the cross-correlation."""
    size = 2 * original.shape[-1]
    spectrum = torch.fft.rfft(decoded, size) * torch.fft.rfft(original, size).conj()
    position = int(torch.fft.irfft(spectrum, size).argmax())
    return position if position < size // 2 else position - size


@pytest.mark.parametrize("baseline", [Opus(rate="constant"), MP3()], ids=["opus", "mp3"])
@pytest.mark.parametrize("sample_rate", [16000, 22050, 24000, 44100, 48000])
def test_decoded_audio_is_aligned_and_as_long(baseline: Baseline, sample_rate: int) -> None:
    original = voice(sample_rate)
    decoded, kbps = baseline.transcode(original, sample_rate, 64)
    assert decoded.shape == original.shape
    assert lag(decoded[0], original[0]) == 0
    assert kbps == pytest.approx(64, rel=0.01)
    # The last samples are there, too, and not what flushed the encoder.
    tail = sample_rate // 20
    assert np.corrcoef(decoded[0, -tail:], original[0, -tail:])[0, 1] > 0.95
    assert si_sdr(original, decoded, sample_rate) > 10


@pytest.mark.parametrize("baseline", [Opus(), MP3()], ids=["opus", "mp3"])
def test_stereo_keeps_its_sides(baseline: Baseline) -> None:
    original = torch.cat([voice(48000), 0.5 * voice(48000, seed=1)])
    decoded, _ = baseline.transcode(original, 48000, 128)
    assert decoded.shape == original.shape
    between = np.corrcoef(decoded, original)[:2, 2:]
    assert np.diag(between).min() > 0.98
    assert between[0, 1] < 0.3
    assert between[1, 0] < 0.3
    assert [lag(decoded[side], original[side]) for side in (0, 1)] == [0, 0]


def in_container(name: str, audio: Tensor, bitrate: int, options: dict[str, str]) -> tuple[io.BytesIO, float]:
    """The file that FFmpeg's muxer makes of 48 kHz audio, and the kbps of the packets that its demuxer finds in it."""
    content = io.BytesIO()
    encoder, muxer, form = {"opus": ("libopus", "ogg", "flt"), "mp3": ("libmp3lame", "mp3", "fltp")}[name]
    layout = "mono" if audio.shape[0] == 1 else "stereo"
    with av.open(content, "w", format=muxer) as container:
        stream = container.add_stream(encoder, rate=48000, layout=layout, options=options)
        stream.codec_context.format, stream.bit_rate = form, bitrate
        samples = audio.numpy() if form == "fltp" else audio.T.reshape(1, -1).numpy()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=form, layout=layout)
        frame.sample_rate, frame.pts = 48000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    content.seek(0)
    with av.open(content) as container:
        packets = [packet.size for packet in container.demux() if packet.size]
    frame_size = {"opus": 960, "mp3": 1152}[name]
    content.seek(0)
    return content, 8 * sum(packets) * 48000 / (len(packets) * frame_size) / 1000


@pytest.mark.parametrize(("name", "bitrate"), [("opus", 24), ("opus", 64), ("mp3", 64), ("mp3", 100)])
@pytest.mark.parametrize("channels", [1, 2])
def test_libsndfile_decodes_a_file_of_it_to_the_same_audio(name: str, bitrate: int, channels: int) -> None:
    original = torch.cat([voice(48000, seed=seed) for seed in range(channels)])
    baseline: Baseline = Opus() if name == "opus" else MP3()
    options = {
        "opus": {"vbr": "on", "compression_level": "10", "frame_duration": "20", "application": "audio"},
        "mp3": {"compression_level": "2", "abr": "1" if bitrate == 100 else "0"},
    }[name]
    decoded, kbps = baseline.transcode(original, 48000, bitrate)
    content, in_file = in_container(name, original, 1000 * bitrate, options)
    elsewhere, rate = soundfile.read(content, dtype="float32", always_2d=True)
    assert rate == 48000
    samples = min(len(elsewhere), original.shape[1])
    assert samples > original.shape[1] - 100
    difference = np.abs(elsewhere[:samples].T - decoded[:, :samples].numpy())
    assert difference.max() < 1e-3
    assert kbps == pytest.approx(in_file, rel=1e-9)


def test_more_bits_are_spent_and_improve_the_audio() -> None:
    original = voice(24000)
    result = [Opus().transcode(original, 24000, rate) for rate in (12, 24, 64)]
    rates = [kbps for _, kbps in result]
    scores = [si_sdr(original, decoded, 24000) for decoded, _ in result]
    assert rates == sorted(rates)
    assert scores == sorted(scores)


def test_mp3_takes_any_bitrate() -> None:
    _, kbps = MP3().transcode(voice(44100, 2.0), 44100, 100)
    assert kbps == pytest.approx(100, rel=0.1)
    # ISO/IEC 11172-3: no less than 32 kbps at 32 kHz and above; 13818-3: no more than 160 below.
    assert [coding_rate(48000, rate) for rate in (8, 31, 32, 320)] == [24000, 24000, 48000, 48000]
    assert [coding_rate(24000, rate) for rate in (8, 160, 192)] == [24000, 24000, 32000]
    assert coding_rate(12345, 64) == 16000


@pytest.mark.parametrize(
    ("baseline", "channels", "bitrate", "message"),
    [
        (Opus(), 1, 5, "Opus codes 1 channel at 6 to 256 kbps, not 5"),
        (Opus(), 3, 64, "Opus codes up to 2 channels, the audio has 3"),
        (MP3(), 1, 400, "MP3 codes at 8 to 320 kbps, not 400"),
    ],
)
def test_what_it_cannot_code_is_refused(baseline: Baseline, channels: int, bitrate: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        baseline.transcode(torch.zeros(channels, 4800), 48000, bitrate)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="rate is 'vbr'; Opus takes variable, constrained, constant"):
        Opus(rate="vbr")
    with pytest.raises(ValueError, match="; Opus takes audio, voip, lowdelay"):
        Opus(application="music")
    with pytest.raises(ValueError, match="channels is 5; MP3 takes 1 or 2"):
        MP3(channels=5)


def test_an_ffmpeg_without_the_encoder_is_said_to_lack_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr("av.Codec", unknown)
    assert "PyAV with libopus: pip install" in (Opus().available() or "")
    with pytest.raises(RuntimeError, match="MP3 needs PyAV with libmp3lame"):
        MP3().transcode(voice(16000), 16000, 64)


@pytest.mark.shared
def test_recorded_speech_is_aligned(shared: Path) -> None:
    samples, rate = soundfile.read(shared / "audio/valid/speech/lyra_sample1_48khz.flac", dtype="float32")
    original = torch.from_numpy(samples)[None]
    for baseline in (Opus(rate="constant"), MP3()):
        decoded, _ = baseline.transcode(original, rate, 96)
        assert lag(decoded[0], original[0]) == 0
