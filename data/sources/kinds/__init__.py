"""One file for each kind of source; its `KIND` is all that the registry looks for."""
