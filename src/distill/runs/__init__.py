"""Training runs on disk: their events, their status, what the library notes about them, and how they are resumed."""
