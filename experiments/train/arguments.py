"""Checks of an experiment's arguments, alone and in combination, before training."""

from typing import TYPE_CHECKING

from codeclab.codecs.wording import counted
from codeclab.experiments.train.rate_sampling import PerBatchBandwidth

if TYPE_CHECKING:
    from codeclab.experiments.train.module import CodecExperiment


def check_arguments(given: "CodecExperiment", plays: bool, ensemble_per_bandwidth: bool) -> None:
    """Refuse arguments with which training is impossible.

    Args:
        given: experiment whose arguments are set.
        plays: whether there are discriminators whose losses have a positive weight.
        ensemble_per_bandwidth: whether each bandwidth has its own ensemble of discriminators.

    Raises:
        ValueError: an argument or a combination is impossible; the message says what is possible.
    """
    if given.quantizer_start_frames < 0:
        raise ValueError(f"quantizer_start_frames is {given.quantizer_start_frames}; it should be 0 or more")
    for name, loss in (("waveform_loss", given.waveform_loss), ("spectral_loss", given.spectral_loss)):
        if loss is not None and loss.channels not in (None, given.codec.channels):
            raise ValueError(
                f"{name} {type(loss).__name__} is for audio of {counted(loss.channels, 'channel')}, and the codec has "
                f"{given.codec.channels}; encodec_48khz, for one, is stereo"
            )
        if loss is not None and loss.sample_rate not in (None, given.codec.sample_rate):
            raise ValueError(
                f"{name} {type(loss).__name__} is for audio at {loss.sample_rate} Hz, and the codec's has "
                f"{given.codec.sample_rate} Hz"
            )
        if loss is not None and any(parameter.requires_grad for parameter in loss.parameters()):
            raise ValueError(
                f"{name} {type(loss).__name__} has parameters that would learn, and only the codec and the "
                "discriminators do: freeze them with requires_grad_(False)"
            )
    reconstructs = given.waveform_loss is not None or given.spectral_loss is not None
    schedule = given.schedule
    if schedule.adversarial_start and not reconstructs:
        raise ValueError(
            f"until batch {schedule.adversarial_start} (adversarial_start) there is nothing to learn from: give a "
            "waveform_loss or a spectral_loss with a positive weight"
        )
    if schedule.accumulate > 1 and plays and given.update_order != "joint":
        raise ValueError(
            f"accumulate {schedule.accumulate} needs update_order joint: with discriminator_first every part's graph "
            "would have to be held until the discriminators have seen the whole batch"
        )
    if (
        schedule.accumulate > 1
        and given.balancer is not None
        and given.balancer.enabled
        and not given.balancer.per_item
    ):
        raise ValueError(
            f"accumulate {schedule.accumulate} needs a balancer with per_item true: with false each part of a batch "
            "would weigh as much as a whole one"
        )
    if ensemble_per_bandwidth and not isinstance(given.rate_sampling, PerBatchBandwidth):
        raise ValueError(
            f"ensemble_per_bandwidth needs one bandwidth per batch, but rate_sampling is "
            f"{type(given.rate_sampling).__name__}; use PerBatchBandwidth, or ensemble_per_bandwidth false"
        )
    if not (plays or reconstructs):
        raise ValueError(
            "nothing to learn from: give discriminators, a waveform_loss or a spectral_loss, and a positive weight"
        )
