"""Where messages come from: the replay of a real data set, and a simulator."""
