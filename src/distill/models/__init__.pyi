from .config import (
    PriorConfig as PriorConfig,
)
from .config import (
    VQVAEConfig as VQVAEConfig,
)
from .model_file import (
    Model as Model,
)
from .model_file import (
    Source as Source,
)
from .model_file import (
    load_model as load_model,
)
from .model_file import (
    save_model as save_model,
)
from .prior import CodePrior as CodePrior
from .vqvae import (
    ConvVQVAE as ConvVQVAE,
)
from .vqvae import (
    VQVAEOutput as VQVAEOutput,
)
