"""How good a model is: the codec against its recordings and Opus, and whether the prior recites."""
