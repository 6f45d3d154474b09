"""What the scheduler does every minute: find what broke, tell it, and notice when there is nothing to look at any more."""
