//! One suite for every engine. An engine joins by a `Fixture` and a line at the end of this file.

mod compaction;
mod concurrency;
mod expiry;
mod lifetime;
mod reads;
mod watches;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use corten_store::Store;

/// An engine under test.
pub trait Fixture: Sized + Send {
    fn start() -> impl Future<Output = Self> + Send;

    fn store(&self) -> Arc<dyn Store>;

    /// Stops the engine in order and starts it again with the same data. Afterwards `store` is to be asked again.
    fn restart(&mut self) -> impl Future<Output = ()> + Send;

    /// Lets time pass until a key with this time to live is due; real time, where the engine has its own clock.
    fn pass(&self, ttl: Duration) -> impl Future<Output = ()> + Send;

    /// Whether a watch outlives `restart`.
    const WATCH_SURVIVES: bool;
}

macro_rules! suite {
    ($engine:ident, $fixture:ty: $($module:ident { $($test:ident)* })*) => {
        mod $engine {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let fixture = <$fixture as super::super::Fixture>::start().await;
                    super::super::$module::$test(fixture).await;
                })*
            })*
        }
    };
}

macro_rules! conformance {
    ($($engine:ident: $fixture:ty;)*) => { $(suite! { $engine, $fixture:
        writes {
            puts_hold_to_what_they_expect
            deletes_hold_to_what_they_expect
            conflicts_bring_what_is_there
            revisions_rise
            lazy_writes_are_seen
            large_values
        }
        reads {
            gets_at_revisions
            ranges
            pages_of_one_revision
            keys_and_counts
        }
        watches {
            from_now
            from_the_past
            from_the_future
            spans
            deletions_bring_the_previous_value
            resumed_anywhere
            progress_on_request
            dropped
        }
        compaction {
            forgets_the_past
            ends_paging
            ends_watches
            of_wrong_revisions
        }
        expiry {
            deletes_what_is_due
            is_taken_off_by_a_put
        }
        concurrency {
            counters_lose_no_increment
            histories_are_ordered_unique_and_gapless
            watches_come_and_go
        }
        lifetime {
            restart_keeps_everything
            watch_over_a_restart
            closed_means_closed
        }
    })* };
}

conformance! {
    embedded: crate::embedded::Folder;
    etcd: crate::etcd::Server;
}
