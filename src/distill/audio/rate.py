"""The one sample rate of all sound inside Distill: recordings are brought to it when they are read. Imports nothing."""

SAMPLE_RATE = 48_000
"""Samples a second."""
