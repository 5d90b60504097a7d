//! How large the request is in which etcd gets an object. Unless it is told otherwise, etcd takes a megabyte and a half. The
//! embedded engine could take more, but gets no more: clients are answered alike, and its objects can move to an etcd.

use corten_object::tree::Tree;
use corten_store::{Encoding, Error, Expect};

use crate::object::Draft;
use crate::resource::Storage;

/// What etcd writes into its log for one request.
const LOGGED_MAX: usize = 3 << 19;
/// An object of so many bytes whose status repeats them, as a definition's does with its names, is too large with it.
pub const HALF: usize = LOGGED_MAX / 2;
/// What upstream's client sends, which has something to spare for the frame around it.
const SENT_MAX: usize = 2 << 20;
/// What etcd adds to a request in its log: a number of its own, and who asks.
const LOGGED_MORE: usize = 18;

/// Whether etcd would take an object of which the embedded engine is given so many bytes of JSON.
pub fn check(storage: &Storage, tree: &Tree, draft: &Draft, json: usize, expect: Expect) -> Result<(), Error> {
    // Protobuf is rarely longer than JSON, and never twice as long.
    if json < HALF {
        return Ok(());
    }
    let value = storage.encode(tree, draft, Encoding::Protobuf).len();
    let sent = sent(storage.store_key(&draft.key).len(), value, expect);
    if sent > SENT_MAX {
        let what = "trying to send message larger than max";
        return Err(Error::TooLarge(format!(
            "rpc error: code = ResourceExhausted desc = {what} ({sent} vs. {SENT_MAX})"
        )));
    }
    if sent + LOGGED_MORE > LOGGED_MAX {
        return Err(Error::TooLarge("etcdserver: request is too large".to_owned()));
    }
    Ok(())
}

/// The bytes of a transaction that puts a value if its key has been changed by nobody, and reads it otherwise.
fn sent(key: usize, value: usize, expect: Expect) -> usize {
    let (revision, reads) = match expect {
        Expect::ModRevision(revision) if revision > 0 => (revision, field(field(field(key)))),
        _ => (0, 0),
    };
    let target = 2;
    let compare = field(target + field(key) + 1 + varint(revision));
    let put = field(field(field(key) + field(value)));
    compare + put + reads
}

/// A field of so many bytes: they, their tag and their length.
fn field(bytes: usize) -> usize {
    1 + varint(bytes as u64) + bytes
}

fn varint(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_a_tag_and_a_length() {
        let check = |bytes, expected| assert_eq!(field(bytes), expected, "{bytes}");
        check(0, 2);
        check(127, 129);
        check(128, 131);
        check(16_384, 16_388);
        assert_eq!(varint(u64::MAX), 10);
    }

    /// A create compares the key's revision with 0, an update with another, and reads what is there if that differs.
    #[test]
    fn an_update_sends_more_than_a_create() {
        let (key, value) = (9, 300);
        let create = (2 + (2 + 11 + 2)) + (3 + 3 + (11 + 303));
        let check = |expect, expected| assert_eq!(sent(key, value, expect), expected, "{expect:?}");
        check(Expect::Absent, create);
        check(Expect::ModRevision(0), create);
        check(Expect::ModRevision(200), create + 1 + (2 + 2 + 11));
    }
}
