"""Kills, freezes and floods of a real stack, and the count that shows that nothing was lost."""
