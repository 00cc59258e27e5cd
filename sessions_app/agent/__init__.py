"""Agents that run on Gander: turns, their events, the loop that runs them. No provider is imported before a turn."""
