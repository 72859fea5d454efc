//! `pkg.list_repos` and `pkg.get_repo`: where apt fetches packages.

use super::asked::{Asked, text};
use super::{Answer, Table, list, map, string};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[("pkg.get_repo", get_repo), ("pkg.list_repos", list_repos)];

/// One source of packages.
#[derive(Debug, Clone, Default, PartialEq)]
struct Source {
    file: String,
    line: Option<String>,
    disabled: bool,
    types: Vec<String>,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    architectures: Vec<String>,
    signed_by: String,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Source {
    /// A line such as `deb [signed-by=…] https://… stable main`, or the same behind a `#`.
    fn of_line(line: &str, file: &str) -> Option<Self> {
        let trimmed = line.trim();
        let disabled = trimmed.starts_with('#');
        let entry = trimmed.trim_start_matches('#').trim();
        let entry = entry.split_once('#').map_or(entry, |(entry, _)| entry.trim());
        let (kind, rest) =
            entry.split_once(char::is_whitespace).filter(|(k, _)| ["deb", "deb-src"].contains(k))?;
        let (options, rest) = match rest.trim().strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut rest = rest.split_whitespace().map(str::to_owned);
        let (uri, suite) = (rest.next()?, rest.next()?);
        let option =
            |name: &str| options.split_whitespace().find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
        Some(Self {
            file: file.to_owned(),
            line: Some(trimmed.to_owned()),
            disabled,
            types: vec![kind.to_owned()],
            uris: vec![uri],
            suites: vec![suite],
            components: rest.collect(),
            architectures: option("arch")
                .map(|a| a.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            signed_by: option("signed-by").unwrap_or_default().to_owned(),
        })
    }

    /// A paragraph of a `.sources` file.
    fn of_paragraph(paragraph: &str, file: &str) -> Option<Self> {
        let lines = paragraph.lines().filter(|l| !l.starts_with('#'));
        let fields: Map = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(k, v)| (k.trim().to_lowercase(), string(v.trim())))
            .collect();
        let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let source = Self {
            file: file.to_owned(),
            line: None,
            disabled: field("enabled").eq_ignore_ascii_case("no"),
            types: words(field("types")),
            uris: words(field("uris")),
            suites: words(field("suites")),
            components: words(field("components")),
            architectures: words(field("architectures")),
            signed_by: field("signed-by").to_owned(),
        };
        (!source.types.is_empty() && !source.uris.is_empty()).then_some(source)
    }

    /// The source as a line of the older form.
    fn as_line(&self, kind: &str, uri: &str, suite: &str) -> String {
        let mut options = Vec::new();
        if !self.architectures.is_empty() {
            options.push(format!("arch={}", self.architectures.join(",")));
        }
        if !self.signed_by.is_empty() {
            options.push(format!("signed-by={}", self.signed_by));
        }
        let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(" ")) };
        let off = if self.disabled { "# " } else { "" };
        format!("{off}{kind}{options} {uri} {suite} {}", self.components.join(" ")).trim_end().to_owned()
    }

    /// One entry for every address, suite and type.
    fn entries(&self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for uri in &self.uris {
            for suite in &self.suites {
                all.extend(self.types.iter().map(|kind| (uri.clone(), self.entry(kind, uri, suite))));
            }
        }
        all
    }

    fn entry(&self, kind: &str, uri: &str, suite: &str) -> Value {
        let line = self.line.clone().unwrap_or_else(|| self.as_line(kind, uri, suite));
        map([
            ("file", string(&*self.file)),
            ("comps", list(self.components.clone())),
            ("disabled", Value::Bool(self.disabled)),
            ("enabled", Value::Bool(!self.disabled)),
            ("dist", string(suite)),
            ("suites", list(self.suites.clone())),
            ("type", string(kind)),
            ("types", list(self.types.clone())),
            ("uri", string(uri)),
            ("uris", list(self.uris.clone())),
            ("line", string(line)),
            ("architectures", list(self.architectures.clone())),
            ("signedby", string(&*self.signed_by)),
        ])
    }
}

fn sources(asked: &Asked<'_>) -> Vec<Source> {
    let dir = "/etc/apt/sources.list.d";
    let more = asked.entries(dir).into_iter().map(|name| format!("{dir}/{name}"));
    let mut all = Vec::new();
    for file in std::iter::once("/etc/apt/sources.list".to_owned()).chain(more) {
        let text = asked.read_or_empty(&file);
        match file.ends_with(".sources") {
            true => all.extend(text.split("\n\n").filter_map(|p| Source::of_paragraph(p, &file))),
            false if file.ends_with(".list") => {
                all.extend(text.lines().filter_map(|l| Source::of_line(l, &file)));
            }
            false => {}
        }
    }
    all
}

fn list_repos(asked: &Asked<'_>) -> Answer {
    let mut all = Map::new();
    for (uri, entry) in sources(asked).iter().flat_map(Source::entries) {
        if let Value::List(entries) = all.entry(uri).or_insert_with(|| Value::List(Vec::new())) {
            entries.push(entry);
        }
    }
    Ok(Value::Map(all))
}

/// The entry of the same type, address and suite that has one of the components.
fn get_repo(asked: &Asked<'_>) -> Answer {
    let repo = text("repo", asked.args.first().or_else(|| asked.kwargs.get("repo")))?;
    if repo.starts_with("ppa:") {
        return Err("a `ppa:` is not supported in a template; name its line instead".to_owned());
    }
    let Some(wanted) = Source::of_line(&repo, "") else { return Ok(Value::Map(Map::new())) };
    let same = |uri: &str| wanted.uris.iter().any(|w| w.trim_end_matches('/') == uri.trim_end_matches('/'));
    for source in sources(asked) {
        let fits =
            wanted.components.is_empty() || wanted.components.iter().any(|c| source.components.contains(c));
        for uri in source.uris.iter().filter(|uri| fits && same(uri)) {
            let types = source.types.iter().find(|kind| wanted.types.contains(kind));
            let suite = source.suites.iter().find(|suite| wanted.suites.contains(suite));
            if let (Some(kind), Some(suite)) = (types, suite) {
                return Ok(source.entry(kind, uri, suite));
            }
        }
    }
    Ok(Value::Map(Map::new()))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    fn bench() -> Bench {
        Bench::new(&[
            (
                "/etc/apt/sources.list",
                "# a comment of ours\ndeb [arch=amd64 signed-by=/k.gpg] http://a/ stable main extra\n#deb http://b old main\n",
            ),
            (
                "/etc/apt/sources.list.d/c.sources",
                "Types: deb\nURIs: http://c\nSuites: one two\nComponents: main\nSigned-By: /c.gpg\n",
            ),
        ])
    }

    #[test]
    fn both_forms_are_read() {
        let all = bench().json("pkg.list_repos", &[]);
        assert!(
            all.contains("\"line\":\"deb [arch=amd64 signed-by=/k.gpg] http://a/ stable main extra\""),
            "{all}"
        );
        assert!(all.contains("\"disabled\":true,\"enabled\":false,\"dist\":\"old\""), "{all}");
        assert!(all.contains("\"line\":\"deb [signed-by=/c.gpg] http://c two main\""), "{all}");
        assert!(!all.contains("comment"), "{all}");
    }

    #[test]
    fn a_repository_is_found_by_its_line() {
        let bench = bench();
        assert!(bench.json("pkg.get_repo", &["deb http://a stable extra"]).contains("\"dist\":\"stable\""));
        assert_eq!(bench.json("pkg.get_repo", &["deb http://a stable other"]), "{}");
        assert_eq!(bench.json("pkg.get_repo", &["nonsense"]), "{}");
    }
}
