//! Recipes of seed images: what the builder is told so that it makes itself into the image and powers off.

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

/// Where a bare image takes `mayfly-boot` from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// `https://` (or, in a sandbox, `http://`) address of the program.
    pub boot_url: String,
    /// Its SHA-256, 64 hex digits: a wrong download powers nothing on.
    pub boot_sha256: String,
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
    /// `auto`, `supervisord`, `systemd`, `builtin`.
    pub supervisor: Option<String>,
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
            Self::Bare(bare) => Ok(user_data::fit(bare.script()?.into_bytes())?),
            Self::Seeded(seeded) => Ok(seeded.document().bytes()?),
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

const UNIT: &str = "\
[Unit]
Description=Mayfly
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=/usr/local/bin/mayfly-boot run
Restart=on-failure

[Install]
WantedBy=multi-user.target
";

impl Bare {
    /// A script that cloud-init (or the sandbox) runs as root. Its last console line is the one that bakes look for.
    fn script(&self) -> Result<String, RecipeError> {
        self.check()?;
        let Self { boot_url, boot_sha256 } = self;
        Ok(format!(
            "#!/bin/sh\n\
             # Makes this machine into a bare Mayfly image and powers it off.\n\
             trap 'code=$?; [ $code = 0 ] || {{ echo \"mayfly: failed: the bare recipe ended with $code\" >/dev/console; poweroff; }}' EXIT\n\
             set -eu\n\
             work=$(mktemp -d)\n\
             curl --fail --silent --show-error --location --max-time 300 --output \"$work/mayfly-boot\" '{boot_url}'\n\
             echo '{boot_sha256}  '\"$work/mayfly-boot\" | sha256sum --check --quiet\n\
             install -D -m 0755 \"$work/mayfly-boot\" /usr/local/bin/mayfly-boot\n\
             rm -r \"$work\"\n\
             mkdir -p /etc/systemd/system\n\
             cat >/etc/systemd/system/mayfly-boot.service <<'UNIT'\n\
             {UNIT}UNIT\n\
             if [ -d /run/systemd/system ]; then systemctl enable mayfly-boot.service; fi\n\
             if command -v cloud-init >/dev/null; then cloud-init clean --logs; fi\n\
             sync\n\
             echo 'mayfly: ready: the bare recipe is done' >/dev/console\n\
             poweroff\n"
        ))
    }

    fn check(&self) -> Result<(), RecipeError> {
        let url = &self.boot_url;
        let scheme = url.starts_with("https://") || url.starts_with("http://");
        if !scheme || !url.chars().all(|c| c.is_ascii_graphic() && !"'\"\\`$".contains(c)) {
            return Err(RecipeError::BadUrl(url.clone()));
        }
        let sum = &self.boot_sha256;
        if sum.len() != 64 || !sum.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(RecipeError::BadSum(sum.clone()));
        }
        Ok(())
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
        }));
        let text = String::from_utf8(recipe.user_data().expect("fits")).expect("text");
        assert_eq!(
            text,
            "#mayfly\nrole: web\nenvironment: production\nstates:\n  url: http://git/x.git\nsaltenv: dev\noptions:\n  state_top: tops.sls\nfinish: poweroff\n"
        );
    }

    #[test]
    fn a_bare_builder_checks_what_it_downloads() {
        let bare = Bare { boot_url: "https://example.org/mayfly-boot".into(), boot_sha256: "ab".repeat(32) };
        let text = String::from_utf8(Recipe::Bare(bare).user_data().expect("fits")).expect("text");
        assert!(text.starts_with("#!/bin/sh\n"), "{text}");
        assert!(
            text.contains(&format!("{}  '\"$work/mayfly-boot\" | sha256sum --check", "ab".repeat(32))),
            "{text}"
        );
    }

    #[test]
    fn an_address_that_would_break_out_of_the_script_is_refused() {
        for bad in ["https://x/'; reboot; '", "ftp://x/y", "https://x/$(id)", "https://x/a b"] {
            let bare = Bare { boot_url: bad.into(), boot_sha256: "ab".repeat(32) };
            assert_eq!(Recipe::Bare(bare).user_data(), Err(RecipeError::BadUrl(bad.into())));
        }
        let bare = Bare { boot_url: "https://x/y".into(), boot_sha256: "12".into() };
        assert_eq!(Recipe::Bare(bare).user_data(), Err(RecipeError::BadSum("12".into())));
    }
}
