"""Files as bytes, lines and rows of columns, whatever they mean."""
