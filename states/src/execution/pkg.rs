//! `pkg.*`: Debian packages, from dpkg's own files and apt's lists; of rpm and apk what is installed. Nothing
//! is fetched: `refresh` is not heard.
// Effects: looks at the files of packages below the root of the machine.
#![allow(clippy::disallowed_methods)]

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use super::asked::{Asked, flag, is_true, str_arg, text};
use super::{Answer, Table, list, map, str_of, string};
use crate::modules::packages::{Compare, Packages, apk, dpkg, rpm};
use crate::python::glob::fnmatch;
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("pkg.available_version", latest_version),
    ("pkg.file_dict", file_dict),
    ("pkg.file_list", file_list),
    ("pkg.get_selections", get_selections),
    ("pkg.info_installed", info_installed),
    ("pkg.latest_version", latest_version),
    ("pkg.list_pkgs", list_pkgs),
    ("pkg.normalize_name", normalize_name),
    ("pkg.owner", owner),
    ("pkg.parse_arch", parse_arch),
    ("pkg.upgrade_available", upgrade_available),
    ("pkg.version", version),
    ("pkg.version_cmp", version_cmp),
];

/// A paragraph of dpkg's status file.
struct Package<'t> {
    text: &'t str,
}

impl<'t> Package<'t> {
    fn field(&self, name: &str) -> Option<&'t str> {
        let value = self.text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::trim).filter(|v| !v.is_empty())
    }

    /// What is wanted and what is: `install`, `installed`.
    fn status(&self) -> (&'t str, &'t str) {
        let mut words = self.field("Status").unwrap_or_default().split(' ');
        (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default())
    }

    /// The name, with the architecture where that is not the machine's.
    fn name(&self) -> Option<String> {
        let name = self.field("Package")?;
        let arch = self.field("Architecture")?;
        let foreign = native() == "amd64" && arch != "all" && arch != "amd64";
        Some(if foreign { format!("{name}:{arch}") } else { name.to_owned() })
    }
}

fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        other => other,
    }
}

fn status_file(asked: &Asked<'_>) -> Result<String, String> {
    let path = asked.host.path("/var/lib/dpkg/status");
    if !path.exists() {
        return Err("only packages of dpkg are known here, and there is no /var/lib/dpkg/status".to_owned());
    }
    std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).map_err(|e| e.to_string())
}

fn packages(status: &str) -> impl Iterator<Item = Package<'_>> {
    status.split("\n\n").map(|text| Package { text })
}

/// Where dpkg is not, and another database is: what that has, and how its versions are ordered.
fn elsewhere(asked: &Asked<'_>) -> Result<Option<(Packages, Compare)>, String> {
    let there = |path: &str| asked.host.path(path).exists();
    if there("/var/lib/dpkg/status") {
        return Ok(None);
    }
    if there(apk::DATABASE) {
        let text = asked.read(apk::DATABASE)?;
        return Ok(Some((apk::parse(&text), apk::compare)));
    }
    if rpm::DATABASES.iter().any(|path| there(path)) {
        let argv = rpm::query(asked.host.root());
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let told = asked.run(&argv)?.out();
        return Ok(Some((rpm::parse(&told, std::env::consts::ARCH), rpm::compare)));
    }
    Ok(None)
}

/// Versions by name: of what is installed, of what left only its settings behind, or of what is to be purged.
fn versions(asked: &Asked<'_>, removed: bool, purged: bool) -> Result<Map, String> {
    if let Some((packages, _)) = elsewhere(asked)? {
        // Only dpkg keeps what was removed.
        let there = packages.names().filter(|_| !removed && !purged);
        return Ok(there.map(|name| (name.clone(), list(packages.versions(name).to_vec()))).collect());
    }
    let status = status_file(asked)?;
    let mut all: std::collections::BTreeMap<String, BTreeSet<String>> = std::collections::BTreeMap::new();
    for package in packages(&status) {
        let (Some(name), Some(version)) = (package.name(), package.field("Version")) else { continue };
        let (wanted, is) = package.status();
        let kept = match (wanted, is) {
            ("install" | "hold", is) if is.contains("installed") => !removed && !purged,
            (wanted, _) if wanted.contains("deinstall") => removed,
            ("purge", "installed") => !removed,
            _ => false,
        };
        if kept {
            all.entry(name).or_default().insert(version.to_owned());
        }
    }
    Ok(all.into_iter().map(|(name, versions)| (name, list(versions))).collect())
}

/// Several versions as one text.
fn joined(versions: &Value) -> Value {
    let all: Vec<String> = versions.as_list().unwrap_or_default().iter().map(str_of).collect();
    string(all.join(","))
}

fn list_pkgs(asked: &Asked<'_>) -> Answer {
    let given = |at: usize, name: &str| asked.args.get(at).or_else(|| asked.kwargs.get(name));
    let removed = is_true(given(1, "removed"));
    let all = versions(asked, removed, is_true(given(2, "purge_desired")))?;
    if is_true(given(0, "versions_as_list")) {
        return Ok(Value::Map(all));
    }
    Ok(Value::Map(all.iter().map(|(name, versions)| (name.clone(), joined(versions))).collect()))
}

fn version(asked: &Asked<'_>) -> Answer {
    let all = versions(asked, false, false)?;
    let mut found = Map::new();
    let mut glob = false;
    for name in asked.args.iter().map(str_of) {
        if name.contains('*') {
            glob = true;
            let fitting = all.iter().filter(|(known, _)| fnmatch(known, &name));
            found.extend(fitting.map(|(k, v)| (k.clone(), v.clone())));
        } else {
            found.insert(name.clone(), all.get(&name).cloned().unwrap_or_else(|| Value::List(Vec::new())));
        }
    }
    if !is_true(asked.kwargs.get("versions_as_list")) {
        found.values_mut().for_each(|versions| *versions = joined(versions));
    }
    Ok(match found.len() {
        1 if !glob => found.into_values().next().unwrap_or_default(),
        _ => Value::Map(found),
    })
}

fn version_cmp(asked: &Asked<'_>) -> Answer {
    let given = |at: usize, name: &str| asked.args.get(at).or_else(|| asked.kwargs.get(name));
    let ignore_epoch = flag(given(2, "ignore_epoch"), false);
    let version = |at: usize, name: &str| {
        let version =
            given(at, name).map(str_of).ok_or_else(|| format!("missing required argument: '{name}'"))?;
        let bare = version.split_once(':').map(|(_, rest)| rest.to_owned());
        Ok::<_, String>(bare.filter(|_| ignore_epoch).unwrap_or(version))
    };
    let order = elsewhere(asked)?.map_or(dpkg::compare as Compare, |(_, order)| order);
    Ok(Value::Int(match order(&version(0, "pkg1")?, &version(1, "pkg2")?) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

/// What apt would install, by the lists that it has, or nothing where that is installed already; and the names that apt
/// has heard of.
fn candidates(asked: &Asked<'_>) -> Result<(Map, Vec<String>), String> {
    let names: Vec<String> = asked.args.iter().map(str_of).collect();
    if names.is_empty() {
        return Ok((Map::new(), names));
    }
    let mut argv = vec!["apt-cache", "-q", "policy"];
    argv.extend(names.iter().map(String::as_str));
    let release = str_arg(asked.kwargs.get("fromrepo")).map(|r| format!("APT::Default-Release={r}"));
    argv.extend(release.iter().flat_map(|release| ["-o", release.as_str()]));
    let policy = asked.run(&argv)?.out();
    let installed = versions(asked, false, false)?;
    let show_installed = is_true(asked.kwargs.get("show_installed"));
    let newest = |name: &String| {
        let candidate = candidate(&policy, name).unwrap_or_default();
        let have = installed.get(name).and_then(Value::as_list).unwrap_or_default();
        let current = have.iter().any(|v| dpkg::compare(&str_of(v), candidate) != Ordering::Less);
        let shown = if current && !show_installed { "" } else { candidate };
        (name.clone(), string(shown))
    };
    let all = names.iter().map(newest).collect();
    let heard_of = |name: &String| policy.lines().any(|line| line.strip_suffix(':') == Some(name.as_str()));
    Ok((all, names.into_iter().filter(heard_of).collect()))
}

fn candidate<'p>(policy: &'p str, name: &str) -> Option<&'p str> {
    let mut lines = policy.lines().map(str::trim).skip_while(|l| l.strip_suffix(':') != Some(name));
    let line = lines.by_ref().skip(1).find(|l| l.starts_with("Candidate:") || l.ends_with("table:"))?;
    line.strip_prefix("Candidate:").map(str::trim).filter(|c| *c != "(none)")
}

fn latest_version(asked: &Asked<'_>) -> Answer {
    let (found, heard_of) = candidates(asked)?;
    // As in Salt, one name that apt has heard of is answered alone.
    Ok(match heard_of.as_slice() {
        _ if asked.args.is_empty() => string(""),
        [name] => found.get(name).cloned().unwrap_or_default(),
        _ => Value::Map(found),
    })
}

fn upgrade_available(asked: &Asked<'_>) -> Answer {
    let name = vec![string(text("name", asked.args.first().or_else(|| asked.kwargs.get("name")))?)];
    let kwargs = Map::new();
    let one = Asked { host: asked.host, name: asked.name, args: &name, kwargs: &kwargs };
    Ok(Value::Bool(candidates(&one)?.0.values().any(|v| *v != string(""))))
}

/// What Salt calls dpkg's fields.
const FIELDS: &[(&str, &str)] = &[
    ("Package", "name"),
    ("Architecture", "architecture"),
    ("Maintainer", "packager"),
    ("Source", "source"),
    ("Version", "version"),
    ("Section", "group"),
    ("Homepage", "url"),
    ("Origin", "vendor"),
];

fn info_installed(asked: &Asked<'_>) -> Answer {
    let names: Vec<String> = asked.args.iter().map(str_of).collect();
    let status = status_file(asked)?;
    let mut all = Map::new();
    for package in packages(&status).filter(|p| p.field("Version").is_some()) {
        let Some(name) = package.field("Package") else { continue };
        let wanted = names.is_empty() || names.iter().any(|n| fnmatch(name, n));
        if wanted && package.status().1 == "installed" {
            all.insert(name.to_owned(), about(asked, &package, name));
        }
    }
    let absent = names.iter().find(|n| !all.keys().any(|name| fnmatch(name, n)));
    match absent.filter(|_| flag(asked.kwargs.get("failhard"), true)) {
        Some(name) => {
            let said = format!("dpkg-query: no packages found matching {name}");
            Err(format!("Error getting packages information: {said}"))
        }
        None => Ok(Value::Map(all)),
    }
}

fn about(asked: &Asked<'_>, package: &Package<'_>, name: &str) -> Value {
    let field = |(theirs, ours): &(&str, &str)| Some(((*ours).to_owned(), string(package.field(theirs)?)));
    let mut all: Map = FIELDS.iter().filter_map(field).collect();
    let source = package.field("Source").and_then(|s| s.split(' ').next()).unwrap_or(name);
    all.insert("source".to_owned(), string(source));
    let files = [format!("{name}.list"), format!("{name}:{}.list", native())];
    let dates =
        files.iter().filter_map(|f| asked.host.path(&format!("/var/lib/dpkg/info/{f}")).metadata().ok());
    if let Some(date) = dates.map(|m| m.mtime()).next().and_then(|t| chrono::DateTime::from_timestamp(t, 0)) {
        all.insert("install_date".to_owned(), string(date.format("%Y-%m-%dT%H:%M:%SZ").to_string()));
    }
    all.insert("description".to_owned(), string(description(package.text)));
    let licenses = licenses(asked, name);
    if !licenses.is_empty() {
        all.insert("license".to_owned(), string(licenses));
    }
    Value::Map(all)
}

/// The field with its further lines, as dpkg-query prints it.
fn description(paragraph: &str) -> String {
    let mut lines = paragraph.lines().skip_while(|l| !l.starts_with("Description:"));
    let first = lines.next().and_then(|l| l.strip_prefix("Description:")).unwrap_or_default().trim();
    let rest = lines.take_while(|l| l.starts_with(' '));
    std::iter::once(first).chain(rest).map(|l| format!("{l}\n")).collect()
}

fn licenses(asked: &Asked<'_>, name: &str) -> String {
    let text = asked.read_or_empty(&format!("/usr/share/doc/{name}/copyright"));
    let all: BTreeSet<&str> =
        text.lines().filter_map(|l| l.strip_prefix("License:")).map(str::trim).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

/// The files of a package, by dpkg's list of them.
fn files_of(asked: &Asked<'_>, package: &str) -> Vec<String> {
    let lists = [format!("{package}.list"), format!("{package}:{}.list", native())];
    let text = lists.iter().find_map(|f| asked.read(&format!("/var/lib/dpkg/info/{f}")).ok());
    text.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn named_packages(asked: &Asked<'_>) -> Result<Vec<String>, String> {
    match asked.args {
        [] => Ok(versions(asked, false, false)?.into_keys().collect()),
        names => Ok(names.iter().map(str_of).collect()),
    }
}

fn file_list(asked: &Asked<'_>) -> Answer {
    let installed = versions(asked, false, false)?;
    if let Some(absent) = asked.args.iter().map(str_of).find(|name| !installed.contains_key(name)) {
        return Ok(string(format!("Error:  dpkg-query: no packages found matching {absent}")));
    }
    let files: BTreeSet<String> =
        named_packages(asked)?.iter().flat_map(|package| files_of(asked, package)).collect();
    Ok(map([("errors", Value::List(Vec::new())), ("files", list(files))]))
}

fn file_dict(asked: &Asked<'_>) -> Answer {
    let packages = named_packages(asked)?;
    let files = packages.into_iter().map(|package| (package.clone(), list(files_of(asked, &package))));
    Ok(map([("errors", Value::List(Vec::new())), ("packages", map(files.collect::<Vec<_>>()))]))
}

/// The package that a file came with.
fn owner(asked: &Asked<'_>) -> Answer {
    let paths: Vec<String> = asked.args.iter().map(str_of).collect();
    let mut found: Map = paths.iter().map(|path| (path.clone(), string(""))).collect();
    for file in asked.entries("/var/lib/dpkg/info").iter().filter(|f| f.ends_with(".list")) {
        let package = file.trim_end_matches(".list").split(':').next().unwrap_or_default();
        let text = asked.read_or_empty(&format!("/var/lib/dpkg/info/{file}"));
        for (path, owner) in found.iter_mut().filter(|(_, owner)| **owner == string("")) {
            if text.lines().any(|line| line == path) {
                *owner = string(package);
            }
        }
    }
    Ok(match found.len() {
        0 => string(""),
        1 => found.into_values().next().unwrap_or_default(),
        _ => Value::Map(found),
    })
}

fn normalize_name(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let own = |arch: &str| [native(), "all", "any"].contains(&arch);
    Ok(string(name.rsplit_once(':').filter(|(_, arch)| own(arch)).map_or(name.as_str(), |(bare, _)| bare)))
}

fn parse_arch(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    let (bare, arch) = match name.rsplit_once(':') {
        Some((bare, arch)) => (bare, string(arch)),
        None => (name.as_str(), Value::Null),
    };
    Ok(map([("name", string(bare)), ("arch", arch)]))
}

/// Names by what is wanted of them: `install`, `hold`, ….
fn get_selections(asked: &Asked<'_>) -> Answer {
    let [pattern, state] = asked.bind(["pattern", "state"])?;
    let pattern = str_arg(pattern).unwrap_or_else(|| "*".to_owned());
    let status = status_file(asked)?;
    let mut all: std::collections::BTreeMap<String, Vec<Value>> = std::collections::BTreeMap::new();
    for package in packages(&status) {
        let (Some(name), Some(arch)) = (package.name(), package.field("Architecture")) else { continue };
        // dpkg adds the architecture where several may be there side by side.
        let together = package.field("Multi-Arch") == Some("same") && !name.contains(':');
        if !fnmatch(&name, &pattern) {
            continue;
        }
        let name = if together { format!("{name}:{arch}") } else { name };
        all.entry(package.status().0.to_owned()).or_default().push(Value::Str(name));
    }
    Ok(match str_arg(state) {
        Some(state) => map([(state.clone(), Value::List(all.remove(&state).unwrap_or_default()))]),
        None => map(all.into_iter().map(|(state, names)| (state, Value::List(names)))),
    })
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    fn bench() -> Bench {
        let status = "Package: nginx\nStatus: install ok installed\nSection: web\nMaintainer: M\nArchitecture: amd64\n\
                      Version: 1.22-1\nDescription: a server\n It serves.\n\n\
                      Package: old\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
                      Package: kept\nStatus: hold ok installed\nArchitecture: all\nVersion: 2\n\n\
                      Package: none\nStatus: unknown ok not-installed\nArchitecture: all\n";
        Bench::new(&[
            ("/var/lib/dpkg/status", status),
            ("/var/lib/dpkg/info/nginx.list", "/.\n/usr/sbin/nginx\n"),
            ("/usr/share/doc/nginx/copyright", "License: BSD\nLicense: Artistic\n"),
        ])
    }

    #[test]
    fn versions_of_what_is_installed() {
        let bench = bench();
        assert_eq!(bench.json("pkg.version", &["nginx"]), "\"1.22-1\"");
        assert_eq!(bench.json("pkg.version", &["old"]), "\"\"");
        assert_eq!(bench.json("pkg.version", &["nginx", "x"]), "{\"nginx\":\"1.22-1\",\"x\":\"\"}");
        assert_eq!(bench.json("pkg.version", &["ng*"]), "{\"nginx\":\"1.22-1\"}");
        assert_eq!(bench.json("pkg.list_pkgs", &[]), "{\"kept\":\"2\",\"nginx\":\"1.22-1\"}");
        let lists = bench.with("pkg.list_pkgs", &[], &[("versions_as_list", Value::Bool(true))]).unwrap();
        assert_eq!(str_of(&lists), "{'kept': ['2'], 'nginx': ['1.22-1']}");
        let removed = bench.with("pkg.list_pkgs", &[], &[("removed", Value::Bool(true))]).unwrap();
        assert_eq!(str_of(&removed), "{'old': '1'}");
        assert!(Bench::new(&[]).call("pkg.version", &["x"]).unwrap_err().contains("dpkg"));
    }

    #[test]
    fn versions_of_apk_are_read_and_ordered() {
        let bench = Bench::new(&[("/lib/apk/db/installed", "P:musl\nV:1.2.4-r2\n\nP:zlib\nV:1.3-r0\n")]);
        assert_eq!(bench.json("pkg.version", &["musl"]), "\"1.2.4-r2\"");
        assert_eq!(bench.json("pkg.list_pkgs", &[]), "{\"musl\":\"1.2.4-r2\",\"zlib\":\"1.3-r0\"}");
        assert_eq!(bench.json("pkg.version_cmp", &["1.0_rc1", "1.0"]), "-1");
    }

    #[test]
    fn versions_of_rpm_are_read_and_ordered() {
        let bench = Bench::new(&[("/var/lib/rpm/x", "")]);
        assert_eq!(bench.json("pkg.list_pkgs", &[]), "{}");
        assert_eq!(bench.json("pkg.version_cmp", &["1.0^git1-1", "1.0-1"]), "1");
    }

    #[test]
    fn versions_are_compared_as_dpkg_does() {
        let bench = bench();
        assert_eq!(bench.json("pkg.version_cmp", &["1.0~rc1", "1.0"]), "-1");
        assert_eq!(bench.json("pkg.version_cmp", &["1:1.0", "2.0"]), "1");
        let ignored =
            bench.with("pkg.version_cmp", &["1:1.0", "2.0"], &[("ignore_epoch", Value::Bool(true))]);
        assert_eq!(ignored, Ok(Value::Int(-1)));
    }

    #[test]
    fn what_a_package_is_and_owns() {
        let bench = bench();
        let info = bench.json("pkg.info_installed", &["nginx"]);
        assert!(
            info.contains("\"group\":\"web\"") && info.contains("\"license\":\"Artistic, BSD\""),
            "{info}"
        );
        assert!(info.contains("\"description\":\"a server\\n It serves.\\n\""), "{info}");
        assert!(
            bench.call("pkg.info_installed", &["x"]).unwrap_err().contains("no packages found matching x")
        );
        assert_eq!(bench.json("pkg.owner", &["/usr/sbin/nginx"]), "\"nginx\"");
        assert_eq!(bench.json("pkg.owner", &["/usr/sbin/x"]), "\"\"");
        assert_eq!(
            bench.json("pkg.file_list", &["nginx"]),
            "{\"errors\":[],\"files\":[\"/.\",\"/usr/sbin/nginx\"]}"
        );
        assert!(bench.json("pkg.get_selections", &[]).contains("\"hold\":[\"kept\"]"));
    }

    #[test]
    fn the_candidate_of_a_policy() {
        let policy =
            "nginx:\n  Installed: 1.22-1\n  Candidate: 1.24-1\n  Version table:\nx:\n  Candidate: (none)\n";
        assert_eq!(candidate(policy, "nginx"), Some("1.24-1"));
        assert_eq!(candidate(policy, "x"), None);
        assert_eq!(candidate(policy, "y"), None);
    }
}
