//! Reads numbers as people type them.

/// The zeros of the decimal digits that keyboards type. Unicode has ten digits in a row from each.
const ZEROS: [char; 19] = [
    '0',        // ASCII
    '\u{0660}', // Arabic-Indic
    '\u{06F0}', // Persian, Urdu
    '\u{07C0}', // N'Ko
    '\u{0966}', // Devanagari
    '\u{09E6}', // Bengali
    '\u{0A66}', // Gurmukhi
    '\u{0AE6}', // Gujarati
    '\u{0B66}', // Odia
    '\u{0BE6}', // Tamil
    '\u{0C66}', // Telugu
    '\u{0CE6}', // Kannada
    '\u{0D66}', // Malayalam
    '\u{0E50}', // Thai
    '\u{0ED0}', // Lao
    '\u{0F20}', // Tibetan
    '\u{1040}', // Myanmar
    '\u{17E0}', // Khmer
    '\u{FF10}', // full width
];

/// Parses a number with any digits. One comma is a decimal point, unless it may separate thousands:
/// `2,5` is two and a half, and `1,000` is no number.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text: String = text.trim().chars().map(to_ascii).collect();
    match text.split_once(',') {
        None => text.parse().ok(),
        Some((whole, fraction)) => {
            let may_be_thousands = fraction.len() == 3 && !["", "0"].contains(&whole);
            let is_decimal = !may_be_thousands
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
                && whole.bytes().all(|byte| byte.is_ascii_digit());
            is_decimal.then(|| format!("{whole}.{fraction}").parse().ok())?
        }
    }
}

/// The same digit, comma or point in ASCII; any other character as it is.
fn to_ascii(character: char) -> char {
    match character {
        '\u{066B}' | '\u{FF0C}' => ',',
        '\u{FF0E}' => '.',
        _ => {
            let code = u32::from(character);
            let digit = |zero: char| code.checked_sub(u32::from(zero)).filter(|digit| *digit < 10);
            let digit = ZEROS.into_iter().find_map(digit);
            digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(character)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comma_is_a_decimal_point_unless_it_may_separate_thousands() {
        for (text, number) in [
            ("2,5", 2.5),
            ("12,50", 12.5),
            ("0,125", 0.125),
            (",5", 0.5),
            ("2.5", 2.5),
            ("1.000", 1.0),
            ("20", 20.0),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["1,000", "1,000,000", "1,000.5", "1.000,5", ",", "2,5e1", "-2,5", "2, 5", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_digits_of_other_scripts_are_digits() {
        for (text, number) in [
            ("٢٠", 20.0),
            ("٢٫٥", 2.5),
            ("۲۰", 20.0),
            ("२०", 20.0),
            ("২০", 20.0),
            ("๒๐", 20.0),
            ("２０", 20.0),
            ("２．５", 2.5),
            ("２，５", 2.5),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["٢x", "二十", "½", "²"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
