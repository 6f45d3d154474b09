"""How fast the service is, beside the plain way to write one and beside the limits of what it is made of."""
