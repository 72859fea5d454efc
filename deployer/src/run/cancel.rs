//! Asking a run to stop: once to undo in order, twice to stop at once.

use tokio::sync::watch;

/// How much has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Go,
    Undo,
    Stop,
}

/// The side that asks.
#[derive(Debug, Clone)]
pub struct Canceller(watch::Sender<Level>);

/// The side that is asked.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<Level>);

/// A pair.
#[must_use]
pub fn channel() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(Level::Go);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Asks once more, and says whether this was the second time.
    pub fn ask(&self) -> bool {
        self.0.send_modify(|level| *level = if *level == Level::Go { Level::Undo } else { Level::Stop });
        *self.0.borrow() == Level::Stop
    }
}

impl Cancel {
    /// Whether anything was asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() > Level::Go
    }

    /// Returns once anything is asked; never when the asking side is gone.
    pub async fn asked(&self) {
        self.reached(Level::Undo).await;
    }

    /// Returns once it was asked to stop at once.
    pub async fn stop(&self) {
        self.reached(Level::Stop).await;
    }

    async fn reached(&self, level: Level) {
        let mut receiver = self.0.clone();
        let seen = receiver.wait_for(|now| *now >= level).await.is_ok();
        if !seen {
            std::future::pending::<()>().await;
        }
    }
}
