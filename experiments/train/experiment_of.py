"""The experiment that a callback serves."""

import lightning

from codeclab.experiments.train.module import CodecExperiment


def experiment_of(module: lightning.LightningModule) -> CodecExperiment:
    """A callback's module, which must be a ``CodecExperiment``.

    Raises:
        TypeError: ``module`` is of another class.
    """
    if not isinstance(module, CodecExperiment):
        raise TypeError(f"this callback is for a CodecExperiment, not for {type(module).__name__}")
    return module
