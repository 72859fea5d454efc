//! The text of apt's sources, one-line and deb822, pure.

/// A repository: one kind, one place, one suite.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Repo {
    pub(crate) kind: String,
    /// `arch=amd64`, `signed-by=…`, in order.
    pub(crate) options: Vec<(String, String)>,
    pub(crate) uri: String,
    pub(crate) suite: String,
    pub(crate) comps: Vec<String>,
    pub(crate) disabled: bool,
    pub(crate) comment: String,
}

impl Repo {
    /// From a line of sources.list(5); `None` for what is no repository.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (line, disabled) =
            line.strip_prefix('#').map_or((line, false), |l| (l.trim_start_matches(['#', ' ']), true));
        let (kind, rest) = line.split_once(char::is_whitespace)?;
        if !matches!(kind, "deb" | "deb-src") {
            return None;
        }
        let (options, rest) = match rest.trim_start().strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => ("", rest),
        };
        let (rest, comment) = rest.split_once(" #").map_or((rest, ""), |(r, c)| (r, c.trim()));
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (uri, suite) = (words.next()?, words.next()?);
        let comps: Vec<String> = words.collect();
        let has_place = uri.contains(':');
        has_place.then(|| Self {
            kind: kind.to_owned(),
            options: options.split_whitespace().filter_map(option).collect(),
            uri,
            suite,
            comps,
            disabled,
            comment: comment.to_owned(),
        })
    }

    pub(crate) fn line(&self) -> String {
        let off = if self.disabled { "# " } else { "" };
        let options: Vec<String> = self.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(" ")) };
        let comps: String = self.comps.iter().map(|c| format!(" {c}")).collect();
        let comment = if self.comment.is_empty() { String::new() } else { format!(" # {}", self.comment) };
        format!("{off}{}{options} {} {}{comps}{comment}", self.kind, self.uri, self.suite)
    }

    pub(crate) fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str())
    }

    fn architectures(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.option("arch").into_iter().flat_map(|a| a.split(',')).collect();
        all.sort_unstable();
        all
    }

    /// The same repository, perhaps with other components and options.
    pub(crate) fn same_place(&self, other: &Repo) -> bool {
        self.kind == other.kind
            && self.suite == other.suite
            && self.uri.trim_end_matches('/') == other.uri.trim_end_matches('/')
    }

    /// The same in everything that apt looks at.
    pub(crate) fn same(&self, other: &Repo) -> bool {
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        let rest = |r: &Repo| {
            let mut all: Vec<(String, String)> =
                r.options.iter().filter(|(k, _)| k != "arch").cloned().collect();
            all.sort();
            all
        };
        self.same_place(other)
            && sorted(&self.comps) == sorted(&other.comps)
            && self.architectures() == other.architectures()
            && rest(self) == rest(other)
            && self.disabled == other.disabled
    }
}

fn option(word: &str) -> Option<(String, String)> {
    let (key, value) = word.split_once('=')?;
    Some((key.to_lowercase(), value.to_owned()))
}

/// deb822's names of what one-line sources have as options.
const FIELDS: &[(&str, &str)] =
    &[("arch", "Architectures"), ("signed-by", "Signed-By"), ("trusted", "Trusted"), ("lang", "Languages")];

/// One stanza of a `.sources` file, field by field; a field may go on over indented lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stanza(Vec<(String, String)>);

impl Stanza {
    fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            match (line.starts_with([' ', '\t']), line.split_once(':')) {
                (true, _) => fields.last_mut().into_iter().for_each(|(_, v)| *v = format!("{v}\n{line}")),
                (false, Some((key, value))) => fields.push((key.trim().to_owned(), value.trim().to_owned())),
                (false, None) => {}
            }
        }
        Self(fields)
    }

    fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map_or("", |(_, v)| v.as_str())
    }

    fn words(&self, key: &str) -> Vec<String> {
        self.get(key).split_whitespace().map(str::to_owned).collect()
    }

    fn set(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(key)) {
            Some((_, now)) => value.clone_into(now),
            None => self.0.push((key.to_owned(), value.to_owned())),
        }
        self.0.retain(|(k, v)| !k.eq_ignore_ascii_case(key) || !v.is_empty());
    }

    /// Every repository that the stanza stands for.
    fn repos(&self) -> Vec<Repo> {
        let field = |(key, name): &(&str, &str)| {
            let value = self.words(name).join(if *key == "arch" { "," } else { " " });
            (!value.is_empty()).then(|| ((*key).to_owned(), value))
        };
        let options: Vec<(String, String)> = FIELDS.iter().filter_map(field).collect();
        let mut all = Vec::new();
        for kind in self.words("Types") {
            for uri in self.words("URIs") {
                for suite in self.words("Suites") {
                    all.push(Repo {
                        kind: kind.clone(),
                        options: options.clone(),
                        uri: uri.clone(),
                        suite,
                        comps: self.words("Components"),
                        disabled: self.get("Enabled").eq_ignore_ascii_case("no"),
                        comment: String::new(),
                    });
                }
            }
        }
        all
    }

    /// A stanza for one repository.
    fn of(repo: &Repo) -> Self {
        let mut stanza = Self(Vec::new());
        stanza.set("Types", &repo.kind);
        stanza.set("URIs", &repo.uri);
        stanza.set("Suites", &repo.suite);
        stanza.take(repo);
        stanza
    }

    /// Take over all but the place.
    fn take(&mut self, repo: &Repo) {
        self.set("Components", &repo.comps.join(" "));
        for (key, name) in FIELDS {
            let value = repo.option(key).unwrap_or_default();
            let value = if *key == "arch" { value.replace(',', " ") } else { value.to_owned() };
            if self.words(name).join(" ") != value {
                self.set(name, &value);
            }
        }
        self.set("Enabled", if repo.disabled { "no" } else { "" });
    }

    fn render(&self) -> String {
        self.0
            .iter()
            .map(|(k, v)| if v.starts_with('\n') { format!("{k}:{v}\n") } else { format!("{k}: {v}\n") })
            .collect()
    }
}

/// A file of sources, in its own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sources {
    /// Lines, as they are.
    Lines(Vec<String>),
    /// Stanzas, each with its text as it is.
    Stanzas(Vec<String>),
}

impl Sources {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        match name.ends_with(".sources") {
            false => Sources::Lines(text.lines().map(str::to_owned).collect()),
            true => {
                let parts = text.split("\n\n").map(|p| p.trim_matches('\n')).filter(|p| !p.is_empty());
                Sources::Stanzas(parts.map(|p| format!("{p}\n")).collect())
            }
        }
    }

    pub(crate) fn render(&self) -> String {
        match self {
            Sources::Lines(lines) => lines.iter().map(|l| format!("{l}\n")).collect(),
            Sources::Stanzas(all) => all.join("\n"),
        }
    }

    /// Every repository in it.
    pub(crate) fn repos(&self) -> Vec<Repo> {
        match self {
            Sources::Lines(lines) => lines.iter().filter_map(|l| Repo::parse(l)).collect(),
            Sources::Stanzas(all) => all.iter().flat_map(|s| Stanza::parse(s).repos()).collect(),
        }
    }

    pub(crate) fn add(&mut self, repo: &Repo) {
        match self {
            Sources::Lines(lines) => lines.push(repo.line()),
            Sources::Stanzas(all) => all.push(Stanza::of(repo).render()),
        }
    }

    /// Put the repository where the one of the same place is; another of that place goes.
    pub(crate) fn replace(&mut self, repo: &Repo) {
        let mut placed = false;
        match self {
            Sources::Lines(lines) => lines.retain_mut(|line| {
                if !Repo::parse(line).is_some_and(|r| r.same_place(repo)) {
                    return true;
                }
                *line = repo.line();
                !std::mem::replace(&mut placed, true)
            }),
            Sources::Stanzas(all) => {
                let (mut kept, mut apart) = (Vec::new(), None);
                for text in all.iter() {
                    let mut stanza = Stanza::parse(text);
                    let mine = stanza.repos();
                    match mine.iter().any(|r| r.same_place(repo)) {
                        false => kept.push(text.clone()),
                        true if mine.len() == 1 => {
                            stanza.take(repo);
                            kept.push(stanza.render());
                            placed = true;
                        }
                        // Its neighbours of the stanza stay as they are.
                        true => {
                            kept.extend(without(&stanza, repo));
                            apart = Some(Stanza::of(repo).render());
                        }
                    }
                }
                kept.extend(apart.filter(|_| !placed));
                *all = kept;
            }
        }
    }

    /// Take away the repository.
    pub(crate) fn remove(&mut self, repo: &Repo) {
        match self {
            Sources::Lines(lines) => lines.retain(|l| !Repo::parse(l).is_some_and(|r| r.same_place(repo))),
            Sources::Stanzas(all) => {
                let kept = all.iter().flat_map(|text| {
                    let stanza = Stanza::parse(text);
                    match stanza.repos().iter().any(|r| r.same_place(repo)) {
                        false => vec![text.clone()],
                        true => without(&stanza, repo),
                    }
                });
                *all = kept.collect();
            }
        }
    }
}

/// What a stanza is without one of its repositories: its other suites, else its others one by one.
fn without(stanza: &Stanza, repo: &Repo) -> Vec<String> {
    let others: Vec<Repo> = stanza.repos().into_iter().filter(|r| !r.same_place(repo)).collect();
    let lone = stanza.words("Types").len() == 1 && stanza.words("URIs").len() == 1;
    match (others.is_empty(), lone) {
        (true, _) => Vec::new(),
        (false, true) => {
            let mut rest = stanza.clone();
            let suites: Vec<String> = others.iter().map(|r| r.suite.clone()).collect();
            rest.set("Suites", &suites.join(" "));
            vec![rest.render()]
        }
        (false, false) => others.iter().map(|r| Stanza::of(r).render()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written() {
        let line = "deb [arch=amd64,arm64 signed-by=/k.gpg] https://x.org/apt stable main contrib";
        let repo = Repo::parse(line).unwrap();
        assert_eq!(repo.line(), line);
        assert_eq!((repo.option("signed-by"), repo.comps.len()), (Some("/k.gpg"), 2));
        let off = Repo::parse("# deb http://x.org/ stable main # why").unwrap();
        assert!(off.disabled && off.comment == "why" && off.uri == "http://x.org/");
        for other in ["", "# a comment", "deb x", "# deb is good and nice", "rpm http://x y"] {
            assert_eq!(Repo::parse(other), None, "{other}");
        }
    }

    #[test]
    fn order_and_a_slash_make_no_difference() {
        let a = Repo::parse("deb [arch=a,b trusted=yes] http://x/ s main extra").unwrap();
        let b = Repo::parse("deb [trusted=yes arch=b,a] http://x s extra main").unwrap();
        assert!(a.same(&b) && a.same_place(&b));
        assert!(!a.same(&Repo::parse("deb [trusted=yes] http://x s extra main").unwrap()));
    }

    const STANZAS: &str = "# ours\nTypes: deb\nURIs: http://x\nSuites: a b\nComponents: main\nSigned-By: /k\n\n\
                           Types: deb deb-src\nURIs: http://y\nSuites: c\nComponents: main\n";

    #[test]
    fn stanzas_stand_for_all_their_repositories() {
        let mut sources = Sources::parse("x.sources", STANZAS);
        assert_eq!(sources.render(), STANZAS);
        assert_eq!(sources.repos().len(), 4);
        let mut repo = Repo::parse("deb [signed-by=/k] http://x a main").unwrap();
        assert!(sources.repos()[0].same(&repo));
        sources.remove(&repo);
        assert_eq!(sources.repos().iter().filter(|r| r.uri == "http://x").count(), 1);
        repo.comps.push("more".to_owned());
        sources.add(&repo);
        assert!(
            sources
                .render()
                .ends_with("\nTypes: deb\nURIs: http://x\nSuites: a\nComponents: main more\nSigned-By: /k\n")
        );
        let src = Repo::parse("deb-src http://y c other").unwrap();
        sources.replace(&src);
        assert_eq!(sources.repos().iter().filter(|r| r.same_place(&src)).count(), 1);
        assert!(sources.repos().iter().any(|r| r.same(&src)));
    }

    #[test]
    fn a_line_is_replaced_where_it_stands() {
        let mut sources =
            Sources::parse("x.list", "deb http://a s main\n# note\ndeb http://b s main\ndeb http://a/ s x\n");
        sources.replace(&Repo::parse("deb http://a s main extra").unwrap());
        assert_eq!(sources.render(), "deb http://a s main extra\n# note\ndeb http://b s main\n");
    }
}
