from .checkpoint import StateFile as StateFile
from .codec_validation import validate_vqvae_epoch as validate_vqvae_epoch
from .metrics import (
    ExtractionProgress as ExtractionProgress,
)
from .metrics import (
    MetricsCallback as MetricsCallback,
)
from .metrics import (
    Notice as Notice,
)
from .metrics import (
    PriorEpochMetrics as PriorEpochMetrics,
)
from .metrics import (
    PriorStepMetrics as PriorStepMetrics,
)
from .metrics import (
    PriorTrainingCompleteEvent as PriorTrainingCompleteEvent,
)
from .metrics import (
    RolledBack as RolledBack,
)
from .metrics import (
    TrainingEvent as TrainingEvent,
)
from .metrics import (
    VQEpochMetrics as VQEpochMetrics,
)
from .metrics import (
    VQStepMetrics as VQStepMetrics,
)
from .metrics import (
    VQTrainingCompleteEvent as VQTrainingCompleteEvent,
)
from .overfitting import check_memorization as check_memorization
from .plan import (
    CodecPlan as CodecPlan,
)
from .plan import (
    PriorPlan as PriorPlan,
)
from .prior_loop import (
    PriorValidation as PriorValidation,
)
from .prior_loop import (
    train_prior as train_prior,
)
from .prior_loop import (
    train_prior_epoch as train_prior_epoch,
)
from .prior_loop import (
    validate_prior_epoch as validate_prior_epoch,
)
from .vqvae_loop import (
    VQTrainingResult as VQTrainingResult,
)
from .vqvae_loop import (
    train_vqvae as train_vqvae,
)
from .vqvae_loop import (
    train_vqvae_epoch as train_vqvae_epoch,
)
