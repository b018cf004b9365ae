"""Which voice is nearer to the recordings, measured again once the codec's decoder has changed."""

from distill.audio.corpus import Corpus
from distill.evaluation.measure import own_split
from distill.making.closing import with_measures
from distill.models.model_file import Model
from distill.training.metrics import MetricsCallback, Notice


def measured_anew(model: Model, corpus: Corpus, tell: MetricsCallback) -> Model:
    """The model with figures of its decoder as it is now.

    Where its prior learned from other recordings it stays as it is, and that is told.
    """
    learned_from = (model.header.prior_training or {}).get("corpus_fingerprint")
    split = own_split(model, corpus)
    if split is None or learned_from != corpus.fingerprint:
        tell(Notice("The prior learned from other recordings, so which voice is nearer to them is not measured again."))
        return model
    return with_measures(model, split.train, tell) or model
