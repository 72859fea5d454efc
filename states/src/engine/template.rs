//! The template engine of the state language, as the engine asks for it.
//!
//! All templates of a run are rendered by one thread, whose stack fits their limits; it keeps grains, pillar and imported
//! templates in the form that templates see, so that each step pays for its own template alone.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::engine::{Render, TemplateRequest};
use crate::jinja;
use crate::minion::Minion;
use crate::render::Scene;
use crate::session::Functions;
use crate::tree::Tree;
use crate::value::Map;

/// What every template of a run sees.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Where `import` and `include` look.
    pub tree: &'a Tree,
    /// Grains and id.
    pub minion: &'a Minion,
    /// The compiled pillar ([`crate::low::LowState::pillar`]).
    pub pillar: &'a Map,
    /// Functions of the machine.
    pub functions: &'a dyn Functions,
}

/// Renders templates of `file.managed` with the same Jinja that renders the SLS files. See [`with_jinja`].
pub struct Jinja {
    jobs: Sender<Job>,
}

/// A template to render, and where the text goes.
struct Job {
    source: String,
    name: String,
    saltenv: String,
    sls: String,
    context: Map,
    answer: Sender<Result<String, String>>,
}

/// Have a template engine for as long as `run` takes.
pub fn with_jinja<T>(seen: Seen<'_>, run: impl FnOnce(&Jinja) -> T) -> T {
    std::thread::scope(|scope| {
        let (jobs, todo) = channel();
        let thread = std::thread::Builder::new().name("templates".to_owned()).stack_size(jinja::STACK);
        // Without a thread the jobs have no reader, and each template says that it could not be rendered.
        let _ = thread.spawn_scoped(scope, move || work(seen, &todo));
        run(&Jinja { jobs })
    })
}

impl Render for Jinja {
    fn template(&self, request: &TemplateRequest<'_>) -> Result<String, String> {
        let chunk = request.chunk;
        let (answer, answered) = channel();
        let job = Job {
            source: request.source.to_owned(),
            name: request.name.to_owned(),
            saltenv: if chunk.env.is_empty() { "base" } else { &chunk.env }.to_owned(),
            sls: chunk.sls.clone(),
            context: request.context.clone(),
            answer,
        };
        let stopped = || format!("{}: the renderer stopped", request.name);
        self.jobs.send(job).map_err(|_| stopped())?;
        answered.recv().map_err(|_| stopped())?
    }
}

/// Render until nobody asks any more.
fn work(seen: Seen<'_>, todo: &Receiver<Job>) {
    let mut scenes = HashMap::new();
    while let Ok(job) = todo.recv() {
        let text = catch_unwind(AssertUnwindSafe(|| render(seen, &mut scenes, &job))).unwrap_or_else(|_| {
            scenes.clear();
            Err(format!("{}: the renderer stopped: an internal error, please report it", job.name))
        });
        // Whoever asked may be gone.
        let _ = job.answer.send(text);
    }
}

fn render<'a>(seen: Seen<'a>, scenes: &mut HashMap<String, Scene<'a>>, job: &Job) -> Result<String, String> {
    let new = || Scene::new(seen.tree, seen.minion, seen.functions, seen.pillar.into(), &job.saltenv, false);
    let scene = scenes.entry(job.saltenv.clone()).or_insert_with(new);
    scene.template(&job.source, &job.name, &job.sls, &job.context).map_err(|error| error.to_string())
}
