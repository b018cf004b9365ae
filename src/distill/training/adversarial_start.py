"""How the codec's second stage starts or resumes: its networks and windows, its state, and what it is to be better than."""

import copy
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Never

import numpy as np
import torch

from distill.audio.likeness import Likeness
from distill.models.model_file import codes_fingerprint
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Split
from distill.recordings.windows import TrainingWindows
from distill.training.adversarial_networks import Networks
from distill.training.agreement import Agreement
from distill.training.checkpoint import Checkpoint, StateFile
from distill.training.codec_data import windows_to_train_on, windows_to_validate
from distill.training.codec_validation import likeness_of_windows
from distill.training.device import make_fabric
from distill.training.listening import Listening
from distill.training.loop_state import State
from distill.training.metrics import MetricsCallback
from distill.training.orders import order_refinement
from distill.training.plan import RefinementPlan
from distill.training.schedule import Schedule

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Begun:
    """A second stage before its next step."""

    fabric: "Fabric"
    networks: Networks
    windows: TrainingWindows
    steps_per_epoch: int
    held_out: np.ndarray
    """Windows to validate on ``[n, C, N]``."""
    before: Likeness
    """Of the first stage's reconstructions to these windows."""
    stop: Agreement
    state: State[Never]
    checkpoint: Checkpoint
    listening: Listening


def begin(
    codec: ConvVQVAE,
    corpus: Corpus,
    split: Split,
    plan: RefinementPlan,
    file: StateFile,
    cancel_event: Event | None,
    callback: MetricsCallback,
) -> Begun:
    """Tells the other ranks, makes the networks, and takes up the state to resume if there is one.

    Raises:
        StateFileError: if the state to resume belongs to another codec or other recordings.
    """
    torch.manual_seed(plan.seed)
    fabric = make_fabric(plan.device, plan.precision)
    belongs_to = {"codec": codes_fingerprint(codec), "folder of recordings": corpus.fingerprint}
    if file.resumed is not None:
        file.resumed.check_belongs(belongs_to)
    order_refinement(corpus, split, codec, plan, file.resumed)
    stop = Agreement(cancel_event)
    networks = Networks.of(codec, plan, fabric)
    windows, steps_per_epoch = windows_to_train_on(split, codec.config, plan)
    held_out = windows_to_validate(split.held_out, codec.config, plan)
    state = networks.state(Schedule.of(plan, steps_per_epoch, agreement=stop))
    if file.resumed is not None:
        state.restore(file.resumed, belongs_to)
    # The codec that is given may have been refined before; what the first stage left is in the state.
    before = likeness_of_windows(copy.deepcopy(networks.first).to(fabric.device), networks.distance, held_out, fabric)
    if file.resumed is None:
        state.figures["mel_before"] = before.mel
    return Begun(
        fabric=fabric,
        networks=networks,
        windows=windows,
        steps_per_epoch=steps_per_epoch,
        held_out=held_out,
        before=before,
        stop=stop,
        state=state,
        checkpoint=Checkpoint(file, plan.STATE_KIND, state, belongs_to, plan, callback),
        listening=Listening.beside(file, "refinement", split, codec.config, callback),
    )
