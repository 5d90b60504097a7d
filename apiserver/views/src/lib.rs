//! Typed, read-only views of object trees, generated from the schema tables.
