"""One file per engine, behind one protocol."""
