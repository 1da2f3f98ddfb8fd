"""The contracts for every discovered part: the suite's, and those of ``pytest --codeclab-import FILE.py``."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from codeclab.benchmarks.metrics.registry import METRICS
from codeclab.codecs.base import Decoder, Encoder
from codeclab.discriminators.adversarial import AdversarialLoss
from codeclab.discriminators.base import Discriminator
from codeclab.discriminators.feature_matching import FeatureLoss
from codeclab.experiments.contracts.base import discovered_parts
from codeclab.experiments.contracts.coder import DecoderContract, EncoderContract
from codeclab.experiments.contracts.discriminator import (
    AdversarialLossContract,
    DiscriminatorContract,
    FeatureLossContract,
)
from codeclab.experiments.contracts.loss import ReconstructionLossContract
from codeclab.experiments.contracts.metric import (
    CodesMetricContract,
    MetricContract,
    NamedMetric,
    SetMetricContract,
)
from codeclab.experiments.contracts.quantizer import QuantizerContract
from codeclab.experiments.train.losses.base import ReconstructionLoss
from codeclab.quantizers.base import Quantizer

ROOT = Path(__file__).resolve().parents[1]


def discovered(base: type) -> list[type]:
    """The parts of a kind, without those that other tests made up in this process."""
    return [part for part in discovered_parts(base) if not Path(inspect.getfile(part)).is_relative_to(ROOT / "tests")]


class Discovered:
    """Runs a contract over parts; ``part`` is a parameter of each subclass."""

    @pytest.fixture(autouse=True)
    def _take(self, part: type) -> None:
        self.part = part


@pytest.mark.parametrize("part", discovered(Encoder))
class TestEncoders(Discovered, EncoderContract):
    pass


@pytest.mark.parametrize("part", discovered(Decoder))
class TestDecoders(Discovered, DecoderContract):
    pass


@pytest.mark.parametrize("part", discovered(Quantizer))
class TestQuantizers(Discovered, QuantizerContract):
    pass


@pytest.mark.parametrize("part", discovered(Discriminator))
class TestDiscriminators(Discovered, DiscriminatorContract):
    pass


@pytest.mark.parametrize("part", discovered(AdversarialLoss))
class TestAdversarialLosses(Discovered, AdversarialLossContract):
    pass


@pytest.mark.parametrize("part", discovered(FeatureLoss))
class TestFeatureLosses(Discovered, FeatureLossContract):
    pass


@pytest.mark.parametrize("part", discovered(ReconstructionLoss))
class TestReconstructionLosses(Discovered, ReconstructionLossContract):
    pass


class DiscoveredMetric(NamedMetric):
    """Runs a contract over metrics; ``name`` is a parameter of each subclass."""

    @pytest.fixture(autouse=True)
    def _take(self, name: str) -> None:
        self.name = name
        if lacks := self.metric.lacks():
            pytest.skip(lacks)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * name.startswith("visqol"))
        for name, metric in METRICS.items()
        if metric.per_file
    ],
)
class TestMetrics(DiscoveredMetric, MetricContract):
    pass


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.of_set])
class TestSetMetrics(DiscoveredMetric, SetMetricContract):
    pass


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.of_codes])
class TestCodesMetrics(DiscoveredMetric, CodesMetricContract):
    pass


FORGETFUL = """
from codeclab.quantizers.residual_vq import ResidualVQ


class Forgetful(ResidualVQ):
    def __init__(self, dimension: int = 128, n_codebooks: int = 32, codebook_size: int = 1024, width: float = 0.1):
        super().__init__(dimension, n_codebooks, codebook_size)

    def decode(self, codes):
        return 2 * super().decode(codes)
"""


def test_a_file_of_yours_is_held_to_them_too(tmp_path: Path) -> None:
    (tmp_path / "forgetful_part.py").write_text(FORGETFUL)
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--codeclab-import", "forgetful_part.py"]
    command += ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / "test_contracts.py")]
    done = subprocess.run([*command, "-k", "Forgetful"], cwd=tmp_path, capture_output=True, text=True)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert "keeps its argument 'width' in no attribute of that name" in done.stdout
    assert {line.split("::")[2].partition("[")[0] for line in failed} == {
        *("test_it_keeps_its_arguments", "test_codes_are_decoded_to_the_quantized_latent"),
        "test_it_is_rebuilt_from_its_arguments_and_weights",
    }, done.stdout + done.stderr


def test_a_contract_can_be_subclassed_without_our_tests(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from codeclab import ResidualVQ\nfrom codeclab.experiments.contracts.quantizer import QuantizerContract\n\n\n"
        "class TestMine(QuantizerContract):\n    part = ResidualVQ\n    arguments = {'n_codebooks': 5}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "8 passed" in done.stdout, done.stdout + done.stderr
