//! Signals that end an `apply`: the step at hand is ended, nothing else is begun, and the report is still printed.
// Effects: listens for signals on a thread of its own.
#![allow(clippy::disallowed_methods)]

use crate::exit::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// What has been asked by signal since [`Interrupt::listen`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    cancel: Arc<AtomicBool>,
    /// The exit code; 0 is none.
    exit: Arc<AtomicU8>,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP set the flag instead of ending the program.
    ///
    /// # Errors
    /// The system's words.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let heard = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        drop(guard);
        let told = heard.clone();
        let wait = async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                    _ = hangup.recv() => Exit::Terminated,
                };
                told.set(exit);
            }
        };
        std::thread::Builder::new()
            .name("mayfly-signals".to_owned())
            .spawn(move || runtime.block_on(wait))?;
        Ok(heard)
    }

    fn set(&self, exit: Exit) {
        self.exit.store(exit as u8, Ordering::SeqCst);
        self.cancel.store(true, Ordering::SeqCst);
    }

    /// The flag that the engine looks at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.cancel.clone()
    }

    /// How the program is to end, if it was told to.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let code = self.exit.load(Ordering::SeqCst);
        [Exit::Interrupted, Exit::Terminated].into_iter().find(|exit| *exit as u8 == code)
    }
}
