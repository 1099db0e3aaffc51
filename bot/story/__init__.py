"""What a story is: its article, its fact table, the drafting of a table, the library of stories."""
