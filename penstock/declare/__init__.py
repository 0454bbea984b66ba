"""What a project declares: tables, models, gate rules, metrics, shapes."""
