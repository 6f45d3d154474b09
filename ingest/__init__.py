"""The way of events into the warehouse, from the queue and from files. It inserts, then acknowledges."""
