"""The shared vocabulary: what an event is, what a feature is, and where values live."""
