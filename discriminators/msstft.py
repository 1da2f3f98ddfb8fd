"""EnCodec's multi-scale STFT discriminator."""

from collections.abc import Sequence

from torch import Tensor, nn

from codeclab.codecs.layers.stft import STFT
from codeclab.codecs.wording import counted
from codeclab.discriminators.base import Discriminator, DiscriminatorOutput
from codeclab.discriminators.layers import ConvStack, check_audio, conv2d, outputs_of, spectrum_maps


class STFTNetwork(nn.Module):
    """One scale: complex STFT, a convolution, one per dilation with stride 2 on frequency, one more, the logits.

    Args:
        n_fft: transform length in samples.
        hop_length: samples between frames.
        window_length: window length in samples.
        n_filters: channels of every hidden map.
        channels: audio channels, joined in the first convolution.
        kernel_size: kernel size over time and frequency.
        dilations: dilations over time, one per strided convolution.
        negative_slope: negative slope of the leaky ReLU.
        normalize_first: whether the first convolution has weight norm, too.
    """

    def __init__(
        self,
        n_fft: int,
        hop_length: int,
        window_length: int,
        n_filters: int,
        channels: int,
        kernel_size: tuple[int, int],
        dilations: Sequence[int],
        negative_slope: float,
        normalize_first: bool,
    ) -> None:
        super().__init__()
        self.stft = STFT(window_length, hop_length, padding="none", normalized=True, n_fft=n_fft)
        square = (kernel_size[0], kernel_size[0])
        first = conv2d(2 * channels, n_filters, kernel_size, weight_normed=normalize_first)
        dilated = [conv2d(n_filters, n_filters, kernel_size, stride=(1, 2), dilation=(d, 1)) for d in dilations]
        self.stack = ConvStack([first, *dilated, conv2d(n_filters, n_filters, square)], negative_slope)
        self.post = conv2d(n_filters, 1, square)

    def forward(self, audio: Tensor) -> DiscriminatorOutput:
        """``[B, C, N]`` to logits ``[B, 1, T, F']`` and one map per convolution, time before frequency."""
        features = self.stack(spectrum_maps(self.stft(audio)))
        return DiscriminatorOutput(self.post(features[-1]), features)


class MSSTFTDiscriminator(Discriminator):
    """Multi-scale STFT discriminator (EnCodec, section 3.4).

    Where paper and released code differ, the defaults are the code's: kernels are 3 x 9 (paper: 3 x 8), the slope is
    0.2, the first convolution has no weight normalization (paper: the network has), and the number of filters is the
    same in every layer. The paper processes left and right separately; the released code joins the channels in the
    first convolution. ``separate_channels`` selects one of the two; the paper's is the default.

    Args:
        n_ffts: transform lengths in samples, one sub-network each (the paper doubles them at 48 kHz).
        hop_lengths: samples between frames, one per transform; None is a quarter of each.
        n_filters: channels of every hidden map.
        channels: audio channels.
        kernel_size: kernel size over time and frequency.
        dilations: dilations over time, one per strided convolution.
        negative_slope: negative slope of the leaky ReLU.
        separate_channels: whether each audio channel goes through the same network separately; logits and features are
            then ``[B, C, ...]``.
        normalize_first: whether the first convolution has weight norm, too.
        window_lengths: window lengths in samples, one per transform, at most ``n_ffts`` (AudioCraft's ``win_lengths``);
            None is ``n_ffts``.

    Raises:
        ValueError: ``hop_lengths`` or ``window_lengths`` is not as long as ``n_ffts``.
    """

    def __init__(
        self,
        n_ffts: Sequence[int] = (2048, 1024, 512, 256, 128),
        hop_lengths: Sequence[int] | None = None,
        n_filters: int = 32,
        channels: int = 1,
        kernel_size: tuple[int, int] = (3, 9),
        dilations: Sequence[int] = (1, 2, 4),
        negative_slope: float = 0.2,
        separate_channels: bool = True,
        normalize_first: bool = False,
        window_lengths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        hops = [n_fft // 4 for n_fft in n_ffts] if hop_lengths is None else list(hop_lengths)
        windows = list(n_ffts) if window_lengths is None else list(window_lengths)
        for name, given in (("hop_lengths", hops), ("window_lengths", windows)):
            if len(given) != len(n_ffts):
                raise ValueError(
                    f"{name} has {counted(len(given), 'value')} for {len(n_ffts)} n_ffts; give as many, or None"
                )
        self.n_ffts = list(n_ffts)
        self.window_lengths = windows
        self.hop_lengths = hops
        self.n_filters = n_filters
        self.channels = channels
        self.kernel_size = kernel_size
        self.dilations = list(dilations)
        self.negative_slope = negative_slope
        self.separate_channels = separate_channels
        self.normalize_first = normalize_first
        joined = 1 if separate_channels else channels
        self.networks = nn.ModuleList(
            STFTNetwork(n_fft, hop, window, n_filters, joined, kernel_size, dilations, negative_slope, normalize_first)
            for n_fft, hop, window in zip(n_ffts, hops, windows, strict=True)
        )

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """``[B, C, N]`` to one output per transform, in order.

        Raises:
            ValueError: ``audio`` has other channels, or is shorter than the longest transform.
        """
        check_audio(audio, self.channels, max(self.n_ffts), type(self).__name__)
        if not self.separate_channels or self.channels == 1:
            return outputs_of(self.networks, audio)
        outputs = outputs_of(self.networks, audio.flatten(0, 1).unsqueeze(1))
        apart = (-1, self.channels)  # maps [B * C, ...] to [B, C, ...]
        return [
            DiscriminatorOutput(logits.unflatten(0, apart), [maps.unflatten(0, apart) for maps in features])
            for logits, features in outputs
        ]
