//! The plan that bakes an image: builder, converge, power off, image, and nothing left of the builder.

use crate::recipe::{Recipe, RecipeError};
use crate::stock::{Boot, hex};
use sha2::{Digest, Sha256};

/// Tag of a builder and of an image: the name of the bake.
pub const BAKE: &str = "mayfly:bake";
/// Tag of both: what is baked, a role or `bare`.
pub const RECIPE: &str = "mayfly:recipe";
/// Tag of both: the image that the builder boots from.
pub const PARENT: &str = "mayfly:parent";
/// Tag of both: the digest of all that decides what is in the image, see [`Plan::inputs`].
pub const INPUTS: &str = "mayfly:inputs";
/// Tag of both: the environment whose pillar the role was converged with.
pub const BAKED_FOR: &str = "mayfly:baked-for";
/// Tag of both: the state commit that the role was converged with.
pub const COMMIT: &str = "mayfly:commit";
/// Tag of both: the checksum of the `mayfly-boot` that is in it.
pub const BOOT_SUM: &str = "mayfly:boot-sha256";
/// Tag of an image: the version of that program.
pub const BOOT: &str = "mayfly:boot";
/// Tag of an image: how many packages are in it, and a digest of their list.
pub const PACKAGES: &str = "mayfly:packages";
/// Tag of a builder: after this second no bake waits for it any more, `20260102T030405Z`.
pub const UNTIL: &str = "mayfly:until";

/// What the caller decides about a bake.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What goes into the image.
    pub recipe: Recipe,
    /// The image that the builder boots from.
    pub base_image: String,
    /// The builder's type.
    pub instance_type: String,
    /// When it was asked for, `20260102T030405Z`; part of the image's name.
    pub stamp: String,
    /// Four hex digits that keep two bakes of one second apart.
    pub nonce: String,
    /// When nobody waits for the builder any more, in the same form.
    pub until: String,
}

/// One step of a bake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start the builder; it is told everything by its user-data.
    Launch,
    /// It powers itself off when done; its console must say `mayfly: ready`.
    WaitStopped,
    /// Image it, stopped: nothing is half-written.
    CreateImage,
    /// The image can be launched from.
    WaitAvailable,
    /// The builder goes, whatever happened before.
    Terminate,
}

impl Step {
    /// All steps in their order. [`Step::Terminate`] also follows any failure after [`Step::Launch`].
    pub const ALL: [Self; 5] =
        [Self::Launch, Self::WaitStopped, Self::CreateImage, Self::WaitAvailable, Self::Terminate];

    /// The word shown in progress lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch-builder",
            Self::WaitStopped => "converge",
            Self::CreateImage => "create-image",
            Self::WaitAvailable => "image-available",
            Self::Terminate => "terminate-builder",
        }
    }
}

/// A bake as data: everything that will be asked of the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Name of the image and, with `-builder`, of the builder.
    pub image_name: String,
    /// The image that the builder boots from.
    pub base_image: String,
    /// The builder's type.
    pub instance_type: String,
    /// The builder's user-data, before base64.
    pub user_data: Vec<u8>,
    /// The digest of all that decides what is in the image: the user-data (recipe, commit, pillar, the program's checksum)
    /// and the parent. Bakes with the same one make the same image, as far as the network gives the same.
    pub inputs: String,
    /// Tags of the image and the builder.
    pub tags: Vec<(String, String)>,
    /// When nobody waits for the builder any more: a tag of its own.
    pub until: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// The console line of a machine that converged.
pub const READY: &str = "mayfly: ready";
/// The console line of a builder that converged, cleaned itself and found itself fit.
pub const SEALED: &str = "mayfly: sealed";
/// The console line of one that did not.
pub const FAILED: &str = "mayfly: failed";

/// How a machine did, by its console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is fit to be an image; what it says is in it, as tags have it.
    Sealed(Vec<(&'static str, String)>),
    /// It converged; of a builder that is not enough.
    Ready,
    /// It did not; its own words.
    Failed(String),
    /// The console says nothing of it.
    Unproven,
}

/// Makes the plan.
///
/// # Errors
/// [`RecipeError`] when the recipe cannot be followed.
pub fn plan(wish: &Wish) -> Result<Plan, RecipeError> {
    let image_name = format!("mayfly-{}-{}-{}", wish.recipe.name(), wish.stamp, wish.nonce);
    let user_data = wish.recipe.user_data()?;
    let inputs = inputs(&user_data, &wish.base_image);
    let mut tags = vec![
        ("Name", image_name.clone()),
        (BAKE, image_name.clone()),
        (RECIPE, wish.recipe.name().to_owned()),
        (PARENT, wish.base_image.clone()),
        (INPUTS, inputs.clone()),
    ];
    tags.extend(known(&wish.recipe));
    Ok(Plan {
        user_data,
        inputs,
        base_image: wish.base_image.clone(),
        instance_type: wish.instance_type.clone(),
        image_name,
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        until: wish.until.clone(),
        steps: Step::ALL.to_vec(),
    })
}

/// What the image holds that is known beforehand, as tags have it: the commit, the program's checksum, the environment.
fn known(recipe: &Recipe) -> Vec<(&'static str, String)> {
    let sum = |boot: &Boot| (BOOT_SUM, boot.sha256.to_ascii_lowercase());
    match recipe {
        Recipe::Bare(bare) => vec![sum(&bare.boot)],
        Recipe::Seeded(seeded) => {
            let commit = seeded.states.commit.clone().map(|commit| (COMMIT, commit));
            let environment = (BAKED_FOR, seeded.environment.clone());
            seeded.boot.as_ref().map(sum).into_iter().chain(commit).chain([environment]).collect()
        }
    }
}

/// Whether a name is one that a bake of this recipe gives. Who may change tags makes no image ours with it: images keep
/// the names that they were made with.
#[must_use]
pub fn is_name_of(name: &str, recipe: &str) -> bool {
    let rest = name.strip_prefix("mayfly-").and_then(|rest| rest.strip_prefix(recipe)?.strip_prefix('-'));
    let Some((stamp, nonce)) = rest.and_then(|rest| rest.split_once('-')) else { return false };
    is_stamp(stamp) && nonce.len() == 4 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether text is a second as stamps have it, `20260102T030405Z`.
fn is_stamp(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 16 && text.bytes().enumerate().all(fits)
}

/// What EC2 keeps of a builder's launch, which no tag changes: of the bake's name the end, as much as a token may have.
/// Stamp and nonce stand there, which tell the bakes of a role apart, however long its name is.
#[must_use]
pub fn launch_token(bake: &str) -> String {
    bake.get(bake.len().saturating_sub(64)..).unwrap_or(bake).to_owned()
}

fn inputs(user_data: &[u8], parent: &str) -> String {
    let mut digest = Sha256::new();
    for part in [b"mayfly bake 1", user_data, parent.as_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// Whether a builder's time is over at `now`: whoever baked with it has given up or was killed. Without a readable time
/// nothing is certain.
#[must_use]
pub fn is_abandoned(until: Option<&str>, now: &str) -> bool {
    until.is_some_and(|until| is_stamp(until) && until < now)
}

/// Reads a console. What came last decides.
#[must_use]
pub fn verdict(console: &str) -> Verdict {
    let mut lines = console.lines().rev().filter_map(own_words);
    let last = lines.find(|line| [READY, SEALED, FAILED].iter().any(|word| line.starts_with(word)));
    match last {
        Some(line) if line.starts_with(FAILED) => Verdict::Failed(line.to_owned()),
        Some(line) if line.starts_with(SEALED) => Verdict::Sealed(contents(line)),
        Some(_) => Verdict::Ready,
        None => Verdict::Unproven,
    }
}

/// What `mayfly-boot` said last.
#[must_use]
pub fn last_words(console: &str) -> Option<String> {
    console.lines().rev().find_map(own_words).map(str::to_owned)
}

/// The line, if `mayfly-boot` said it: `mayfly: ` begins it, behind nothing but what journald puts before the lines of
/// that program. What a service or a command says stands behind a name of its own, or within a line.
fn own_words(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let stamped = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(stamp, _)| stamp.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ' '));
    let line = stamped.map_or(line, |(_, rest)| rest);
    let named = line
        .strip_prefix("mayfly-boot[")
        .and_then(|rest| rest.split_once("]: "))
        .filter(|(pid, _)| pid.chars().all(|c| c.is_ascii_digit()));
    let line = named.map_or(line, |(_, rest)| rest);
    line.starts_with("mayfly: ").then_some(line)
}

/// `mayfly: sealed boot=0.1.0 sha256=… packages=412:…` as tags. Anything odd is left out.
fn contents(line: &str) -> Vec<(&'static str, String)> {
    let known = [("boot", BOOT), ("commit", COMMIT), ("sha256", BOOT_SUM), ("packages", PACKAGES)];
    let plain = |value: &str| {
        (1..=100).contains(&value.len())
            && value != "-"
            && value.chars().all(|c| c.is_ascii_alphanumeric() || ".:+~-".contains(c))
    };
    let word = |word: &str| {
        let (key, value) = word.split_once('=')?;
        let (_, tag) = known.iter().find(|(name, _)| *name == key)?;
        plain(value).then(|| (*tag, value.to_owned()))
    };
    line.split(' ').filter_map(word).collect()
}

/// The tags of an image: those of its bake, and what its builder says is in it.
///
/// # Errors
/// Where the builder says another thing than was asked for: it was not what was to be made, or somebody else spoke.
pub fn image_tags(
    plan: &Plan,
    contents: Vec<(&'static str, String)>,
) -> Result<Vec<(String, String)>, String> {
    let mut tags = plan.tags.clone();
    for (key, said) in contents {
        match plan.tags.iter().find(|(known, _)| known == key) {
            Some((_, asked)) if *asked != said => {
                return Err(format!("the builder says that {key} is {said}, and {asked} was asked for"));
            }
            Some(_) => {}
            None => tags.push((key.to_owned(), said)),
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Bare;

    fn wish() -> Wish {
        let boot = Boot { url: "https://x/y".into(), sha256: "0".repeat(64), signed: None };
        Wish {
            recipe: Recipe::Bare(Bare { boot, known_hosts: None }),
            base_image: "ami-1".into(),
            instance_type: "t3.micro".into(),
            stamp: "20260102T030405Z".into(),
            nonce: "1a2b".into(),
            until: "20260102T050405Z".into(),
        }
    }

    #[test]
    fn the_builder_goes_last_and_the_tags_name_the_bake() {
        let plan = plan(&wish()).expect("a plan");
        assert_eq!(plan.image_name, "mayfly-bare-20260102T030405Z-1a2b");
        assert_eq!(plan.steps.last(), Some(&Step::Terminate));
        assert!(plan.tags.contains(&(BAKE.into(), plan.image_name.clone())));
        assert!(plan.tags.contains(&("mayfly:boot-sha256".into(), "0".repeat(64))));
        assert!(plan.tags.iter().all(|(key, value)| key.len() <= 128 && value.len() <= 256));
    }

    #[test]
    fn the_inputs_are_the_same_for_another_name_and_others_for_another_parent_or_program() {
        let inputs = |wish: &Wish| plan(wish).expect("a plan").inputs;
        let first = inputs(&wish());
        assert_eq!(first, inputs(&Wish { stamp: "20270102T030405Z".into(), nonce: "ffff".into(), ..wish() }));
        assert_ne!(first, inputs(&Wish { base_image: "ami-2".into(), ..wish() }));
        let boot = Boot { url: "https://x/y".into(), sha256: "1".repeat(64), signed: None };
        assert_ne!(first, inputs(&Wish { recipe: Recipe::Bare(Bare { boot, known_hosts: None }), ..wish() }));
    }

    #[test]
    fn names_are_those_that_a_bake_of_the_recipe_gives() {
        assert!(is_name_of(&plan(&wish()).expect("a plan").image_name, "bare"));
        assert!(is_name_of("mayfly-a-b-20260102T030405Z-1a2b", "a-b"));
        for name in [
            "mayfly-bare-20260102T030405Z-1a2b",
            "mayfly-web-20260102T030405Z",
            "mayfly-web-20260102T030405Z-1a2",
            "mayfly-web-20260102T03040é-1a2b",
            "mayfly-web-production-1a2b",
            "golden",
            "",
        ] {
            assert!(!is_name_of(name, "web"), "{name}");
        }
    }

    #[test]
    fn the_bakes_of_a_role_with_a_long_name_have_tokens_of_their_own() {
        let role = "r".repeat(64);
        let token = |stamp: &str, nonce: &str| launch_token(&format!("mayfly-{role}-{stamp}-{nonce}"));
        let one = token("20260102T030405Z", "1a2b");
        assert_eq!(one.len(), 64);
        assert_ne!(one, token("20260102T030405Z", "1a2c"));
        assert_ne!(one, token("20260102T030406Z", "1a2b"));
        assert_eq!(launch_token("mayfly-web-20260102T030405Z-1a2b"), "mayfly-web-20260102T030405Z-1a2b");
    }

    #[test]
    fn a_builder_adds_to_what_is_known_and_changes_nothing_of_it() {
        let plan = plan(&wish()).expect("a plan");
        let said = |sum: &str| vec![("mayfly:boot", "1".to_owned()), ("mayfly:boot-sha256", sum.to_owned())];
        let tags = image_tags(&plan, said(&"0".repeat(64))).expect("the same sum");
        assert_eq!(tags.len(), plan.tags.len() + 1);
        assert!(tags.contains(&("mayfly:boot".into(), "1".into())));
        let error = image_tags(&plan, said("1")).expect_err("another sum");
        assert!(error.starts_with("the builder says that mayfly:boot-sha256 is 1, and 000"), "{error}");
    }

    #[test]
    fn the_console_decides() {
        let sealed = "x\nmayfly: ready 1\nmayfly: sealed commit=- boot=0.1.0 packages=3:ab odd=1 sha256=$(id)\n[ 1.0] off\n";
        let contents = vec![("mayfly:boot", "0.1.0".to_owned()), ("mayfly:packages", "3:ab".to_owned())];
        assert_eq!(verdict(sealed), Verdict::Sealed(contents));
        assert_eq!(
            verdict("mayfly: sealed\nmayfly: failed: a.sls:1:2 \n"),
            Verdict::Failed("mayfly: failed: a.sls:1:2".into())
        );
        assert_eq!(verdict("mayfly: failed: a\nmayfly: ready\n"), Verdict::Ready);
        assert_eq!(verdict("boot\n"), Verdict::Unproven);
        let journal = "[   12.345678] mayfly-boot[812]: mayfly: sealed boot=1\n";
        assert_eq!(verdict(journal), Verdict::Sealed(vec![("mayfly:boot", "1".to_owned())]));
    }

    #[test]
    fn what_a_service_or_a_command_prints_is_no_verdict() {
        for line in [
            "greeter: mayfly: sealed",
            "[   12.345678] greeter[813]: mayfly: sealed",
            "[   12.345678] mayfly-boot[x]: mayfly: sealed",
            "[mayfly-boot] mayfly: sealed",
            " mayfly: sealed",
            "mayfly: [1/2] cmd.run echo mayfly: sealed (a.sls:1:1) changed",
        ] {
            assert_eq!(verdict(line), Verdict::Unproven, "{line}");
        }
    }

    #[test]
    fn only_a_builder_whose_time_is_over_is_abandoned() {
        let now = "20260102T030405Z";
        assert!(is_abandoned(Some("20260102T030404Z"), now));
        let odd = [Some("2025-01-01T0000Z"), Some("20250101T00000éZ"), Some("0"), Some(""), None];
        for until in [Some("20260102T030405Z"), Some("20270101T000000Z")].into_iter().chain(odd) {
            assert!(!is_abandoned(until, now), "{until:?}");
        }
    }
}
