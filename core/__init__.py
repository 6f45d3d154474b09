"""What every program agrees on: events, settings, errors, queue, journal, warehouse. It imports no other folder."""
