"""A quantizer that learns its bitrate, swapped into a recipe of several bitrates."""

from jsonargparse import Namespace

from codeclab.experiments.slots import find_part
from codeclab.quantizers.base import Quantizer


def leave_out_rates(config: Namespace, swapped: set[str], explicit: set[str]) -> list[str]:
    """Take the recipe's choice of bitrates out of a config in which the quantizer swapped in learns its one bitrate.

    Args:
        config: the parsed config, changed in place.
        swapped: places in which another part stands than the recipe's.
        explicit: dotted paths set by flags, which stay as they are.

    Returns:
        a line on each setting left out.
    """
    model = config.model
    if "model.quantizer" not in swapped:
        return []
    part = find_part("model.quantizer", Quantizer, model.quantizer.class_path)
    if part is None or not issubclass(part, Quantizer) or not part.learns_rate:
        return []
    spoken = explicit | swapped
    said = []
    for key, none in {
        "bitrates": None,
        "bitrate": None,
        "ensemble_per_bandwidth": False,
        "rate_sampling": None,
    }.items():
        value = model[key]
        if value != none and f"model.{key}" not in spoken:
            model[key] = none
            shown = value.class_path.rpartition(".")[2] if isinstance(value, Namespace) else value
            said.append(f"quantizer is {part.__name__}, which learns its one bitrate: {key} {shown} is left out")
    return said
