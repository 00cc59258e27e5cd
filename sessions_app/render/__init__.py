"""Turns what an agent wrote into HTML that is safe to show: its text is hostile until proven otherwise."""
