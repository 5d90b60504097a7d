//! Names made from `metadata.generateName`.

/// No vowels, so that no words arise; nothing that looks like something else.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

const SUFFIX_LENGTH: usize = 5;

/// A base is cut to this, so that a name has 63 bytes at most.
pub const MAX_GENERATED_NAME_LENGTH: usize = 63 - SUFFIX_LENGTH;

/// `base` and five random characters. `random` fills a buffer.
pub fn generate_name(base: &str, random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut cut = base.len().min(MAX_GENERATED_NAME_LENGTH);
    while !base.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut name = String::with_capacity(cut + SUFFIX_LENGTH);
    name.push_str(&base[..cut]);
    name.push_str(&random_suffix(SUFFIX_LENGTH, random));
    name
}

/// So many random characters of the alphabet, each equally likely: five bits at a time, of which those past the
/// alphabet's end are dropped.
pub fn random_suffix(length: usize, random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut suffix = String::with_capacity(length);
    let mut bytes = [0; 16];
    while suffix.len() < length {
        random(&mut bytes);
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 0x1f)));
        suffix.extend(letters.take(length - suffix.len()).map(|&letter| char::from(letter)));
    }
    suffix
}

/// A text, such as a hash, in the same alphabet: `rand.SafeEncodeString`.
pub fn safe_encode(text: &str) -> String {
    text.chars().map(|c| char::from(ALPHABET[c as usize % ALPHABET.len()])).collect()
}
