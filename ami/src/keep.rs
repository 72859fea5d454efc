//! Which of the baked images stay: the newest of each recipe and environment, and whatever somebody uses. Pure.

use std::collections::BTreeMap;

/// An image of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baked {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A role, or `bare`.
    pub recipe: String,
    /// The environment it was baked for; empty for a bare one.
    pub environment: String,
    /// `available`, `pending`, `failed`, ….
    pub state: String,
    /// When it was made, in ISO 8601, which sorts as text.
    pub created: String,
}

/// Somebody needs an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The image.
    pub image: String,
    /// Who: an instance, a launch template, the spec.
    pub by: String,
}

/// What becomes of an image, and why it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Stays(String),
    /// It goes, with its snapshots.
    Goes,
}

/// Judges every image, newest first within its recipe and environment; `keep` of each stay, at least one, whether used
/// or not.
#[must_use]
pub fn judge(images: &[Baked], uses: &[Use], keep: usize) -> Vec<(Baked, Fate)> {
    let mut sorted = images.to_vec();
    sorted.sort_by(|a, b| {
        let group = |image: &Baked| (image.recipe.clone(), image.environment.clone());
        group(a).cmp(&group(b)).then_with(|| (&b.created, &b.id).cmp(&(&a.created, &a.id)))
    });
    let mut kept: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut judged = Vec::new();
    for image in sorted {
        let count = kept.entry((image.recipe.clone(), image.environment.clone())).or_default();
        let fate = fate(&image, uses, *count < keep.max(1));
        if image.state == "available" {
            *count += 1;
        }
        judged.push((image, fate));
    }
    judged
}

fn fate(image: &Baked, uses: &[Use], is_new: bool) -> Fate {
    let users: Vec<&str> = uses.iter().filter(|u| u.image == image.id).map(|u| u.by.as_str()).collect();
    match (users.split_first(), image.state.as_str()) {
        (Some((first, [])), _) => Fate::Stays(format!("used by {first}")),
        (Some((first, more)), _) => Fate::Stays(format!("used by {first} and {} more", more.len())),
        (None, "available") if is_new => Fate::Stays("one of the newest".to_owned()),
        (None, "available" | "failed" | "error" | "invalid") => Fate::Goes,
        (None, state) => Fate::Stays(state.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, recipe: &str, environment: &str, state: &str, created: &str) -> Baked {
        let [id, name] = [id, id].map(str::to_owned);
        let [recipe, environment, state, created] = [recipe, environment, state, created].map(str::to_owned);
        Baked { id, name, recipe, environment, state, created }
    }

    fn going(images: &[Baked], uses: &[Use], keep: usize) -> Vec<String> {
        let judged = judge(images, uses, keep).into_iter();
        judged.filter(|(_, fate)| *fate == Fate::Goes).map(|(image, _)| image.id).collect()
    }

    #[test]
    fn the_newest_of_each_recipe_and_environment_stay_and_what_is_used() {
        let images = [
            image("a1", "web", "production", "available", "2026-01-01"),
            image("a2", "web", "production", "available", "2026-01-02"),
            image("a3", "web", "production", "available", "2026-01-03"),
            image("a4", "web", "production", "pending", "2026-01-04"),
            image("a5", "web", "production", "failed", "2026-01-05"),
            image("b1", "web", "staging", "available", "2025-01-01"),
            image("c1", "bare", "", "available", "2024-01-01"),
            image("c2", "bare", "", "available", "2024-01-02"),
        ];
        assert_eq!(going(&images, &[], 1), ["c1", "a5", "a2", "a1"]);
        assert_eq!(going(&images, &[], 0), going(&images, &[], 1), "the newest is never in question");
        assert_eq!(going(&images, &[], 2), ["a5", "a1"]);
        let uses = ["a1", "c1"].map(|id| Use { image: id.to_owned(), by: "i-1".to_owned() });
        assert_eq!(going(&images, &uses, 1), ["a5", "a2"]);
    }

    #[test]
    fn a_state_that_nobody_knows_stays() {
        let images = ["available", "transient", "disabled", "deregistered"];
        let images: Vec<Baked> = images.iter().map(|state| image(state, "web", "", state, state)).collect();
        assert_eq!(going(&images, &[], 1), Vec::<String>::new());
    }
}
