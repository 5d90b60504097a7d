//! Objects as trees: codecs, patches, field ownership.
