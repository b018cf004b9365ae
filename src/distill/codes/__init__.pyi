from .extract import (
    decode_chunks as decode_chunks,
)
from .extract import (
    encode_blocks as encode_blocks,
)
from .extract import (
    extract_code_sequences as extract_code_sequences,
)
from .layout import (
    flatten_codes as flatten_codes,
)
from .layout import (
    unflatten_codes as unflatten_codes,
)
