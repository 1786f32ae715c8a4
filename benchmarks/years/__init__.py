"""A pump that lives for years in virtual time, and the slow simulations it is held against: the parts of world.py."""
