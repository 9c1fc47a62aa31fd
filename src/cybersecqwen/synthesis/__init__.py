"""Question-and-answer pairs for a defensive analyst, each with the text that it rests on."""
