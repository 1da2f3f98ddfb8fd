"""Fixtures every test may use."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from codeclab.codecs.codec import Codec

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).resolve().parents[2] / "shared"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900"),
)

Golden = tuple[dict[str, torch.Tensor], dict[str, Any]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--codeclab-import FILE.py``: hold the parts and metrics of a file to the contracts of ``test_contracts.py``."""
    parser.addoption(
        "--codeclab-import", action="append", default=[], metavar="FILE.py", help="your parts, for test_contracts.py"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Import the files before tests are collected: the contracts run over every part that is known then."""
    files = config.getoption("--codeclab-import")
    if files:
        from codeclab.experiments.config.own_code import import_file

        for file in files:
            import_file(file)


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    """Reads a golden case: ``golden(name) -> (tensors, description)``; see tests/golden/README.md.

    The few that would take the folder over its limit are read from ../shared; without it their tests skip.
    """

    def load(name: str) -> Golden:
        folder = GOLDEN if (GOLDEN / f"{name}.json").is_file() else SHARED / "parity"
        if not (folder / f"{name}.json").is_file():
            pytest.skip(f"needs ../shared/parity/{name}.safetensors, which is not here")
        return load_file(folder / f"{name}.safetensors"), json.loads((folder / f"{name}.json").read_text())

    return load


@pytest.fixture
def golden_file() -> Callable[[str], Path]:
    """Where a file of a golden case lies that is not tensors: ``golden_file("….ecdc")``."""

    def find(name: str) -> Path:
        files = [path for path in (GOLDEN / name, SHARED / "parity" / name) if path.is_file()]
        if not files:
            pytest.skip(f"needs ../shared/parity/{name}, which is not here")
        return files[0]

    return find


@pytest.fixture
def shared() -> Path:
    """The folder of recorded audio and references beside the checkout; a test that wants it skips without it."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (recorded audio and reference scores), which is not here")
    return SHARED


@pytest.fixture
def gpu() -> torch.device:
    """A CUDA device; a test that wants it skips without one."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device("cuda")


@pytest.fixture
def exact_gpu(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A CUDA device whose convolutions do not round to TF32, so that it can be held against a CPU."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return gpu


@pytest.fixture(scope="session", autouse=True)
def _own_data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests bring by ``--import`` is not remembered beyond them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Browser:
    """Speaks WebDriver (W3C) with chromedriver."""

    def __init__(self, port: str, profile: Path) -> None:
        self.address = f"http://127.0.0.1:{port}/session"
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.address += "/" + self.post("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def post(self, path: str, content: Any, method: str = "POST") -> Any:
        data = None if method == "DELETE" else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=300) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{path}: {json.load(refused)['value']['message']}") from None

    def run(self, script: str) -> Any:
        return self.post("/execute/sync", {"script": script, "args": []})

    def wait(self, script: str) -> Any:
        """What a script gives to its function ``done``."""
        return self.post("/execute/async", {"script": f"const done = arguments[0];{script}", "args": []})

    def _find(self, css: str) -> str:
        return next(iter(self.post("/element", {"using": "css selector", "value": css}).values()))

    def click(self, css: str) -> None:
        # The page scrolls smoothly; WebDriver would click where the element has not arrived yet.
        self.run(f"document.querySelector({json.dumps(css)}).scrollIntoView({{behavior: 'instant', block: 'center'}})")
        self.post(f"/element/{self._find(css)}/click", {})

    def type(self, css: str, text: str) -> None:
        self.post(f"/element/{self._find(css)}/value", {"text": text})

    def key(self, letter: str) -> None:
        actions = [{"type": kind, "value": letter} for kind in ("keyDown", "keyUp")]
        self.post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def drag(self, css: str, start: float, end: float) -> None:
        """The mouse from one place to another of an element, in shares of its width."""
        box = f"document.querySelector({json.dumps(css)}).getBoundingClientRect()"
        left, top, width, height = self.run(f"const b = {box}; return [b.left, b.top, b.width, b.height]")
        move = {"type": "pointerMove", "duration": 0, "y": round(top + height / 2)}
        steps = [move | {"x": round(left + start * width)}, {"type": "pointerDown", "button": 0}]
        steps += [move | {"x": round(left + end * width)}, {"type": "pointerUp", "button": 0}]
        self.post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})

    def phone(self, width: int | None = 375) -> None:
        """Be as wide as a phone, in CSS pixels; None is as wide as the window."""
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        kind = "clear" if width is None else "set"
        command = {"cmd": f"Emulation.{kind}DeviceMetricsOverride", "params": {} if width is None else screen}
        self.post("/goog/cdp/execute", command)

    def unnamed(self, kinds: str) -> int:
        """How many elements of some kinds, as a CSS selector, have no name that a screen reader could say."""
        return self.run(
            f"return [...document.querySelectorAll('{kinds}')].filter(e => !(e.ariaLabel || e.alt || "
            "e.textContent.trim() || (e.labels && e.labels.length))).length"
        )

    def complaints(self) -> list[str]:
        """What the console said since it was last asked, errors and warnings."""
        logged = self.post("/se/log", {"type": "browser"})
        return [line["message"] for line in logged if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium; a test that wants it skips without it."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        line = next(line for line in driver.stdout if "started successfully on port" in line)
        browser = Browser(line.split("on port ")[1].strip(" .\n"), tmp_path_factory.mktemp("profile"))
        yield browser
        browser.post("", None, "DELETE")
        driver.terminate()


@pytest.fixture
def live_codec() -> Callable[..., "Codec"]:
    """``live_codec(channels=1, causal=True)``: a small untrained codec at 8 kHz that streams where it is causal."""
    from codeclab.codecs.codec import Codec
    from codeclab.codecs.seanet import SEANetDecoder, SEANetEncoder
    from codeclab.quantizers.residual_vq import ResidualVQ

    def make(channels: int = 1, causal: bool = True) -> Codec:
        torch.manual_seed(0)
        shape: dict[str, Any] = {"dimension": 4, "n_filters": 2, "strides": [2, 4], "pad_mode": "constant"}
        shape |= {"channels": channels, "causal": causal}
        return Codec(SEANetEncoder(**shape), ResidualVQ(4, 3, 16), SEANetDecoder(**shape), sample_rate=8000).eval()

    return make


@pytest.fixture
def live_audio() -> Callable[..., torch.Tensor]:
    """``live_audio(channels=1, seconds=0.5)``: noise at 8 kHz, ``[1, channels, N]``, always the same."""

    def make(channels: int = 1, seconds: float = 0.5) -> torch.Tensor:
        return 0.1 * torch.randn(1, channels, round(seconds * 8000), generator=torch.Generator().manual_seed(0))

    return make


class CountedNorms(TorchDispatchMode):
    """Counts computations of weight norm."""

    norms = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.norms += function.overloadpacket.__name__ == "_weight_norm_interface"
        return function(*args, **(kwargs or {}))


@pytest.fixture
def counted_norms() -> CountedNorms:
    """A dispatch mode whose ``norms`` is the number of computations of weight norm under it."""
    return CountedNorms()


@pytest.fixture
def normed_layers() -> nn.ModuleList:
    """Layers of two shapes that come often, of one that does not, transposed, spectrally normalized and plain."""
    layers = [weight_norm(nn.Conv1d(4, 6, 3)) for _ in range(4)] + [weight_norm(nn.Conv2d(1, 2, (3, 9)))]
    layers += [weight_norm(nn.ConvTranspose1d(4, 6, 3)) for _ in range(5)]
    layers += [spectral_norm(nn.Linear(5, 5)), nn.Conv1d(4, 6, 3), weight_norm(nn.Conv1d(4, 6, 3))]
    for layer in layers:
        if hasattr(layer, "parametrizations") and hasattr(layer.parametrizations.weight, "original0"):
            nn.init.uniform_(layer.parametrizations.weight.original0, 0.5, 2)
    return nn.ModuleList(layers).eval()
