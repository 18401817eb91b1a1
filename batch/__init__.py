"""How models are made: the nightly Spark job, from Kafka's log to `@champion`."""
