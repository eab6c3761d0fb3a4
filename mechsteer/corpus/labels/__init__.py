"""Labels that are any column of a table: topics, tones, sets that overlap."""
