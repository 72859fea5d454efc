//! Starts guardians from one thread that never ends: the death signal of a child follows the thread that made it.
// Effects: processes.
#![allow(clippy::disallowed_methods)]

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::sync::oneshot;

use crate::entry;

struct Order {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// The thread; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Spawner(std::sync::mpsc::Sender<Order>);

impl Spawner {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, queue) = std::sync::mpsc::channel::<Order>();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for mut order in queue {
                let _ = order.reply.send(order.command.spawn());
            }
        })?;
        Ok(Self(orders))
    }

    /// Starts the guardian for the launch order at `spec`, with pipes for orders, status and console.
    pub(crate) async fn guardian(&self, spec: &Path) -> io::Result<Child> {
        let mut command = Command::new(entry::SELF);
        command.args([entry::MARK, entry::GUARDIAN]).arg(spec).arg(std::process::id().to_string());
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the starting thread is gone");
        self.0.send(Order { command, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
