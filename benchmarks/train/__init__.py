"""How long a monthly run takes, beside a plain script."""
