//! Paths as Python's `os.path` has them.

/// `os.path.normpath`: without `.`, `..` and doubled slashes, as far as that can be told without looking.
pub(crate) fn normal(path: &str) -> String {
    let slashes = path.len() - path.trim_start_matches('/').len();
    // POSIX lets two leading slashes mean something else; three mean one.
    let root = match slashes {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => _ = parts.pop(),
            ("..", None) if !root.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let whole = format!("{root}{}", parts.join("/"));
    if whole.is_empty() { ".".to_owned() } else { whole }
}
