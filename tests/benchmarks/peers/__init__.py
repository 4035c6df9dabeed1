"""Who is measured: a module for each kind of library, imported only where that is installed."""
