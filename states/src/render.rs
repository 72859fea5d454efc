//! Text to text and text to data: the renderers that a file names, and templates at apply time.

use crate::error::Error;
use crate::minion::Minion;
use crate::session::Functions;
use crate::tree::Tree;
use crate::value::Map;

/// What a template sees when the engine renders one (`file.managed` with `template: jinja`).
#[derive(Clone, Copy)]
pub struct TemplateContext<'a> {
    /// Where `import` and `include` look.
    pub tree: &'a Tree,
    /// Grains and id.
    pub minion: &'a Minion,
    /// The compiled pillar ([`crate::low::LowState::pillar`]).
    pub pillar: &'a Map,
    /// Functions of the machine.
    pub functions: &'a dyn Functions,
    /// The environment (`base`).
    pub saltenv: &'a str,
    /// The SLS of the step (`__sls__`), for the variable `sls`.
    pub sls: &'a str,
    /// `defaults` of the step with `context` over them: extra variables.
    pub context: &'a Map,
}

/// Renders a Jinja template as Salt's `file.managed` does.
///
/// `name` is the path relative to its file root (`web/files/app.conf`), used in errors and as `tplfile`.
///
/// # Errors
/// The first fault of the template, with `name:line:column`.
pub fn template(source: &str, name: &str, ctx: &TemplateContext<'_>) -> Result<String, Error> {
    let _ = (source, ctx);
    Err(Error::new(crate::error::Fault::Renderer(name.to_owned())))
}
