"""The worker's process: it keeps PyTorch and the last models loaded, and answers what ``worker.py`` asks.

Every answer is a JSON object and bytes: codes as int16, row by row, or a sound as a WAV file in 32 bits.
"""

import os
import secrets
import signal
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from distill.codes import edit
from distill.codes.codes_file import Codes, save_codes
from distill.errors import CodesFileError, DistillError, SettingError, unforeseen
from distill.evaluation.codec_files import decode_file, read_sound
from distill.files.names import CODES_SUFFIX
from distill.files.regular import is_there
from distill.formats.wav_header import form_of, wav_header
from distill.making import moments
from distill.making.drawing import Sampling
from distill.making.reimagine import reimagine
from distill.models.model_file import Model, load_model
from distill.web.code_bytes import check_codes, in_bytes, rows_given
from distill.web.frames import MORE, BrokenFrameError, Message, receive, send
from distill.web.wholes import decode_whole, draw_whole, edit_whole, encode_whole

MODELS_KEPT = 2
MOST_PLACES = 500
"""Places of one entry that are listed; all are counted."""
_HEARD_KEPT = 8
_OPEN_ANEW = "Open the sound anew."


class LoadedModels:
    """Holds the last models and does what is asked of them."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[str, int, int], Model] = OrderedDict()
        self._books: dict[int, dict[str, Any]] = {}
        self._heard: OrderedDict[str, moments.RenderedPart] = OrderedDict()

    def answer(self, head: dict[str, Any], body: bytes) -> Message | Iterator[Message]:
        """One question; see the methods below for what each takes and gives. Some answers come in parts.

        Raises:
            DistillError: if it cannot be done.
        """
        does: dict[str, Callable[..., Message | Iterator[Message]]] = {
            "about": self.about,
            "encode": self.encode,
            "recording": self.recording,
            "stretch": self.stretch,
            "held": self.held,
            "entry": self.entry,
            "places": self.places,
            "place": self.place,
            "blend": self.blend,
            "reimagine": self.reimagine,
            "write": self.write,
            "encode whole": encode_whole,
            "decode whole": decode_whole,
            "draw whole": draw_whole,
            "edit whole": edit_whole,
        }
        words = dict(head)
        do, path, codec = words.pop("do"), words.pop("model"), words.pop("codec", None)
        model = self._model(Path(path))
        if codec is not None and codec != self._about(model)["codec"]:
            raise CodesFileError(
                f"The model {path} is another one than made these codes.",
                "Put the model back that made them, or open the sound anew with this one.",
            )
        return does[do](model, body, **words)

    def about(self, model: Model, _: bytes) -> Message:
        """What the page must know of a model: its sizes, and of every entry how often it is used and how it is coloured."""
        return self._about(model), b""

    def encode(self, model: Model, _: bytes, audio: str) -> Message:
        """An audio file or a ``.codes`` file as codes."""
        codes = read_sound(model, Path(audio))
        return {"samples": codes.samples, "codec": codes.codec}, in_bytes(codes.codes.numpy())

    def recording(self, model: Model, _: bytes, index: int) -> Message:
        """The codes of a recording that the model file keeps."""
        codes = _source(model, index).codes
        return {"samples": len(codes) * model.codec.hop, "codec": self._about(model)["codec"]}, in_bytes(codes.numpy())

    def stretch(
        self,
        model: Model,
        body: bytes,
        first: int,
        stop: int,
        levels: list[int] | None = None,
        origin: int = 0,
        after: str | None = None,
        goes_on: bool = False,
    ) -> Message:
        """Columns as they sound in their place; ``body`` is as much of the grid around them as there is, from ``origin`` on.

        With ``goes_on`` a token comes back; whoever asks for what follows gives it as ``after``, and no seam is heard.
        """
        grid = _grid(model, body)
        edit.select(grid.numpy(), first - origin, stop - origin, levels)
        before = None if after is None else self._heard.pop(after, None)
        part = moments.stretch(model, grid, first, stop, levels, origin=origin, before=before, goes_on=goes_on)
        token = None
        if goes_on:
            token = secrets.token_hex(8)
            self._heard[token] = part
            while len(self._heard) > _HEARD_KEPT:
                self._heard.popitem(last=False)
        return {"token": token}, _wav(part.audio, model)

    def held(self, model: Model, body: bytes, levels: list[int] | None = None) -> Message:
        """One column as a sound that lasts."""
        grid = _grid(model, body)
        edit.select(grid.numpy(), 0, 1, levels)
        return {}, _wav(moments.held(model, grid[0], levels), model)

    def entry(self, model: Model, _: bytes, level: int, code: int) -> Message:
        """One entry of a codebook, alone."""
        _check_entry(model, level, code)
        return {}, _wav(moments.entry(model, level, code), model)

    def places(self, model: Model, _: bytes, level: int, code: int) -> Message:
        """Where in the recordings an entry sounds, the longest first."""
        _check_entry(model, level, code)
        found = []
        for index, source in enumerate(model.sources):
            is_there = np.concatenate([[False], source.codes[:, level].numpy() == code, [False]])
            borders = np.flatnonzero(np.diff(is_there.astype(np.int8)))
            found += [
                {
                    "recording": index,
                    "name": source.name,
                    "first": int(first),
                    "stop": int(stop),
                    "seconds": source.start_seconds + first / model.codec.frame_rate,
                    "held_out": source.held_out,
                }
                for first, stop in borders.reshape(-1, 2)
            ]
        found.sort(key=lambda one: one["first"] - one["stop"])
        return {"places": found[:MOST_PLACES], "count": len(found)}, b""

    def place(self, model: Model, _: bytes, index: int, first: int, stop: int) -> Message:
        """A stretch of a recording that the model file keeps."""
        codes = _source(model, index).codes
        edit.select(codes.numpy(), first, stop)
        return {}, _wav(moments.stretch(model, codes, first, stop).audio, model)

    def blend(self, model: Model, body: bytes, columns: int, weight: float, levels: list[int]) -> Message:
        """Two stretches of so many columns, one after the other in ``body``, mixed."""
        both = _grid(model, body).numpy()
        one, other = both[:columns], both[columns:]
        mixed = edit.blend(
            one, other, edit.select(one, levels=levels), weight, model.codec.quantizer.codebooks.cpu().numpy()
        )
        said = {"off": [round(float(off), 4) for off in mixed.off], "snapped": mixed.snapped.tolist()}
        return said, in_bytes(mixed.grid)

    def reimagine(
        self, model: Model, body: bytes, columns: int, first: int, stop: int, count: int, seed: int, temperature: float
    ) -> Message:
        """The free cells of a grid drawn anew, ``count`` times; ``body`` is the grid, and then 1 for each that is free.

        Only the columns ``first`` to ``stop`` of each proposal come back.
        """
        grid, free = np.split(rows_given(body, model.codec.num_quantizers, _OPEN_ANEW), [columns])
        check_codes(grid, model.codec.codebook_size, _OPEN_ANEW)
        drawn = reimagine(
            model, torch.from_numpy(grid), torch.from_numpy(free == 1), count, Sampling(temperature), seed
        )
        wanted = drawn[:, first:stop].reshape(-1, grid.shape[1])
        return {"seeds": [seed + index for index in range(count)]}, in_bytes(wanted.numpy())

    def write(self, model: Model, body: bytes, samples: int, out: str) -> Message:
        """A grid as a file: ``.codes``, or audio by its ending."""
        grid = _grid(model, body)
        if -(-samples // model.codec.hop) != len(grid):
            raise SettingError(f"{samples} samples do not take {len(grid)} columns.", _OPEN_ANEW)
        codes = Codes(grid, self._about(model)["codec"], samples, model.codec.sample_rate)
        if out.endswith(CODES_SUFFIX):
            save_codes(Path(out), codes)
        else:
            decode_file(model, codes, Path(out))
        return {}, b""

    def _model(self, path: Path) -> Model:
        status = path.stat() if is_there(path) else None
        key = (str(path), status.st_mtime_ns, status.st_size) if status is not None else (str(path), 0, 0)
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        model = load_model(path)
        self._models[key] = model
        while len(self._models) > MODELS_KEPT:
            self._books.pop(id(self._models.popitem(last=False)[1]), None)
        return model

    def _about(self, model: Model) -> dict[str, Any]:
        if id(model) not in self._books:
            codec = model.codec
            self._books[id(model)] = {
                "codec": model.codes_fingerprint,
                "sample_rate": codec.sample_rate,
                "hop": codec.hop,
                "channels": codec.channels,
                "levels": codec.num_quantizers,
                "entries": codec.codebook_size,
                "has_prior": model.prior is not None,
                "counts": model.code_counts.tolist(),
                "colours": [colours(level.cpu().numpy()) for level in codec.quantizer.codebooks],
            }
        return self._books[id(model)]


def colours(book: np.ndarray) -> list[tuple[float, float]]:
    """Two numbers from 0 to 1 an entry of a codebook ``[K, C]``: entries that stand for similar sounds have similar ones.

    They are the entries' ranks along the two directions in which the codebook is widest (principal components).
    """
    centred = book - book.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    # Which way a direction points is a matter of chance; its largest part points up.
    directions *= np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])[:, None]
    ranks = (centred @ directions.T).argsort(axis=0).argsort(axis=0) / max(1, len(book) - 1)
    return [(round(float(first), 3), round(float(second), 3)) for first, second in ranks]


def _source(model: Model, index: int) -> Any:
    if not 0 <= index < len(model.sources):
        raise SettingError(
            f"The model keeps {len(model.sources)} recordings, and number {index} is none of them.",
            "Choose another one.",
        )
    return model.sources[index]


def _check_entry(model: Model, level: int, code: int) -> None:
    column = np.zeros((1, model.codec.num_quantizers), np.int64)
    edit.fill(column, edit.select(column, 0, 1, (level,)), code, model.codec.codebook_size)


def _grid(model: Model, body: bytes) -> Tensor:
    """Bytes as codes of the model, int64 ``[n, Q]``."""
    grid = rows_given(body, model.codec.num_quantizers, _OPEN_ANEW)
    check_codes(grid, model.codec.codebook_size, _OPEN_ANEW)
    return torch.from_numpy(grid)


def _wav(audio: np.ndarray, model: Model) -> bytes:
    """Float32 ``[C, n]`` as a WAV file in 32 bits."""
    samples = np.ascontiguousarray(audio.T, "<f4").tobytes()
    return wav_header(form_of(len(audio), model.codec.sample_rate, 32), len(samples)) + samples


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answers until there are no more questions.

    Of an answer in parts each says whether there is ``more``, and the next is made when it is asked for; with any other word,
    or none, the rest is not made.
    """
    models = LoadedModels()
    while (asked := receive(questions)) is not None:
        parts: Iterator[Message] = iter(())
        try:
            answer = models.answer(*asked)
            if isinstance(answer, tuple):
                send(answers, *answer)
                continue
            parts = answer
            for head, body in parts:
                send(answers, {**head, "more": True}, body)
                asked = receive(questions)
                if asked is None or asked[0]["do"] != MORE:
                    break
            else:
                send(answers, {"more": False})
        except DistillError as error:
            send(answers, {"kind": type(error).__name__, "what": error.what, "fix": error.fix})
        except BrokenFrameError:
            raise
        except Exception as error:  # noqa: BLE001 - the next question shall be answered all the same
            traceback.print_exc()
            told = unforeseen(error, "This is a fault in Distill. Try another way.")
            send(answers, {"kind": type(told).__name__, "what": told.what, "fix": told.fix})


def main() -> None:
    """Serves standard input; nothing else may write where the answers go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the server, and its end ends this
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
