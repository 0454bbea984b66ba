"""What others serve predictions with."""
