"""How well a detector finds, explains and names the faults of labelled worlds, beside two rules that others use."""
