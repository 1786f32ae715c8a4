"""A pump's life in a body, simulated: its events, its picture and its files. Here the truth is shown by design."""
