"""What somebody without the key can do to a live mock pump that has one: the harness of forgery.py and replay.py."""
