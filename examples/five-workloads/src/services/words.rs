//! Words as vectors: each word counts into one of a few dimensions. Crude, the same everywhere, and enough to find a sentence.

const DIMENSIONS: usize = 64;

/// The words of a text that carry meaning: lower case, four letters or more.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.chars().count() > 3)
        .map(str::to_lowercase)
        .collect()
}

/// The embedding of a text.
pub(crate) fn embed(text: &str) -> Vec<f64> {
    let mut vector = vec![0.0; DIMENSIONS];
    for word in words(text) {
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325, fnv1a);
        let at = usize::try_from(hash % 64).unwrap_or_default();
        if let Some(dimension) = vector.get_mut(at) {
            *dimension += 1.0;
        }
    }
    vector
}

/// How alike two vectors are: the cosine of the angle between them, 0 where one of them has no length.
pub(crate) fn cosine(one: &[f64], two: &[f64]) -> f64 {
    let dot = |one: &[f64], two: &[f64]| one.iter().zip(two).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(one, one) * dot(two, two)).sqrt();
    if lengths > 0.0 {
        dot(one, two) / lengths
    } else {
        0.0
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_most_like_the_sentence_that_answers_it() {
        let question = embed("How many days of leave does a new colleague have?");
        let answer = embed("A new colleague has 27 days of leave in the first year.");
        let other = embed("Lunch is served from noon, on Fridays with cake.");
        assert!(cosine(&question, &answer) > cosine(&question, &other));
        assert!((cosine(&question, &question) - 1.0).abs() < 1e-9);
        assert!(cosine(&question, &embed("")).abs() < 1e-9);
    }
}
