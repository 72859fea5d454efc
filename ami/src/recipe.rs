//! Recipes of seed images: what the builder is told so that it makes itself into the image and powers off.

use crate::stock::{Boot, KnownHosts, Then};
use crate::user_data::{self, Finish, States, UserData, UserDataError};
use serde_json::{Map, Value};

/// What an image is seeded with.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipe {
    /// `mayfly-boot` on a stock image, nothing else.
    Bare(Bare),
    /// A role already converged, so that an instance boots into a tree it has.
    Seeded(Box<Seeded>),
}

/// `mayfly-boot` and its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// Where the program comes from.
    pub boot: Boot,
    /// What SSH is to know of git servers.
    pub known_hosts: Option<KnownHosts>,
}

/// The role that an image is seeded with.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeded {
    /// Grain `role`.
    pub role: String,
    /// Grain `environment`.
    pub environment: String,
    /// The state tree.
    pub states: States,
    /// Merged over the tree's pillar.
    pub pillar: Map<String, Value>,
    /// Merged over the computed grains: the tree may ask for them.
    pub grains: Map<String, Value>,
    /// The environment of the tree, when it is to be one alone.
    pub saltenv: Option<String>,
    /// Names to compound matches, for top files.
    pub nodegroups: Map<String, Value>,
    /// Options of the minion that change a compile.
    pub options: Map<String, Value>,
    /// `auto`, `supervisord`, `systemd`, `sysv`, `builtin`.
    pub supervisor: Option<String>,
    /// Where the program comes from, when the builder's image may not have it.
    pub boot: Option<Boot>,
}

/// Why a recipe cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// The address would not survive the builder's shell.
    #[error("`{0}` is no http:// or https:// address that can stand in a script")]
    BadUrl(String),
    /// The checksum is not one.
    #[error("`{0}` is no SHA-256: 64 hex digits are needed")]
    BadSum(String),
    /// The key could not stand in a script, or is none.
    #[error("`{0}` is no public key of the form `ssh-ed25519 AAAA…`, without options and comment")]
    BadKey(String),
    /// Known hosts that could not stand in a script.
    #[error("the known hosts for {0} are not plain lines, or that is no plain absolute path")]
    BadKnownHosts(String),
    /// The user-data does not fit.
    #[error(transparent)]
    UserData(#[from] UserDataError),
}

impl Recipe {
    /// The word that names the recipe in image names and tags.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Bare(_) => "bare",
            Self::Seeded(seeded) => &seeded.role,
        }
    }

    /// The builder's user-data, before base64.
    ///
    /// # Errors
    /// [`RecipeError`] for an address or checksum that cannot be trusted in a script, or too much pillar.
    pub fn user_data(&self) -> Result<Vec<u8>, RecipeError> {
        match self {
            Self::Bare(bare) => {
                let script = bare.boot.script(Then::Seal(bare.known_hosts.as_ref()))?;
                Ok(user_data::fit(script.into_bytes())?)
            }
            Self::Seeded(seeded) => seeded.document().bytes_with(seeded.boot.as_ref()),
        }
    }
}

impl Seeded {
    fn document(&self) -> UserData {
        UserData {
            role: self.role.clone(),
            environment: self.environment.clone(),
            states: self.states.clone(),
            pillar: self.pillar.clone(),
            grains: self.grains.clone(),
            saltenv: self.saltenv.clone(),
            nodegroups: self.nodegroups.clone(),
            options: self.options.clone(),
            supervisor: self.supervisor.clone(),
            finish: Finish::PowerOff,
            ..UserData::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_builder_converges_and_powers_off() {
        let recipe = Recipe::Seeded(Box::new(Seeded {
            role: "web".into(),
            environment: "production".into(),
            states: States { url: "http://git/x.git".into(), ..States::default() },
            pillar: Map::new(),
            grains: Map::new(),
            saltenv: Some("dev".into()),
            nodegroups: Map::new(),
            options: Map::from_iter([("state_top".to_owned(), "tops.sls".into())]),
            supervisor: None,
            boot: None,
        }));
        let text = String::from_utf8(recipe.user_data().expect("fits")).expect("text");
        assert_eq!(
            text,
            "#mayfly\nrole: web\nenvironment: production\nstates:\n  url: http://git/x.git\nsaltenv: dev\noptions:\n  state_top: tops.sls\nfinish: poweroff\n"
        );
    }

    #[test]
    fn a_bare_builder_checks_what_it_downloads_and_seals_itself() {
        let boot = Boot { url: "https://example.org/b".into(), sha256: "ab".repeat(32), signed: None };
        let bare = Bare { boot, known_hosts: None };
        let text = String::from_utf8(Recipe::Bare(bare).user_data().expect("fits")).expect("text");
        let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
        assert!(place(&format!("sha256='{}'", "ab".repeat(32))) < place("is=$(sum_of"));
        assert!(place("is=$(sum_of") < place("install -m 0755") && place("install") < place("seal --yes"));
    }
}
