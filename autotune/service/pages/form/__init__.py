"""The form of a new study: fields from the schema of study files, and the file that they stand for."""
