"""Is it new, close, or a copy: what new audio shares with the recordings, and how much of that is natural."""
