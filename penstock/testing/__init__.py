"""What tests of a project and of the engine share: pytest plugins with real parts."""
