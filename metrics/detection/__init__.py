"""Finds degraded channels minute by minute, from counts and never from ratios; explains them, names them, remembers them."""
