"""One file per schema version; once released, a file is never changed."""
