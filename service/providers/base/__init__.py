"""What all vendors share: how one is sent to and read from (`provider`), and the words and tools that it takes."""
