"""What an image consists of and what changed between two, as plain data; and that data as HTML and Markdown."""
