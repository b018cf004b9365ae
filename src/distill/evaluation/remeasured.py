"""Which voice is nearer to the recordings, measured again once the codec's decoder has changed."""

from collections.abc import Callable
from pathlib import Path

from distill.evaluation.measure import own_split
from distill.making.closing import with_measures_of_decoder
from distill.models.header import UNMEASURED
from distill.models.model_file import Model, save_model
from distill.recordings.corpus import Corpus
from distill.training.metrics import MetricsCallback, Notice


def _outdated(model: Model) -> Model:
    """The model that says of itself that its voices were measured before its decoder changed."""
    training = {**model.header.codec_training, UNMEASURED: 1}
    return model.with_header(codec_training=training)


def _measured_anew(
    model: Model, corpus: Corpus, tell: MetricsCallback, is_stopped: Callable[[], bool] = lambda: False
) -> Model | None:
    """The model with figures of its decoder as it is now.

    Where its prior learned from other recordings it stays as it is, and that is told.

    Args:
        is_stopped: asked before each measure, which take seconds.

    Returns:
        None if it was stopped, which is told.
    """
    learned_from = (model.header.prior_training or {}).get("corpus_fingerprint")
    split = own_split(model, corpus)
    if split is None or learned_from != corpus.fingerprint:
        tell(Notice("The prior learned from other recordings, so which voice is nearer to them is not measured again."))
        return model
    measured = with_measures_of_decoder(model, split.train, tell, is_stopped)
    if measured is None:
        words = (
            "The second stage is trained, but which voice is nearer now has not been measured yet; going on does that."
        )
        tell(Notice(words))
    return measured


def remeasured_and_saved(
    model: Model, path: Path, corpus: Corpus, tell: MetricsCallback, is_stopped: Callable[[], bool]
) -> tuple[Model, bool]:
    """The model with figures of its decoder as it is now, written to ``path``; and whether they were all taken before a stop.

    Its figures are of the old decoder. Until they are taken again, the file says that they are outdated. A model whose voices
    were never compared is written as it is.
    """
    if not model.header.is_voice_measured:
        save_model(path, model)
        return model, True
    save_model(path, _outdated(model))
    measured = _measured_anew(model, corpus, tell, is_stopped)
    if measured is None:
        return _outdated(model), False
    save_model(path, measured)
    return measured, True
