"""The one sample rate inside Distill: recordings are resampled to it when they are read. Imports nothing."""

SAMPLE_RATE = 48_000
"""Samples a second."""
