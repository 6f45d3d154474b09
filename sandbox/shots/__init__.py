"""Photographs every page of the dashboard over a made-up past, for whoever looks at how it looks. Run by `make shots`."""
