//! Behaviour through the real API.
