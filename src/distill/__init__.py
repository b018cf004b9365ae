"""Distill learns the sound of a folder of recordings and makes new audio in it.

    import distill

    model = distill.train("my-recordings", "mine.distill", minutes=8)
    for piece in distill.generate(model, seconds=10, count=3):
        audio = piece.audio(model)          # float32 [C, N] at 48 kHz

    model = distill.load("mine.distill")
    codes = distill.encode(model, "a.wav")  # Codes, [S, Q]
    audio = distill.decode(model, codes)    # float32 [C, N]

Everything else is in ``distill.models``, ``distill.codes``, ``distill.training`` and ``distill.pipeline``.
"""

import os

import lazy_loader as lazy

# Threads that never spin while they wait halve the speed of training on a quiet machine, threads that always do make it
# twenty times slower on a busy one; a short spin loses little on either (docs/codec.md). Read when PyTorch is imported, which
# only what is used from here does: so the command line and a program of one's own have the same.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# PyTorch takes seconds to import, so each name of ``__init__.pyi`` is imported when it is used.
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
