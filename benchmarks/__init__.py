"""What speed claims rest on; see README.md."""
