"""Factories: from declarations to Dagster assets, checks, jobs and schedules."""
