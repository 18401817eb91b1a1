"""The speed layer: one Flink job that keeps every declared feature fresh."""
