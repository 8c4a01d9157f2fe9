"""The executables: one thin module per stage that parses options and calls the library."""
