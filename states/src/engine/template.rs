//! The template engine of the state language, as the engine asks for it.

use crate::engine::{Render, TemplateRequest};
use crate::minion::Minion;
use crate::render::{self, TemplateContext};
use crate::session::Functions;
use crate::tree::Tree;

/// Renders templates of `file.managed` with the same Jinja that renders the SLS files.
pub struct Jinja<'a> {
    /// Where `import` and `include` look.
    pub tree: &'a Tree,
    /// Grains and id.
    pub minion: &'a Minion,
    /// Functions of the machine.
    pub functions: &'a dyn Functions,
}

impl Render for Jinja<'_> {
    fn template(&self, request: &TemplateRequest<'_>) -> Result<String, String> {
        let chunk = request.chunk;
        let context = TemplateContext {
            tree: self.tree,
            minion: self.minion,
            pillar: request.pillar,
            functions: self.functions,
            saltenv: if chunk.env.is_empty() { "base" } else { &chunk.env },
            sls: &chunk.sls,
            context: request.context,
        };
        render::template(request.source, request.name, &context).map_err(|e| e.to_string())
    }
}
