//! The text of `.repo` files, as dnf, yum and zypper read them; pure. Lines that nobody asks to change stay.

/// The lines of a section, without its head.
type Range = std::ops::Range<usize>;

/// A `.repo` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepoFile(Vec<String>);

impl RepoFile {
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }

    pub(crate) fn render(&self) -> String {
        self.0.iter().map(|l| format!("{l}\n")).collect()
    }

    /// Names of all repositories in it.
    pub(crate) fn repos(&self) -> Vec<&str> {
        self.0.iter().filter_map(|l| head(l)).collect()
    }

    /// The value of an option; one over several lines has them all.
    pub(crate) fn get(&self, repo: &str, key: &str) -> Option<String> {
        let at = self.option(&self.section(repo)?, key)?;
        let lines = self.0.get(at)?;
        let (_, first) = lines.first()?.split_once(['=', ':'])?;
        let more = lines.iter().skip(1).map(|l| l.trim());
        Some(std::iter::once(first.trim()).chain(more).collect::<Vec<_>>().join("\n"))
    }

    /// Comments of a repository, without their marks.
    pub(crate) fn comments(&self, repo: &str) -> Vec<String> {
        let lines = self.section(repo).and_then(|at| self.0.get(at)).unwrap_or_default();
        lines.iter().filter_map(|l| l.strip_prefix('#')).map(|l| l.trim().to_owned()).collect()
    }

    /// Set an option, or take it away. A new one is written behind the others.
    pub(crate) fn set(&mut self, repo: &str, key: &str, value: Option<&str>) {
        let section = self.section_or_new(repo);
        let lines = value.map(|v| format!("{key}={}", v.replace('\n', "\n ")));
        let lines: Vec<String> = lines.iter().flat_map(|l| l.lines()).map(str::to_owned).collect();
        let at = self.option(&section, key).unwrap_or_else(|| {
            let end = self.end(&section);
            end..end
        });
        self.0.splice(at, lines);
    }

    /// Write these comments in place of those that are there.
    pub(crate) fn comment(&mut self, repo: &str, comments: &[String]) {
        let section = self.section_or_new(repo);
        let mut kept: Vec<String> = self.0.get(section.clone()).unwrap_or_default().to_vec();
        kept.retain(|l| !l.starts_with('#'));
        let end = kept.iter().rposition(|l| !l.trim().is_empty()).map_or(0, |at| at + 1);
        kept.splice(end..end, comments.iter().map(|c| format!("# {c}")));
        self.0.splice(section, kept);
    }

    /// Take away a repository.
    pub(crate) fn remove(&mut self, repo: &str) {
        if let Some(section) = self.section(repo) {
            self.0.drain(section.start - 1..section.end);
        }
    }

    fn section(&self, repo: &str) -> Option<Range> {
        let start = self.0.iter().position(|l| head(l) == Some(repo))? + 1;
        let length = self.0.iter().skip(start).position(|l| head(l).is_some());
        Some(start..length.map_or(self.0.len(), |length| start + length))
    }

    fn section_or_new(&mut self, repo: &str) -> Range {
        if let Some(section) = self.section(repo) {
            return section;
        }
        if self.0.last().is_some_and(|l| !l.trim().is_empty()) {
            self.0.push(String::new());
        }
        self.0.push(format!("[{repo}]"));
        self.0.len()..self.0.len()
    }

    /// The line of an option and those that go on with it.
    fn option(&self, section: &Range, key: &str) -> Option<Range> {
        let lines = self.0.get(section.clone())?;
        let is = |l: &String| {
            let plain = !l.starts_with(['#', ';', ' ', '\t']);
            l.split_once(['=', ':']).is_some_and(|(k, _)| plain && k.trim().eq_ignore_ascii_case(key))
        };
        let first = lines.iter().position(is)?;
        let more =
            lines.iter().skip(first + 1).take_while(|l| l.starts_with([' ', '\t']) && !l.trim().is_empty());
        let first = section.start + first;
        Some(first..first + 1 + more.count())
    }

    /// Behind the last option or comment of a section.
    fn end(&self, section: &Range) -> usize {
        let lines = self.0.get(section.clone()).unwrap_or_default();
        section.start + lines.iter().rposition(|l| !l.trim().is_empty()).map_or(0, |at| at + 1)
    }
}

fn head(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# head\n[a]\nname = A\nbaseurl=http://a\n\thttp://b\nenabled=1\n\n[b]\nname=B\n# note\n";

    #[test]
    fn what_nobody_asks_to_change_stays() {
        let mut file = RepoFile::parse(TEXT);
        assert_eq!(file.render(), TEXT);
        assert_eq!(file.repos(), ["a", "b"]);
        assert_eq!(file.get("a", "baseurl").as_deref(), Some("http://a\nhttp://b"));
        assert_eq!((file.get("b", "baseurl"), file.get("c", "name")), (None, None));
        file.set("a", "baseurl", None);
        file.set("a", "metalink", Some("http://m"));
        file.set("a", "enabled", Some("0"));
        file.set("b", "gpgkey", Some("k1\nk2"));
        file.comment("b", &["other".to_owned()]);
        file.set("c", "name", Some("C"));
        assert_eq!(
            file.render(),
            "# head\n[a]\nname = A\nenabled=0\nmetalink=http://m\n\n[b]\nname=B\ngpgkey=k1\n k2\n# other\n\n[c]\nname=C\n"
        );
        assert_eq!(file.comments("b"), ["other"]);
        file.remove("b");
        assert_eq!(file.repos(), ["a", "c"]);
    }
}
