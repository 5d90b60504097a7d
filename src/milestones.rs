//! What a start has reached, a line each, with the time that it took so far.

use std::time::Instant;

#[derive(Clone, Copy)]
pub struct Milestones(Instant);

impl Milestones {
    pub fn begin() -> Milestones {
        Milestones(Instant::now())
    }

    pub fn say(&self, milestone: &str) {
        println!("[{:>6.3}s] {milestone}", self.0.elapsed().as_secs_f64());
    }
}
