//! What a connection is doing. Its stream and its requests share this.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// It has not sent anything yet.
    New,
    /// All requests are answered.
    Idle,
    /// The head of a request is not complete.
    Head,
    /// A request is not answered yet.
    Request,
    /// It is a WebSocket now.
    Upgraded,
}

/// The stage of one connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SharedStage(Arc<AtomicU8>);

impl SharedStage {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(Stage::New as u8)))
    }

    pub(super) fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Stage {
        let stages = [Stage::New, Stage::Idle, Stage::Head, Stage::Request, Stage::Upgraded];
        stages[usize::from(self.0.load(Ordering::Relaxed))]
    }

    /// Records that bytes have arrived; returns whether they begin a request.
    pub(super) fn receive(&self) -> bool {
        let begins = matches!(self.get(), Stage::New | Stage::Idle);
        if begins {
            self.set(Stage::Head);
        }
        begins
    }
}
