"""How a codec's training starts or resumes: its windows, its state before the first step, and what is saved beside it."""

from dataclasses import asdict, dataclass
from threading import Event
from typing import TYPE_CHECKING

import torch

from distill.counted import counted
from distill.errors import SettingError
from distill.models import ranks
from distill.models.base import SIZES, base_config, base_path
from distill.models.config import VQVAEConfig
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Split
from distill.training.agreement import Agreement
from distill.training.checkpoint import Checkpoint, StateFile
from distill.training.codec_data import CodecData, start_decoder
from distill.training.codec_loss import CodecLoss
from distill.training.device import make_fabric
from distill.training.listening import Listening
from distill.training.loop_state import State
from distill.training.metrics import MetricsCallback
from distill.training.orders import order_codec
from distill.training.plan import CodecPlan
from distill.training.schedule import Schedule
from distill.training.wrapped import WrappedCodec

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Begun:
    """A training before its next epoch."""

    plan: CodecPlan
    data: CodecData
    criterion: CodecLoss
    fabric: "Fabric"
    stop: Agreement
    state: State[WrappedCodec]
    checkpoint: Checkpoint
    listening: Listening
    is_from_base: bool
    """Whether it started from the base codec."""
    is_held_out: bool
    """Whether anything was held out to validate on."""


def check_channels(config: VQVAEConfig, corpus: Corpus) -> None:
    """Checks that the codec is to have the channels that the recordings were read in.

    Raises:
        SettingError: if not, with both.
    """
    if config.channels != corpus.channels:
        raise SettingError(
            f"The codec's config is for {counted(config.channels, 'channel')}, and the recordings were read in "
            f"{corpus.channels}.",
            f"Give it channels={corpus.channels}, or read the folder with import_corpus(folder, channels={config.channels}).",
        )


def without_base(config: VQVAEConfig, plan: CodecPlan) -> str:
    """That a codec of other sizes than the base codec's starts from nothing, in a sentence; empty where it does not."""
    base = base_config()
    of_base = [f"{name} {getattr(base, name)}" for name in SIZES if getattr(config, name) != getattr(base, name)]
    if plan.from_scratch or not of_base:  # what was asked for need not be said
        return ""
    return (
        f"A codec of these sizes starts from nothing, as the base codec has {', '.join(of_base)}. It takes longer to learn as "
        "much."
    )


def begin(
    corpus: Corpus,
    split: Split,
    config: VQVAEConfig,
    plan: CodecPlan,
    file: StateFile,
    cancel_event: Event | None,
    callback: MetricsCallback,
) -> Begun:
    """Tells the other ranks, makes the codec, and takes up the state to resume if there is one.

    Raises:
        StateFileError: if the state to resume belongs to other recordings.
    """
    fabric = make_fabric(plan.device, plan.precision)
    belongs_to = {"folder of recordings": corpus.fingerprint}
    if file.resumed is not None:
        file.resumed.check_belongs(belongs_to)
    order_codec(corpus, split, config, plan, file.resumed)
    stop = Agreement(cancel_event)
    data = CodecData.of(split, config, plan)

    torch.manual_seed(plan.seed)
    codec = ConvVQVAE(config)
    optimizer = torch.optim.AdamW(
        codec.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    model, optimizer = fabric.setup(codec, optimizer)
    codec.quantizer.expect(ranks.world_size() * plan.window_positions * plan.batch_size)
    base = None if plan.from_scratch else base_path(config)
    if file.resumed is None:
        start_decoder(codec, data.windows, plan, fabric.device, base)
    ranks.broadcast_tensors(codec.state_dict().values())
    schedule = Schedule.of(plan, data.steps_per_epoch, agreement=stop)
    state: State[WrappedCodec] = State({"weights": model}, {"optimizer": optimizer}, schedule, plan.good_every)

    if file.resumed is not None:
        state.restore(file.resumed, belongs_to)
    facts = {**belongs_to, "config": asdict(config)}
    return Begun(
        plan=plan,
        data=data,
        criterion=CodecLoss(config.sample_rate, plan.scales_per_step).to(fabric.device),
        fabric=fabric,
        stop=stop,
        state=state,
        checkpoint=Checkpoint(file, plan.STATE_KIND, state, facts, plan, callback),
        listening=Listening.beside(file, "codec", split, config, callback),
        is_from_base=base is not None,
        is_held_out=split.is_held_out,
    )
