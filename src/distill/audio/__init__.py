"""Sound as numbers: its rate, its channels and how they are mixed, and how far two sounds are apart."""
