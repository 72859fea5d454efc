//! The word that was likely meant by one that is not known: what "did you mean" says.

/// Longer words are not compared: the comparison is quadratic, and nobody misspells those.
const LONGEST: usize = 128;

/// The choice that is nearest to a word, if one is near.
pub fn nearest<'a>(word: &str, choices: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Half of a short word must be right.
    let limit = (1 + word.len() / 4).min(word.len() / 2);
    if word.len() > LONGEST {
        return None;
    }
    choices
        .filter(|choice| choice.len().abs_diff(word.len()) <= limit * 4 && *choice != word)
        .map(|choice| (strsim::damerau_levenshtein(word, choice), choice))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, choice)| choice)
}

/// The sentence that proposes the nearest choice.
pub(crate) fn did_you_mean<'a>(word: &str, choices: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(word, choices).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_word_is_near_when_most_of_it_is_right() {
        let choices = ["grains", "pillar", "salt", "sls", "a", "b"];
        let near = |word: &str| nearest(word, choices.into_iter());
        assert_eq!(
            [near("grain"), near("piller"), near("slat"), near("ssl")].map(|w| w.unwrap_or_default()),
            ["grains", "pillar", "salt", "sls"]
        );
        assert_eq!([near("x"), near("it"), near("mine"), near(&"grains".repeat(99))], [None; 4]);
    }
}
