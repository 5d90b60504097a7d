//! The one place where this crate starts something that runs by itself.

use std::io;
use std::thread::{self, JoinHandle};

/// A thread for work that blocks: writing to the disk.
pub(crate) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// A task that ends by itself when its store is closed.
pub(crate) fn task(name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        work.await;
        tracing::debug!(task = name, "ended");
    });
}
