"""The daily quality report: made from the ten metrics, mailed once."""
