"""Reconstruction losses on waveforms and spectra."""
