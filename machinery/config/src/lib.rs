//! Flags, configuration files and feature gates, decoded strictly.
