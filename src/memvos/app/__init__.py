"""The command line: everything that parses arguments, starts processes and prints for a person."""
