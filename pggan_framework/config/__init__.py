"""ClassName.param from constructor signatures, YAML and the command line: one resolved Config."""
