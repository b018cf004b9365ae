"""Training runs on disk: what they report, where they stand, what the library notes of them, how they go on."""
