"""How good a model is: the codec beside its recordings and beside Opus, the prior put to the test of reciting."""
