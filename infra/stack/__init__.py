"""Starts, watches and stops the real services on one machine: Kafka, Redis, Cassandra, Flink."""
