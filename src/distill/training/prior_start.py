"""How a prior's training starts or resumes: its inputs, its codes, and its state before the first step."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distill import awake
from distill.codes.descriptions import Description, entry_descriptions, linear_map
from distill.models import ranks
from distill.models.base_prior import base_prior_path, start_from_base_prior
from distill.models.config import PriorConfig
from distill.models.model_file import Model, load_model
from distill.models.prior import CodePrior
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import Passage, Split
from distill.sizes import OF_PRIOR, prior_config_for
from distill.training.agreement import Agreement
from distill.training.budget import charged_seconds
from distill.training.checkpoint import Checkpoint, StateFile
from distill.training.device import minutes_on_processor
from distill.training.kept_codes import digest_of, keep_codes, kept_codes
from distill.training.loop_state import State
from distill.training.metrics import MetricsCallback, Notice
from distill.training.notices import noticing, tell_of_corpus
from distill.training.orders import order_prior
from distill.training.plan import PriorPlan
from distill.training.prior_data import PriorData, check_codebooks, other_corpus, split_of
from distill.training.schedule import Schedule
from distill.training.state_file import SavedState
from distill.training.wrapped import WrappedPrior

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_ORDER = "split of the recordings"


@dataclass(frozen=True)
class PriorInputs:
    """The checked inputs of a prior's training, before anything is encoded."""

    model: Model
    """The model with the frozen codec."""
    corpus: Corpus
    split: Split
    config: PriorConfig

    @classmethod
    def of(
        cls,
        model_path: Path,
        dataset_dir: Path | str | Corpus,
        config: PriorConfig | None,
        plan: PriorPlan,
        split: Split | None,
        device: torch.device,
        callback: MetricsCallback,
    ) -> "PriorInputs":
        """Reads and checks both inputs; notices about the recordings go to ``callback``.

        Args:
            config: sizes that follow the corpus and the plan's minutes if not given.
            split: the one of the codec's training if not given.

        Raises:
            ModelFileError, CorpusError: if one of the two inputs is unusable, or the split cannot be told (:func:`split_of`).
            SettingError: if the config's codebooks are not of the codec's number and size.
        """
        model = load_model(model_path, device)
        model.codec.requires_grad_(False).eval()
        corpus = (
            dataset_dir
            if isinstance(dataset_dir, Corpus)
            else import_corpus(Path(dataset_dir), ahead=noticing(callback))
        )
        split = split or split_of(model, corpus)
        tell_of_corpus(corpus, callback)
        config = config or prior_config_for(model, corpus, minutes_on_processor(plan))
        check_codebooks(config, model)
        return cls(model, corpus, split, config)

    @property
    def digests(self) -> dict[str, str]:
        """Fingerprints of codec and recordings, by which a resumed run recognises them."""
        return {"codec": self.model.codes_fingerprint, "folder of recordings": self.corpus.fingerprint}

    @property
    def order(self) -> dict[str, list[str]]:
        """What is trained on and what is held out, in the order of their codes, whatever the recordings are called."""
        train, held_out = self.split.train, self.split.held_out
        return {"train": [one.content for one in train], "held_out": [one.content for one in held_out]}

    def as_begun(self, resumed: SavedState | None) -> "PriorInputs":
        """The same in the order that a resumed run has its codes in: that of the names then, and they may have changed.

        Raises:
            StateFileError: if the saved training says its order in another way.
        """
        if resumed is None:
            return self
        train, held_out = (map(str, resumed.value(f"{_ORDER}.{part}", list)) for part in ("train", "held_out"))
        return dataclasses.replace(self, split=self.split.in_order(train, held_out))


@dataclass(frozen=True)
class Begun:
    """A training before its next epoch."""

    inputs: PriorInputs
    plan: PriorPlan
    """With as many views as there are."""
    data: PriorData
    prior: CodePrior
    """The model whose weights the state trains."""
    is_from_base: bool
    stop: Agreement
    state: State[WrappedPrior]
    checkpoint: Checkpoint
    belongs_to: dict[str, str]
    """Fingerprints of what it was begun with, by which a resumed run recognises it."""

    def keep_codes(self, file: StateFile, callback: MetricsCallback) -> None:
        """Writes the codes beside the state, so that going on need not encode again."""
        keep_codes(file, self.data.to_keep(), self.data.views.passages, self.belongs_to, callback)


def begin(
    inputs: PriorInputs,
    plan: PriorPlan,
    file: StateFile,
    fabric: "Fabric",
    cancel_event: Event | None,
    called: float,
    callback: MetricsCallback,
) -> Begun:
    """Encodes the recordings, makes the prior, tells the other ranks, and takes up the state to resume if there is one.

    Args:
        called: by ``awake.seconds()``, when the training was asked for.

    Raises:
        StateFileError: if the state to resume belongs to another codec or other recordings.
    """
    if file.resumed is not None:
        file.resumed.check_belongs(inputs.digests)
    if inputs.corpus.fingerprint != inputs.model.header.corpus.fingerprint:
        callback(Notice(other_corpus(inputs.corpus, inputs.model), is_warning=True))
    inputs = inputs.as_begun(file.resumed)
    if file.resumed is None and (words := without_base(inputs, plan)):
        callback(Notice(words))
    data, plan, are_kept = encoded(inputs, plan, file, fabric.device, callback)
    prior, is_from_base = new_prior(inputs.config, plan, inputs.model.codec, inputs.split.train, data.views.first())
    # Extraction is paid from the plan's minutes, but extracting again after a stop is not.
    again = awake.seconds() - called
    extraction_s = charged_seconds(again, plan.minutes) if file.resumed is None else file.resumed.charged_s
    steps_per_epoch = -(-data.count(plan) // (ranks.world_size() * plan.batch_size))
    order_prior(inputs.config, plan, file.resumed, extraction_s, steps_per_epoch, data.held_out)
    stop = Agreement(cancel_event)  # with the other ranks, which make theirs once they have the order
    state = first_state(prior, plan, steps_per_epoch, extraction_s, fabric, stop)
    digests, order = inputs.digests, {_ORDER: inputs.order}
    belongs_to = {**digests, "set of codes": digest_of(data.views.coded[: plan.views * data.views.passages])}
    if file.resumed is not None:
        take_up(state, file.resumed, plan, belongs_to | order)
        if not are_kept:
            callback(
                Notice(f"The recordings were encoded again to go on: {again:.0f} s, which do not count as training.")
            )
    if not are_kept:
        keep_codes(file, data.to_keep(), data.views.passages, belongs_to, callback)
    facts = {**belongs_to, **order, "config": dataclasses.asdict(inputs.config), "extraction_s": extraction_s}
    checkpoint = Checkpoint(file, plan.STATE_KIND, state, facts, plan, callback)
    return Begun(
        inputs=inputs,
        plan=plan,
        data=data,
        prior=prior,
        is_from_base=is_from_base,
        stop=stop,
        state=state,
        checkpoint=checkpoint,
        belongs_to=belongs_to,
    )


def encoded(
    inputs: PriorInputs, plan: PriorPlan, file: StateFile, device: torch.device, callback: MetricsCallback
) -> tuple[PriorData, PriorPlan, bool]:
    """The recordings as codes: those that a resumed run saved if they are still there, otherwise encoded now.

    Returns:
        The codes, the plan with as many views as there are, and whether an earlier run had kept them.

    Raises:
        StateFileError: if the saved training does not say what it was encoded as.
    """
    split, resumed = inputs.split, file.resumed
    kept = kept_codes(file, inputs.config, (len(split.train), len(split.held_out)), inputs.digests, callback)
    if resumed is not None:
        plan = dataclasses.replace(plan, views=resumed.value("plan.views", int))
    epoch = None if resumed is None else resumed.value("epoch", int)
    data = PriorData.of(
        inputs.model, inputs.corpus, split, inputs.config, plan, device, callback, epoch=epoch, kept=kept
    )
    plan = dataclasses.replace(plan, views=data.views.number if resumed is None else plan.views)
    return data, plan, kept is not None


def new_prior(
    config: PriorConfig, plan: PriorPlan, codec: ConvVQVAE, passages: tuple[Passage, ...], codes: list[Tensor]
) -> tuple[CodePrior, bool]:
    """A prior before its first step, on the CPU, and whether it starts from the base prior.

    Args:
        passages, codes: the training passages and their codes ``[S, Q]``, to learn what the codec's codes sound like.
    """
    torch.manual_seed(plan.seed)
    prior = CodePrior(config)
    codebooks = codec.quantizer.codebooks.cpu()
    base = None if plan.from_scratch else base_prior_path(config)
    if base is not None:
        table = linear_map(codec, passages, codes, Description(codec.hop))
        if len(table):
            start_from_base_prior(prior, base, entry_descriptions(codebooks, table))
            return prior, True
    prior.start_from_codebooks(codebooks)
    return prior, False


def without_base(inputs: PriorInputs, plan: PriorPlan) -> str:
    """That a prior of sizes that the recordings do not suggest starts without the base, in a sentence; empty where it has it,
    should not have it, or would not with the suggested sizes either."""
    usual = prior_config_for(inputs.model, inputs.corpus, minutes_on_processor(plan))
    base = PriorConfig()
    has_none = any(getattr(usual, name) != getattr(base, name) for name in OF_PRIOR)
    if plan.from_scratch or has_none or base_prior_path(inputs.config) is not None:
        return ""
    return (
        f"A prior of this size starts from nothing, as the base prior has {base.num_quantizers} levels, width "
        f"{base.hidden_size}, {base.num_layers} layers and {base.num_heads} heads. It takes longer to learn as much."
    )


def first_state(
    prior: CodePrior,
    plan: PriorPlan,
    steps_per_epoch: int,
    extraction_s: float,
    fabric: "Fabric",
    agreement: Agreement,
) -> State[WrappedPrior]:
    """The prior before its first step, the same on all ranks, and all that changes with it.

    Args:
        extraction_s: seconds of the plan's minutes that went into encoding the recordings.
    """
    optimizer = torch.optim.AdamW(parameter_groups(prior), lr=plan.learning_rate, betas=(0.9, 0.95), fused=True)
    model, optimizer = fabric.setup(prior, optimizer)
    ranks.broadcast_tensors(prior.state_dict().values())
    schedule = Schedule.of(plan, steps_per_epoch, minutes_spent=extraction_s / 60, agreement=agreement)
    instead = (
        f"Train the prior again with a lower learning rate, such as --lr {plan.learning_rate / 10:g}, or look for damaged "
        "recordings with distill check."
    )
    return State({"weights": model}, {"optimizer": optimizer}, schedule, plan.good_every, instead)


def take_up(state: State[WrappedPrior], resumed: SavedState, plan: PriorPlan, belongs_to: Mapping[str, Any]) -> None:
    """Restores a state (:meth:`State.restore`). A cool-down goes on only if the plan ends where it did."""
    state.restore(resumed, belongs_to)
    if not resumed.ends_as(plan):
        state.schedule.cooldown = None


def parameter_groups(prior: CodePrior) -> list[dict[str, Any]]:
    """Weight decay for matrices only; it would merely shrink biases, norms and embeddings."""

    def is_matrix(name: str, parameter: Tensor) -> bool:
        return parameter.ndim >= 2 and not name.startswith("embedding") and not name.endswith("bias")

    named = list(prior.named_parameters())
    matrices = [parameter for name, parameter in named if is_matrix(name, parameter)]
    others = [parameter for name, parameter in named if not is_matrix(name, parameter)]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
