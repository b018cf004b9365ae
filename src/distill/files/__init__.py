"""The file system: where things lie, opened with care, written whole or not at all, under names that are free."""
