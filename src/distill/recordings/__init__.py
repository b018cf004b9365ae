"""A person's recordings: the corpus and the verdict on each file, takes and copies, what is held out, windows to train on."""
