"""Training loops of the two models, and the events they report."""

import lazy_loader as lazy

# PyTorch takes seconds to import, so each name of ``__init__.pyi`` is imported when it is used.
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
