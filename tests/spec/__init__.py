"""What a feature means, as small tables that run on every engine."""
