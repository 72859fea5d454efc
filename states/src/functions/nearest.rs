//! What is said of a function that is not there: misspelt, or Salt's and not supported.

use super::salt_names::{FUNCTIONS, MODULES};
use crate::error::{Error, Fault};
use crate::nearest::did_you_mean;

/// The error of calling a function that is none of `known`.
pub(crate) fn unknown(name: &str, known: &[String]) -> Error {
    if is_salts(name) {
        let error = Error::new(Fault::UnsupportedFunction(name.to_owned()));
        return error.help("docs/template-functions.md lists the functions that templates can call here");
    }
    let error = Error::new(Fault::UnknownFunction(name.to_owned()));
    match did_you_mean(name, known.iter().map(String::as_str)) {
        Some(help) => error.help(help),
        None => error.help("functions are called as `salt['module.function'](…)`"),
    }
}

/// Whether Salt has such a function, or at least the module of it.
fn is_salts(name: &str) -> bool {
    let Some((module, function)) = name.split_once('.') else { return false };
    match FUNCTIONS.iter().find(|(known, _)| *known == module) {
        Some((_, functions)) => functions.split_whitespace().any(|f| f == function),
        None => MODULES.split_whitespace().any(|m| m == module),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str) -> String {
        unknown(name, &["pillar.get".to_owned(), "file.join".to_owned()]).to_string()
    }

    #[test]
    fn misspelt_unsupported_and_unheard_of_are_told_apart() {
        assert!(said("pillar.gett").contains("did you mean `pillar.get`?"));
        assert!(said("file.managed").contains("unknown function"));
        assert!(said("file.touch").contains("not supported"));
        assert!(said("mysql.query").contains("not supported"));
        assert!(said("nonsense.at_all").contains("unknown function `nonsense.at_all`"));
    }

    #[test]
    fn functions_of_salt_are_listed_with_their_modules() {
        assert!(FUNCTIONS.iter().all(|(module, _)| MODULES.split_whitespace().any(|m| m == *module)));
    }
}
