"""The three ways in: command line (`cli`), HTTP API (`api`) and chat page (`chat`)."""
