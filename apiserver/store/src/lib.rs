//! Ordered, durable keys: the storage contract and its engines.
