//! Tasks, clock, randomness, health, metrics and logs.
