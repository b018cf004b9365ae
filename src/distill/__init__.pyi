from .api import (
    decode as decode,
)
from .api import (
    encode as encode,
)
from .api import (
    generate as generate,
)
from .api import (
    load as load,
)
from .api import (
    train as train,
)
from .codes.codes_file import Codes as Codes
from .errors import DistillError as DistillError
from .making.drawing import Sampling as Sampling
from .making.sampling import Generation as Generation
from .models.model_file import Model as Model
