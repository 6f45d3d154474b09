"""The ten metrics as declarations, and the one function that asks the warehouse for them: SQL inside, pandas out."""
