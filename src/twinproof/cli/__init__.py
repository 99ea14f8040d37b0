"""The command: one module per subcommand; builds sources, calls the library, prints, exits."""
