"""Objective metrics, one per file; each docstring gives its formula and source."""
