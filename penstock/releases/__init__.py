"""The release ledger, the artifact store, and the model cards."""
