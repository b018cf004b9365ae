"""What a prior learns from: a corpus as codes, encoded by the frozen codec of a model file."""

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.audio.corpus import Corpus
from distill.audio.split import Passage
from distill.codes.extract import encode_blocks, extract_code_sequences
from distill.errors import SettingError
from distill.models.model_file import Model, Source
from distill.models.prior import PriorConfig
from distill.training.metrics import ExtractionProgress, MetricsCallback

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Extraction:
    """Encodes passages with the frozen codec, and keeps count of how fast that goes."""

    def __init__(
        self, model: Model, config: PriorConfig, seed: int, fabric: "Fabric", callback: MetricsCallback
    ) -> None:
        self._codec, self._device, self._seed, self._callback = model.codec, fabric.device, seed, callback
        self._positions = config.context // config.num_quantizers
        self.pace = 0.0
        """Seconds of work per second of audio, as measured last."""

    def sequences(self, passages: Sequence[Passage], views: int, transpose: int = 0) -> Tensor:
        """Codes ``[N, S, Q]`` of all passages, each encoded in ``views`` ways."""
        started = time.monotonic()

        def progress(done: int, total: int) -> None:
            self._callback(ExtractionProgress(done, total))

        codes = extract_code_sequences(
            self._codec,
            [functools.partial(passage.blocks, self._codec.channels) for passage in passages],
            self._positions,
            views=views,
            transpose=transpose,
            generator=torch.Generator().manual_seed(self._seed),
            device=self._device,
            progress=progress,
        )
        self.pace = (time.monotonic() - started) / (views * sum(passage.seconds for passage in passages))
        return codes

    def sources(self, passages: Sequence[Passage], *, held_out: bool) -> tuple[Source, ...]:
        """The passages as they are, unshifted, for the model file."""
        return tuple(
            Source(
                passage.recording.name,
                passage.start / self._codec.sample_rate,
                held_out,
                encode_blocks(self._codec, passage.blocks(self._codec.channels), self._device),
                passage.recording.group,
            )
            for passage in passages
        )


def check_codebooks(config: PriorConfig, model: Model) -> None:
    """Refuses a prior whose codebooks are not of the codec's number and size.

    Raises:
        SettingError: with both numbers and sizes.
    """
    codec = model.header.codec
    if (config.codebook_size, config.num_quantizers) != (codec.codebook_size, codec.num_quantizers):
        raise SettingError(
            f"The prior's config has {config.num_quantizers} levels of {config.codebook_size} codes and the codec of "
            f"'{model.header.name}' has {codec.num_quantizers} of {codec.codebook_size}.",
            "Leave both to Distill, or set them to the codec's.",
        )


def other_corpus(corpus: Corpus, model: Model) -> str:
    """Plain words for a folder that is not the one the codec was trained on."""
    trained = model.header.corpus
    return (
        f"{corpus.folder} is not the folder the codec was trained on: it holds {corpus.file_count} recordings, "
        f"{corpus.seconds:.0f} s (fingerprint {corpus.fingerprint[:8]}), and the codec was trained on {trained.file_count} "
        f"recordings, {trained.seconds:.0f} s (fingerprint {trained.fingerprint[:8]}). The prior will learn the new folder "
        "in the codec's codes; sounds the codec was not trained on may come out coarse."
    )
