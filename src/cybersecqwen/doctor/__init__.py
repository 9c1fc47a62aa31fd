"""What a machine can do and what it lacks: hardware, memory, extras, programs, feeds and ports."""
