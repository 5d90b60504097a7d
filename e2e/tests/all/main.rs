//! The tests that need a running server, in one program.

mod kubectl;
