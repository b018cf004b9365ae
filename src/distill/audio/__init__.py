"""Sound in and out: files, the corpus and its split, windows to train on, distances between sounds."""
