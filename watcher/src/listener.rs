//! Who is told what happens: one trait for what the watcher and the built-in supervisor tell.

/// Who is told of events of one kind. Called from the threads in which they happen: what takes long holds up the next
/// thing that is done to that service.
pub trait Listener<E>: Send + Sync {
    /// Something happened.
    fn event(&self, event: &E);

    /// What a command, a service or the system said, without what nobody is to read: asked before anything of it is cut,
    /// told or kept.
    fn hide(&self, text: &str) -> String {
        text.to_owned()
    }
}

impl<E, F: Fn(&E) + Send + Sync> Listener<E> for F {
    fn event(&self, event: &E) {
        self(event);
    }
}
