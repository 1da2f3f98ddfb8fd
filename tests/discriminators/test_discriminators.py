"""What every discriminator promises."""

import pytest
import torch
from torch import nn

from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.ensemble import Ensemble, reseeded_copy
from codeclab.discriminators.layers import peak_normalized, spectrum_maps
from codeclab.discriminators.mono_stft import MonoSTFTDiscriminator, StepNorm
from codeclab.discriminators.mpd import MultiPeriodDiscriminator
from codeclab.discriminators.msd import MultiScaleDiscriminator, downsampled
from codeclab.discriminators.msstft import MSSTFTDiscriminator
from codeclab.discriminators.multiband import MultiBandSTFTDiscriminator


def msstft(channels=1, **arguments):
    return MSSTFTDiscriminator((64, 128), n_filters=2, channels=channels, **arguments)


def mpd(channels=1, **arguments):
    return MultiPeriodDiscriminator((2, 3), n_filters=2, max_filters=8, channels=channels, **arguments)


def multiband(channels=1, **arguments):
    return MultiBandSTFTDiscriminator((128, 64), n_filters=2, channels=channels, **arguments)


def msd(channels=1, **arguments):
    return MultiScaleDiscriminator((1, 2), n_filters=2, max_filters=8, channels=channels, **arguments)


def mono(channels=1, **arguments):
    return MonoSTFTDiscriminator(64, n_filters=2, channels=channels, **arguments)


KINDS = {"msstft": msstft, "mpd": mpd, "multiband": multiband, "msd": msd, "mono": mono}
N_NETWORKS = {"msstft": [5, 5], "mpd": [5, 5], "multiband": [25, 25], "msd": [6, 6], "mono": [7]}
MIN_SAMPLES = {"msstft": 128, "mpd": 4, "multiband": 80, "msd": 16, "mono": 64}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_one_output_per_network_without_the_logits_among_features(kind):
    outputs = KINDS[kind]()(torch.randn(3, 1, 400))
    assert all(isinstance(output, DiscriminatorOutput) for output in outputs)
    assert [len(output.features) for output in outputs] == N_NETWORKS[kind]
    for logits, features in outputs:
        assert len(logits) == 3
        assert logits.shape[1] == 1
        assert all(logits.data_ptr() != feature.data_ptr() and len(feature) == 3 for feature in features)


def test_gradients_reach_audio_and_every_parameter(kind):
    discriminator = KINDS[kind]()
    audio = torch.randn(2, 1, 400, requires_grad=True)
    sum(output.logits.square().mean() for output in discriminator(audio)).backward()
    assert (audio.grad != 0).float().mean() > 0.9
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in discriminator.parameters())


def test_an_item_has_the_same_logits_in_any_batch(kind):
    discriminator = KINDS[kind]().eval()  # or spectral norm's estimate would move in between
    audio = torch.randn(3, 1, 400)
    for together, alone in zip(discriminator(audio), discriminator(audio[1:2]), strict=True):
        torch.testing.assert_close(together.logits[1:2], alone.logits, rtol=1e-4, atol=1e-6)


def test_stereo(kind):
    discriminator = KINDS[kind](channels=2)
    audio = torch.randn(2, 2, 400)
    swapped = discriminator(audio.flip(1))
    assert any(not torch.allclose(a.logits, b.logits) for a, b in zip(discriminator(audio), swapped, strict=True))
    with pytest.raises(ValueError, match=r"is \[2, 1, 400\]; it should be \[B, 2, N\]"):
        discriminator(audio[:, :1])


def test_too_short_audio_is_refused_with_the_length_needed(kind):
    discriminator = KINDS[kind]()
    needed = MIN_SAMPLES[kind]
    assert len(discriminator(torch.randn(1, 1, needed))) == len(N_NETWORKS[kind])
    with pytest.raises(ValueError, match=f"has {needed - 1} samples?; it should have at least {needed}:"):
        discriminator(torch.randn(1, 1, needed - 1))


def test_runs_under_bfloat16_autocast(kind):
    # oneDNN's bfloat16 convolutions on the CPU read past maps narrower than their kernel: bands need a real window.
    discriminator = MultiBandSTFTDiscriminator((512,), n_filters=2) if kind == "multiband" else KINDS[kind]()
    audio = torch.randn(2, 1, 1600, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = discriminator(audio)
    assert outputs[0].logits.dtype == torch.bfloat16
    for low, full in zip(outputs, discriminator(audio), strict=True):
        torch.testing.assert_close(low.logits.float(), full.logits, rtol=0.1, atol=0.05)
    sum(output.logits.float().mean() for output in outputs).backward()
    assert torch.isfinite(audio.grad).all()


def test_arguments_are_kept_and_buffers_are_not_saved(kind):
    discriminator = KINDS[kind]()
    assert discriminator.n_filters == 2
    assert discriminator.channels == 1
    assert not any("window" in name.rsplit(".")[-1] for name in discriminator.state_dict())


def test_stereo_channels_are_separate_or_joined():
    separate, joint = msstft(2), msstft(2, separate_channels=False)
    audio = torch.randn(3, 2, 400)
    assert separate(audio)[0].logits.shape[:3] == (3, 2, 1)
    assert joint(audio)[0].logits.shape[:2] == (3, 1)
    assert joint.networks[0].stack.convs[0].in_channels == 4
    mono = msstft(1)
    mono.load_state_dict(separate.state_dict())
    for channel in range(2):
        for both, one in zip(separate(audio), mono(audio[:, channel : channel + 1]), strict=True):
            torch.testing.assert_close(both.logits[:, channel], one.logits)
            torch.testing.assert_close(both.features[2][:, channel], one.features[2])


def test_maps_are_real_then_imaginary_and_mono_is_not_copied():
    stereo = torch.randn(2, 2, 5, 7, dtype=torch.complex64)
    torch.testing.assert_close(spectrum_maps(stereo), torch.cat([stereo.real, stereo.imag], dim=1))
    mono = torch.randn(2, 1, 5, 7, dtype=torch.complex64)
    maps = spectrum_maps(mono)
    assert maps.data_ptr() == mono.data_ptr()
    assert maps.is_contiguous(memory_format=torch.channels_last)


def test_convolutions_after_the_stft_run_channels_last():
    for features in (msstft()(torch.randn(2, 1, 400))[0].features, multiband()(torch.randn(2, 1, 400))[0].features):
        assert all(feature.is_contiguous(memory_format=torch.channels_last) for feature in features)


def test_normalization_removes_level_and_mean_per_item_and_channel():
    audio = torch.randn(2, 2, 50)
    gains = torch.tensor([[0.1, 3.0], [1.0, 0.5]])[..., None]
    normalized = peak_normalized(audio * gains + 0.3)
    torch.testing.assert_close(normalized, peak_normalized(audio), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(normalized.abs().amax(-1), torch.full((2, 2), 0.8))
    discriminator = mpd()
    torch.testing.assert_close(discriminator(audio[:, :1])[0].logits, discriminator(5 * audio[:, :1])[0].logits)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="hop_lengths has 1 value for 2 n_ffts"):
        MSSTFTDiscriminator((64, 128), hop_lengths=(16,))
    with pytest.raises(ValueError, match="window_lengths has 1 value for 2 n_ffts"):
        MSSTFTDiscriminator((64, 128), window_lengths=(64,))
    with pytest.raises(ValueError, match="window_length is 65; it should not be longer than n_fft 64"):
        MSSTFTDiscriminator((64,), window_lengths=(65,))
    with pytest.raises(ValueError, match="one is empty, and each should contain a bin"):
        MultiBandSTFTDiscriminator((32,), bands=((0.0, 0.01), (0.01, 1.0)))
    with pytest.raises(ValueError, match="at least one discriminator"):
        Ensemble([])


@pytest.mark.parametrize("bands", [((0.0, 0.5), (0.5, 1.0)), ((0.1, 0.5), (0.5, 0.9)), ((0.0, 0.6), (0.4, 1.0))])
def test_each_band_has_its_bins(bands):
    """Bands that fill the spectrum, that leave some of it out, and that overlap: the same maps and gradients."""
    (network,) = MultiBandSTFTDiscriminator((32,), bands=bands, n_filters=2, normalize_input=False).networks
    audio = torch.randn(2, 1, 200, requires_grad=True)
    result = network(audio).features
    maps = spectrum_maps(network.stft(audio))
    edges = [(int(low * 17), int(high * 17)) for low, high in bands]
    expected = [
        one for stack, (low, high) in zip(network.stacks, edges, strict=True) for one in stack(maps[..., low:high])
    ]
    for one, other in zip(result, expected, strict=True):
        torch.testing.assert_close(one, other)
    gradients = [
        torch.autograd.grad(sum(one.square().sum() for one in features), audio)[0] for features in (result, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_defaults_are_the_papers():
    discriminator = MSSTFTDiscriminator()
    first, *rest = discriminator.networks[0].stack.convs
    assert [network.stft.window_length for network in discriminator.networks] == [2048, 1024, 512, 256, 128]
    assert [network.stft.hop_length for network in discriminator.networks] == [512, 256, 128, 64, 32]
    assert [conv.dilation for conv in rest] == [(1, 1), (2, 1), (4, 1), (1, 1)]
    assert [conv.stride for conv in rest] == [(1, 2), (1, 2), (1, 2), (1, 1)]
    assert first.out_channels == 32
    widths = [conv.out_channels for conv in MultiPeriodDiscriminator().networks[0].stack.convs]
    assert widths == [32, 128, 512, 1024, 1024]


def test_ensemble_lists_all_outputs_in_order():
    parts = [mpd(), msstft()]
    audio = torch.randn(1, 1, 400)
    expected = [output.logits for part in parts for output in part(audio)]
    for output, logits in zip(Ensemble(parts)(audio), expected, strict=True):
        torch.testing.assert_close(output.logits, logits)


def test_reseeded_copies_differ_by_seed_alone():
    original = Ensemble([mpd(), msstft(), multiband(), msd(), mono()])
    stored = [p.clone() for p in original.parameters()]
    state = torch.get_rng_state()
    one, same, other = (reseeded_copy(original, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    names = [name for name, _ in original.named_parameters()]
    assert [name for name, _ in one.named_parameters()] == names
    for name, before, now, a, b, c in zip(
        names, stored, original.parameters(), one.parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(before, now)
        assert torch.equal(a, b)
        drawn = "norm." not in name  # a fresh layer normalization is the same for every seed
        assert torch.equal(a, c) != drawn
        assert torch.equal(a, before) != drawn


def test_a_reseeded_weight_normed_layer_starts_as_a_fresh_one():
    copy = reseeded_copy(MSSTFTDiscriminator((64,), n_filters=32), 3)
    conv = copy.networks[0].stack.convs[1]
    weight, gain = conv.weight, conv.parametrizations.weight.original0
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), gain.flatten())
    bound = (32 * 3 * 9) ** -0.5
    assert 0.9 * bound < weight.abs().max().item() <= bound * 1.0001
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert all(p.requires_grad and p.is_leaf for p in copy.parameters())


def test_reseeding_says_what_it_cannot_reset():
    class Stubborn(Discriminator):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))

        def forward(self, audio):
            return [DiscriminatorOutput(self.gain * audio, [])]

    with pytest.raises(ValueError, match=r"discriminators.0 \(Stubborn\) has parameters and no reset_parameters"):
        reseeded_copy(Ensemble([Stubborn()]), 0)


def test_pooling_averages_and_sinc_keeps_a_slow_tone():
    ramp = torch.arange(12.0)[None, None]
    assert downsampled(ramp, 2, "pool")[0, 0].tolist() == [1.0, 2.5, 4.5, 6.5, 8.5, 10.0]
    assert downsampled(ramp, 4, "pool").shape[-1] == 3
    torch.testing.assert_close(downsampled(torch.ones(1, 1, 60), 3, "sinc"), torch.ones(1, 1, 20))
    time = torch.arange(600)
    slow, fast = (torch.sin(2 * torch.pi * frequency * time)[None, None] for frequency in (0.02, 0.4))
    torch.testing.assert_close(
        downsampled(slow, 3, "sinc")[..., 20:-20], slow[..., ::3][..., 20:-20], rtol=0, atol=0.01
    )
    assert downsampled(fast, 3, "sinc")[..., 20:-20].abs().max() < 0.01
    with pytest.raises(ValueError, match="powers of two with downsampling 'pool'"):
        MultiScaleDiscriminator((1, 3))


def test_only_the_full_rate_is_spectrally_normalized():
    full, half = (network.stack.convs[2] for network in msd().networks)
    assert torch.linalg.matrix_norm(full.weight.flatten(1), 2).item() == pytest.approx(1.0, rel=0.05)
    assert hasattr(half.parametrizations.weight, "original1")
    copy = reseeded_copy(msd(), 3).networks[0].stack.convs[2]
    assert torch.linalg.matrix_norm(copy.weight.flatten(1), 2).item() == pytest.approx(1.0, rel=0.05)


def test_steps_are_normalized_each_for_itself():
    norm = StepNorm(3)
    maps = 5 * torch.randn(2, 3, 4, 9) + 1
    expected = torch.nn.functional.layer_norm(maps.transpose(1, 2), (3, 9)).transpose(1, 2)
    torch.testing.assert_close(norm(maps), expected)
    changed = maps.clone()
    changed[:, :, 2] += 7 * torch.randn(2, 3, 9)
    indices = [0, 1, 3]
    torch.testing.assert_close(norm(changed)[:, :, indices], norm(maps)[:, :, indices])


def test_mono_stft_has_soundstreams_shape():
    (output,) = MonoSTFTDiscriminator(n_filters=1)(torch.randn(1, 1, 1024 + 256 * 31))
    assert [tuple(feature.shape[1:]) for feature in output.features] == [
        (1, 32, 513),
        (2, 32, 257),
        (4, 16, 129),
        (4, 16, 65),
        (8, 8, 33),
        (8, 8, 17),
        (16, 4, 9),
    ]
    assert output.logits.shape == (1, 1, 4, 1)


def test_kongs_mpd_depends_on_the_level_and_dacs_does_not():
    audio = torch.randn(1, 1, 600)
    result = {}
    for name, settings in {"kong": {"pad_full_period": False, "normalize_input": False}, "dac": {}}.items():
        torch.manual_seed(1)
        discriminator = MultiPeriodDiscriminator(n_filters=2, max_filters=8, **settings)
        with torch.no_grad():
            loud, quiet = discriminator(audio), discriminator(0.1 * audio)
        result[name] = max(float((a.logits - b.logits).abs().max()) for a, b in zip(loud, quiet, strict=True))
    assert result["dac"] < 1e-6
    assert result["kong"] > 1e-3


def test_kongs_mpd_pads_no_whole_period():
    for pad, rows in ((False, 300), (True, 301)):
        network = MultiPeriodDiscriminator([2], 2, 8, pad_full_period=pad, stride=1).networks[0]
        assert network(torch.randn(1, 1, 600)).logits.shape[-2:] == (rows, 2)


def test_depth_growth_and_kernels_are_as_said():
    mpd = MultiPeriodDiscriminator([3], 2, 100, growth=3, n_layers=4, kernel_size=7, logits_kernel_size=5).networks[0]
    assert [conv.out_channels for conv in mpd.stack.convs] == [2, 6, 18, 54]
    assert [conv.kernel_size for conv in mpd.stack.convs] == [(7, 1)] * 4
    assert [conv.stride[0] for conv in mpd.stack.convs] == [3, 3, 3, 1]
    assert mpd.post.kernel_size == (5, 1)
    msd = MultiScaleDiscriminator([1], 8, 64, conv_strides=[2], kernel_sizes=(21, 7, 5), channels_per_group=2).networks[
        0
    ]
    assert [conv.kernel_size[0] for conv in (*msd.stack.convs, msd.post)] == [21, 21, 7, 5]
    assert [conv.groups for conv in msd.stack.convs] == [1, 4, 1]
    with pytest.raises(ValueError, match=r"kernel_sizes are \[15, 4, 3\].* odd numbers such as \[15, 5, 3\]"):
        MultiScaleDiscriminator(kernel_sizes=(15, 4, 3))
    with pytest.raises(ValueError, match="n_layers 0"):
        MultiPeriodDiscriminator(n_layers=0)


def test_the_papers_msstft_has_kernels_of_8_and_a_normalized_first_layer():
    discriminator = MSSTFTDiscriminator([64], n_filters=2, kernel_size=(3, 8), normalize_first=True)
    convs = discriminator.networks[0].stack.convs
    assert [conv.kernel_size for conv in convs] == [(3, 8)] * 4 + [(3, 3)]
    assert all(hasattr(conv, "parametrizations") for conv in convs)
    assert not hasattr(MSSTFTDiscriminator([64], n_filters=2).networks[0].stack.convs[0], "parametrizations")
    (output,) = discriminator(torch.randn(1, 1, 600))
    assert bool(output.logits.isfinite().all())


def test_each_grouped_convolution_of_an_msd_can_be_given_as_audiocrafts() -> None:
    """AudioCraft's ScaleDiscriminator: what is not given is 10 * scale + 1, scale, 5 * scale and channels / 4."""
    usual, given = (
        MultiScaleDiscriminator((1,), n_filters=8, conv_strides=(2, 4), spectral=False, **more)
        for more in ({}, {"inner_kernel_sizes": [9, 15], "groups": [1, 8], "inner_strides": [3, 2], "paddings": [4, 7]})
    )

    def shapes(discriminator: MultiScaleDiscriminator) -> list[tuple[int, ...]]:
        inner = discriminator.networks[0].stack.convs[1:-1]
        return [(*c.weight.shape, c.stride[0], c.padding[0], c.groups) for c in inner]

    # Channels out, channels in of a group, kernel, stride, padding, groups.
    assert shapes(usual) == [(16, 4, 21, 2, 10, 2), (64, 4, 41, 4, 20, 4)]
    assert shapes(given) == [(16, 8, 9, 3, 4, 1), (64, 2, 15, 2, 7, 8)]
    (output,) = given(torch.randn(1, 1, 600))
    assert [features.shape[1:] for features in output.features] == [(8, 600), (16, 200), (64, 100), (128, 100)]
    kernels = MultiScaleDiscriminator((1,), n_filters=8, conv_strides=(2, 4), inner_kernel_sizes=[9, 15])
    assert [shape[-2] for shape in shapes(kernels)] == [10, 20]  # AudioCraft's, too, stays
    with pytest.raises(ValueError, match=r"groups are \[1\] and conv_strides are \[2, 4\]; give one value per stride"):
        MultiScaleDiscriminator((1,), conv_strides=(2, 4), groups=[1])


def test_the_name_of_an_output_before_version_0_2_still_works_and_names_the_new_one():
    with pytest.warns(FutureWarning, match="called DiscriminatorOutput since 0.2"):
        from codeclab.discriminators.base import Judgement
    assert Judgement is DiscriminatorOutput
