"""When flows begin by themselves: schedules, their slots, and what becomes of slots that nobody watched.

Pure, as the model is: no store, no clock, no randomness. Time zones come from the package ``tzdata``.
"""
