"""Any codec that ``transformers`` knows: Mimi, EnCodec, DAC, X-Codec, X-Codec 2, NeuCodec, Higgs Audio and others."""

import hashlib
import inspect
import math
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeclab.benchmarks.baselines.base import NotInstalledError, offered_rate
from codeclab.benchmarks.baselines.tokens import TokenCodec, Tokens
from codeclab.codecs.device import choose_device
from codeclab.codecs.wording import first_line

COUNTS = ("n_quantizers", "num_quantizers")
"""Names that ``encode`` methods have for the number of codebooks; others take a ``bandwidth``, or nothing."""

SCALE_BITS = 32
"""Bits of the level of a segment, a float, where a codec sends one (EnCodec at 48 kHz)."""

WEIGHTS = ("*.safetensors", "*.bin")


class TransformersCodec(TokenCodec):
    """A codec of ``transformers``, from a folder that ``save_pretrained`` wrote or the name of one on the hub.

    It is run as that package runs it: the folder's feature extractor, ``encode``, ``decode``. Nothing is taken from the
    folder but settings and weights: no code of it is run.

    Args:
        model: folder or hub id (``kyutai/mimi``); of the latter ``transformers`` loads what its cache lacks.
        device: device of the network, "cpu", "cuda" and so on; None is a GPU where there is one.

    Raises:
        NotInstalledError: ``transformers`` or the model cannot be had; the message says how.
        ValueError: it is no codec that turns audio to codes and back, or does not say how large its codebooks are.
    """

    def __init__(self, model: str, device: str | None = None) -> None:
        self.model = model
        self.device = device
        self.name = Path(model).name
        if find_spec("transformers") is None:
            raise NotInstalledError(f"{model} needs transformers: pip install 'codeclab[transformers]'")
        self.config = _load("AutoConfig", model)
        kind = _model_class(self.config, model)
        self._takes = inspect.signature(kind.encode).parameters
        self._gives = inspect.signature(kind.decode).parameters
        if "audio_codes" not in self._gives:
            raise ValueError(
                f"{model}: {kind.__name__} turns audio into continuous numbers, not codes, so it has no bitrate"
            )
        rate = _setting(self.config, "input_sampling_rate", "sampling_rate", "sample_rate")
        if rate is None:
            raise ValueError(f"{model}: its config.json has no sampling_rate")
        self.sample_rate = int(rate)
        self.decoded_rate = int(getattr(self.config, "output_sampling_rate", rate))
        self.channels = int(getattr(self.config, "audio_channels", 1))
        self._rates = self._offered()
        self.bitrates = sorted(self._rates)
        most = max(count for count, _ in self._rates.values())
        self.codebook_sizes = [_codebook_size(self.config, model)] * most

    def _offered(self) -> dict[float, tuple[int, dict[str, float]]]:
        """Codebooks, and what ``encode`` is given for them, by nominal kbps."""
        hop = _setting(self.config, "encoder_hop_length", "frame_size", "hop_length")
        if not hop:
            raise ValueError(f"{self.model}: its config.json does not say how many samples a frame has")
        bits = math.log2(_codebook_size(self.config, self.model))
        frame_rate = self.sample_rate / hop
        name = next((name for name in COUNTS if name in self._takes), None)
        most = int(_setting(self.config, "n_codebooks", "num_quantizers") or 1)
        if name is not None:
            fewest = int(getattr(self.config, "num_semantic_quantizers", 1))
            choices: dict[int, dict[str, float]] = {count: {name: count} for count in range(fewest, most + 1)}
        elif "bandwidth" in self._takes:
            # As these models count: started frames per second, codebooks rounded down.
            per_codebook = math.ceil(frame_rate) * math.ceil(bits)
            rates = sorted(self.config.target_bandwidths)
            choices = {min(max(1, int(rate * 1000 // per_codebook)), most): {"bandwidth": rate} for rate in rates}
        else:
            choices = {1: {}}
        return {round(count * bits * frame_rate / 1000, 6): (count, chosen) for count, chosen in choices.items()}

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Hash of the settings, and of the weights where they lie in a folder or the hub gave their revision."""
        settings = self.config.to_json_string(use_diff=False)
        revision = str(getattr(self.config, "_commit_hash", None))
        files = sorted(path for pattern in WEIGHTS for path in Path(self.model).glob(pattern))
        revision += "".join(_digest(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
        return hashlib.sha256((settings + revision).encode()).hexdigest()[:16]

    @cached_property
    def network(self) -> Any:
        """The model, on its device, in evaluation mode."""
        return _load("AutoModel", self.model).to(choose_device(self.device)).eval()

    @cached_property
    def _extractor(self) -> Any:
        return _load("AutoFeatureExtractor", self.model)

    @torch.no_grad()
    def encode(self, audio: Tensor, bitrate: float) -> Tokens:
        """Samples ``[C, N]`` at ``sample_rate`` to codes; see ``TokenCodec``."""
        samples = (audio[0] if self.channels == 1 else audio).numpy()
        given = self._extractor(samples, sampling_rate=self.sample_rate, return_tensors="pt").to(self.network.device)
        _, chosen = self._rates[offered_rate(self, bitrate)]
        output = _called(self.network.encode, self._takes, {**given, **chosen})
        codes = output.audio_codes.long().cpu()
        # EnCodec's are [segments, 1, K, T]: segments follow each other in time.
        of_codebooks = codes.squeeze(-3) if codes.ndim == 3 else codes[:, 0].permute(1, 0, 2).flatten(1)
        unused = int(getattr(output, "last_frame_pad_length", None) or 0)  # of the last segment, not decoded
        of_codebooks = of_codebooks[:, : of_codebooks.shape[1] - unused]
        scales = [scale for scale in getattr(output, "audio_scales", None) or [] if scale is not None]
        return Tokens(list(of_codebooks), output, SCALE_BITS * sum(scale.numel() for scale in scales))

    @torch.no_grad()
    def decode(self, tokens: Tokens) -> Tensor:
        """The output of ``encode`` to samples ``[C, M]`` at ``decoded_rate``."""
        wanted = ("audio_codes", "audio_scales", "last_frame_pad_length", "audio_codes_mask")
        given = {name: getattr(tokens.content, name, None) for name in wanted}
        output = _called(self.network.decode, self._gives, given)
        return output.audio_values.float().cpu().reshape(self.channels, -1)

    def parameters(self) -> int | None:
        """Number of weights, encoder and decoder."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def _load(kind: str, model: str) -> Any:
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(model)
    except (OSError, ValueError, KeyError) as error:
        reason = first_line(error)
        if isinstance(error, OSError):
            raise NotInstalledError(
                f"{model} is not a folder with config.json and weights, and the hub does not give it ({reason}). On a "
                "machine with a network: `hf download OWNER/NAME --local-dir DIR`; then give transformers:DIR"
            ) from error
        raise ValueError(f"{model} is not a transformers model with config.json and weights: {reason}") from error


def _model_class(config: Any, model: str) -> Any:
    from transformers import MODEL_MAPPING

    kind = MODEL_MAPPING.get(type(config), None)
    if kind is None or not (hasattr(kind, "encode") and hasattr(kind, "decode")):
        raise ValueError(
            f"{model} is a {getattr(config, 'model_type', None)!r} of transformers, which codes no audio; "
            "codecs there are mimi, encodec, dac, xcodec, xcodec2, neucodec and higgs_audio_v2_tokenizer"
        )
    return kind


def _codebook_size(config: Any, model: str) -> int:
    levels = getattr(config, "quantization_levels", None)
    size = math.prod(levels) if levels else getattr(config, "codebook_size", None)
    if not size:
        raise ValueError(f"{model}: its config.json says neither codebook_size nor quantization_levels")
    return int(size)


def _setting(config: Any, *names: str) -> Any:
    """The first of these settings that a configuration has."""
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def _called(method: Any, takes: Any, inputs: dict[str, Any]) -> Any:
    """The output of a model's method for those inputs that it takes and that are not None."""
    inputs = {"return_dict": True} | inputs
    return method(**{name: value for name, value in inputs.items() if name in takes and value is not None})


@lru_cache(maxsize=32)
def _digest(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
