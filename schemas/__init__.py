"""The pandera shapes of what comes out of the warehouse."""
