"""Generated arrays into pictures and sounds."""
