"""Everything a newcomer lacks: embedded servers, simulated providers and subscribers, the demo. Nothing imports it."""
