//! Custom resources: structural schemas compiled, enforced and published.
