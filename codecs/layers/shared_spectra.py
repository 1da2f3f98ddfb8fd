"""Spectra that are computed once, however many networks and passes look at the same audio."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor


class SharedSpectra:
    """Spectra by the audio that they are of and by the settings of their transform.

    The audio is kept with its spectrum, so that no other tensor gets its address meanwhile.
    """

    def __init__(self) -> None:
        self._spectra: dict[Hashable, tuple[Tensor, Tensor]] = {}

    def get(self, audio: Tensor, transform: Hashable) -> Tensor | None:
        """The spectrum of audio by a transform, without gradient; None where it has not been computed."""
        _, spectrum = self._spectra.get((_identity(audio), transform), (None, None))
        return spectrum

    def store(self, audio: Tensor, transform: Hashable, spectrum: Tensor) -> None:
        """Keep a spectrum for the next who needs it."""
        self._spectra[_identity(audio), transform] = (audio.detach(), spectrum.detach())


def _identity(audio: Tensor) -> Hashable:
    """The samples of a tensor: the same ones for a view of all of it, others once it has changed in place."""
    return audio.data_ptr(), audio.shape, audio.stride(), audio.dtype, audio._version


_SHARED: ContextVar[SharedSpectra | None] = ContextVar("shared spectra", default=None)


@contextmanager
def spectra_shared() -> Iterator[None]:
    """Inside, each ``STFT`` of the same settings transforms the same audio once; afterwards the spectra are dropped."""
    token = _SHARED.set(SharedSpectra())
    try:
        yield
    finally:
        _SHARED.reset(token)


def shared_spectra() -> SharedSpectra | None:
    """The spectra of the block of ``spectra_shared`` that is running; None outside."""
    return _SHARED.get()
