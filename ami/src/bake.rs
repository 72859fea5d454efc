//! The plan that bakes an image: builder, converge, power off, image, and nothing left of the builder.

use crate::recipe::{Recipe, RecipeError};

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
    /// Tags of the image and the builder.
    pub tags: Vec<(String, String)>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// The console line that proves a builder converged.
pub const READY: &str = "mayfly: ready";
/// The console line of one that did not.
pub const FAILED: &str = "mayfly: failed";

/// How a stopped builder ended, by its console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It converged.
    Ready,
    /// It did not; its own words.
    Failed(String),
    /// The console says neither.
    Unproven,
}

/// Makes the plan.
///
/// # Errors
/// [`RecipeError`] when the recipe cannot be followed.
pub fn plan(wish: &Wish) -> Result<Plan, RecipeError> {
    let image_name = format!("mayfly-{}-{}-{}", wish.recipe.name(), wish.stamp, wish.nonce);
    let tags = vec![
        ("Name".to_owned(), image_name.clone()),
        ("mayfly:bake".to_owned(), image_name.clone()),
        ("mayfly:recipe".to_owned(), wish.recipe.name().to_owned()),
        ("mayfly:base".to_owned(), wish.base_image.clone()),
    ];
    Ok(Plan {
        user_data: wish.recipe.user_data()?,
        base_image: wish.base_image.clone(),
        instance_type: wish.instance_type.clone(),
        image_name,
        tags,
        steps: Step::ALL.to_vec(),
    })
}

/// Reads the builder's console. A failure outweighs a ready line that came before it.
#[must_use]
pub fn verdict(console: &str) -> Verdict {
    let last = console.lines().rev().find(|line| line.contains(READY) || line.contains(FAILED));
    match last {
        Some(line) if line.contains(FAILED) => Verdict::Failed(line.trim().to_owned()),
        Some(_) => Verdict::Ready,
        None => Verdict::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Bare;

    #[test]
    fn the_builder_goes_last_and_the_tags_name_the_bake() {
        let recipe = Recipe::Bare(Bare { boot_url: "https://x/y".into(), boot_sha256: "0".repeat(64) });
        let wish = Wish {
            recipe,
            base_image: "ami-1".into(),
            instance_type: "t3.micro".into(),
            stamp: "20260102T030405Z".into(),
            nonce: "1a2b".into(),
        };
        let plan = plan(&wish).expect("a plan");
        assert_eq!(plan.image_name, "mayfly-bare-20260102T030405Z-1a2b");
        assert_eq!(plan.steps.last(), Some(&Step::Terminate));
        assert!(plan.tags.contains(&("mayfly:bake".into(), plan.image_name.clone())));
    }

    #[test]
    fn the_console_decides() {
        assert_eq!(verdict("x\nmayfly: ready in 3 s\n[ 1.0] power down\n"), Verdict::Ready);
        assert_eq!(
            verdict("mayfly: ready\nmayfly: failed: a.sls:1:2\n"),
            Verdict::Failed("mayfly: failed: a.sls:1:2".into())
        );
        assert_eq!(verdict("boot\n"), Verdict::Unproven);
    }
}
