"""All that touches private names of Ray, uvicorn or HAProxy's configuration."""
