"""Goes on from thousands of ``prior.codes`` that were spoilt on purpose: what a stopped prior learns from, beside its state.

    python benchmarks/fuzz_kept_codes.py --count 20000
    python benchmarks/fuzz_kept_codes.py --only 1234 --keep spoilt.codes     # one of them again, and the file itself

They are spoilt as model files are (``fuzz_model_file.py``). A spoilt file must be left out with a warning, within a second of
work and 500 MB of memory (``cage.py``), and the recordings are then encoded again. One that is used all the same is right only
if it is

    equal        every code is as it was
    consistent   its checksum was made anew: its passages are as many as there are, its codes are in range, and sequences can be
                 drawn from them
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from cage import Attempt, Opened, open_many
from distill.codes.layout import unflatten_codes
from distill.models import PriorConfig
from distill.training.checkpoint import StateFile
from distill.training.kept_codes import digest_of, keep_codes, kept_codes
from distill.training.metrics import Notice, TrainingEvent
from distill.training.prior_data import CodeViews, KeptCodes
from distill.training.state_file import KEPT_SUFFIX, SavedState
from fuzz_model_file import SPOILERS, sizes_changed

CONFIG = PriorConfig(codebook_size=32, num_quantizers=2, hidden_size=16, num_layers=1, num_heads=2, context=32)
PASSAGES, HELD_OUT, VIEWS = 3, 2, 2
BELONGS_TO = {"codec": "c" * 64, "folder of recordings": "f" * 64}


def whole_file(folder: Path) -> tuple[StateFile, KeptCodes]:
    """Three passages in two views and two held out, beside a state that knows them."""
    torch.manual_seed(0)
    lengths = [20 + 7 * number for number in range(PASSAGES * VIEWS)]
    coded = tuple(torch.randint(0, CONFIG.codebook_size, (length, 2)).short() for length in lengths)
    held_out = tuple(torch.randint(0, CONFIG.codebook_size, (30, 2)) for _ in range(HELD_OUT))
    codes = KeptCodes(coded, held_out)
    digest = digest_of(coded)
    file = StateFile(folder / "prior.state", SavedState({}, {"set of codes": digest}))
    keep_codes(file, codes, PASSAGES, {**BELONGS_TO, "set of codes": digest}, lambda event: None)
    return file, codes


def prepared(given: tuple[int, str, str | None]) -> Attempt:
    """In the child: the file that is spoilt, and the way to spoil it for the n-th time."""
    seed, folder, keep = given
    torch.set_num_threads(1)
    file, codes = whole_file(Path(folder))
    path = Path(folder) / f"prior{KEPT_SUFFIX}"
    whole = path.read_bytes()
    spoilers = [spoil for spoil in SPOILERS if spoil is not sizes_changed]  # that is about models

    def read() -> tuple[KeptCodes | None, list[TrainingEvent]]:
        told: list[TrainingEvent] = []
        return kept_codes(file, CONFIG, (PASSAGES, HELD_OUT), BELONGS_TO, told.append), told

    def wrong_with(found: KeptCodes) -> str:
        if len(found.coded) < PASSAGES or len(found.held_out) != HELD_OUT:
            return f"{len(found.coded)} encodings and {len(found.held_out)} held out"
        if not all(0 <= int(one.min()) <= int(one.max()) < 32 for one in (*found.coded, *found.held_out)):
            return "codes that cannot be"
        views = CodeViews(lambda passage, view: found.coded[passage], PASSAGES, found.coded)
        sequences, _ = views.sequences(4, CONFIG.context // 2, torch.Generator().manual_seed(0))
        return "" if 0 <= int(unflatten_codes(sequences, 2).max()) < 32 else "tokens that cannot be"

    read()  # what is imported only now would look like memory later

    def attempt(number: int) -> tuple[str, Callable[[], Opened], Callable[[], str]]:
        draw = random.Random(f"{seed}:{number}")
        spoil = draw.choice(spoilers)
        spoilt = spoil(whole, draw)
        path.write_bytes(spoilt.content)
        if keep is not None:
            Path(keep).write_bytes(spoilt.content)

        def opening() -> Opened:
            found, told = read()
            if found is None:
                notices = [one.text for one in told if isinstance(one, Notice) and one.is_warning]
                words = notices[0].partition("is not used: ")[2] if len(notices) == 1 else ""
                return ("refused" if words else "silent"), words, 0.0
            pairs = zip((*found.coded, *found.held_out), (*codes.coded, *codes.held_out), strict=False)
            if len(found.coded) == len(codes.coded) and all(torch.equal(one.long(), two.long()) for one, two in pairs):
                return "equal", "", 0.0
            return ("consistent", "", 0.0) if spoilt.has_own_digest else ("unnoticed", "other codes", 0.0)

        def proof() -> str:
            found, _ = read()
            return "it is not the same twice" if found is None else wrong_with(found)

        return spoil.__name__.replace("_", " "), opening, proof

    return attempt


if __name__ == "__main__":
    sys.exit(open_many(prepared, str(__doc__), 20_000))
