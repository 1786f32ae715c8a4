"""The wire between host and pump: recorded as pcapng, passed on by a man in the middle, and read as text."""
