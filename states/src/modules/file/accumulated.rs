//! `file.accumulated`: texts gathered for a later `file.blockreplace` or template of the same file.

use indexmap::IndexMap;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::modules::args::Args;
use crate::value::Value;

pub(crate) const ARGS: &[&str] = &["filename", "text"];

/// Texts by file and accumulator; a run's memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accumulators(IndexMap<String, IndexMap<String, Accumulator>>);

#[derive(Debug, Clone, Default)]
struct Accumulator {
    texts: Vec<Value>,
    /// Ids and names of the states that wait for it.
    awaited_by: Vec<String>,
}

impl Accumulators {
    /// What was gathered for a file, as templates see it: a list for each accumulator.
    pub(crate) fn of_file(&self, file: &str) -> Option<Value> {
        let lists = self.0.get(file)?.iter().map(|(name, a)| (name.clone(), Value::List(a.texts.clone())));
        Some(Value::Map(lists.collect()))
    }

    /// The texts for one state: of the accumulators that name it, else of all of the file's.
    pub(crate) fn for_state(&self, file: &str, id: &str) -> Vec<Value> {
        let Some(all) = self.0.get(file) else { return Vec::new() };
        let named: Vec<&Accumulator> =
            all.values().filter(|a| a.awaited_by.iter().any(|by| by == id)).collect();
        let chosen = if named.is_empty() { all.values().collect() } else { named };
        chosen.into_iter().flat_map(|a| a.texts.iter().cloned()).collect()
    }

    fn charge(&mut self, want: &Want) {
        let of_file = self.0.entry(want.file.clone()).or_default();
        let own = of_file.entry(want.name.clone()).or_default();
        own.awaited_by.extend(want.awaited_by.iter().cloned());
        for text in &want.texts {
            if !own.texts.contains(text) {
                own.texts.push(text.clone());
            }
        }
    }
}

/// The declaration.
pub(crate) struct Want {
    name: String,
    file: String,
    texts: Vec<Value>,
    awaited_by: Vec<String>,
}

/// `file.accumulated`.
pub(crate) struct Accumulated;

impl StateFn for Accumulated {
    type Want = Want;
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let file = args.text("filename")?;
        let file =
            file.ok_or_else(|| Failure::declaration("`filename` is missing: the file to gather for"))?;
        let texts = match args.get("text") {
            None => return Err(Failure::declaration("`text` is missing: what to gather")),
            Some(Value::List(texts)) => texts.clone(),
            Some(one) => vec![one.clone()],
        };
        let awaited_by = awaited_by(args);
        if awaited_by.is_empty() {
            return Err(Failure::declaration(
                "nothing waits for these texts; name the state that takes them in require_in or watch_in",
            ));
        }
        Ok(Want { name: call.chunk.name.clone(), file, texts, awaited_by })
    }

    /// Remembers the texts, in test mode too: they change nothing but this run's own memory.
    fn observe(want: &Want, call: &Call<'_>) -> Result<(), Failure> {
        call.facts.accumulators.borrow_mut().charge(want);
        Ok(())
    }

    fn diff(want: &Want, (): &()) -> Diff<()> {
        Diff::Same(format!("{} texts are kept for {}", want.texts.len(), want.file))
    }

    fn apply(want: &Want, (): (), _: &Call<'_>) -> Result<Applied, Failure> {
        Ok(Applied::done(format!("Texts are kept for {}", want.file)))
    }
}

/// The file states that `require_in` and `watch_in` name.
fn awaited_by(args: &Args<'_>) -> Vec<String> {
    let lists = ["require_in", "watch_in"].into_iter().filter_map(|key| args.get(key)?.as_list());
    let maps = lists.flatten().filter_map(Value::as_map);
    maps.filter_map(|map| map.get("file")?.as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(name: &str, text: &str, by: &str) -> Want {
        let texts = vec![Value::Str(text.into())];
        Want { name: name.into(), file: "/f".into(), texts, awaited_by: vec![by.into()] }
    }

    #[test]
    fn texts_go_to_the_state_that_waits_for_them() {
        let mut all = Accumulators::default();
        for (name, text, by) in [("a", "1", "x"), ("b", "2", "y"), ("a", "1", "x"), ("a", "3", "x")] {
            all.charge(&want(name, text, by));
        }
        let texts = |id| {
            let texts = all.for_state("/f", id).into_iter();
            texts.map(|t| t.as_str().unwrap_or_default().to_owned()).collect::<String>()
        };
        assert_eq!((texts("x").as_str(), texts("y").as_str(), texts("z").as_str()), ("13", "2", "132"));
        assert_eq!(all.for_state("/other", "x"), []);
    }
}
