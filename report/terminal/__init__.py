"""What a person sees in the terminal: progress, tables, and answers in lines of text."""
