"""Sessions in the forms that agents and people take away."""
