use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// How much of something long is done, on a terminal only; gone when it is dropped.
pub(super) struct Percent {
    /// What is done with it.
    done: &'static str,
    bar: Option<ProgressBar>,
}

impl Percent {
    pub(super) fn of(done: &'static str) -> Self {
        Self { done, bar: None }
    }

    pub(super) fn show(&mut self, percent: u64) {
        if !io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| ProgressBar::new(100));
        if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {percent}% {msg}") {
            bar.set_style(style);
        }
        bar.set_message(self.done);
        bar.set_position(percent.min(100));
    }
}

impl Drop for Percent {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
