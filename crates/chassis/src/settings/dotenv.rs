//! Reads the file `.env`.

use std::{fs, path::Path};

/// Reads a file into the environment; a missing file is no error. No error repeats a value, which
/// may be a secret.
///
/// # Errors
/// When a line is malformed, or has a `$` that would be replaced.
pub(super) fn read(path: &Path) -> Result<(), String> {
    match dotenvy::from_path_iter(path) {
        Err(error) if error.not_found() => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    check_dollars(&text)?;
    match dotenvy::from_path(path) {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::LineParse(line, _)) => {
            let index = text.lines().position(|text| text.contains(line.trim())).unwrap_or(0);
            Err(format!("line {} is not of the form NAME=value", index + 1))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Refuses a `$` that dotenvy would replace: where no variable has the name after it, nothing would
/// be left, and a password that contains a `$` would silently be another one.
fn check_dollars(text: &str) -> Result<(), String> {
    match find_dollar(text) {
        None => Ok(()),
        Some((line, name)) => Err(format!(
            "line {line}: {name} has a $ that would be replaced; accepted: the value between single \
             quotes, or \\$"
        )),
    }
}

/// The line and the name of the first value with a `$` that is neither escaped nor between single
/// quotes.
fn find_dollar(text: &str) -> Option<(usize, String)> {
    let (mut line, mut name, mut place) = (1, String::new(), Place::Name);
    let (mut quote, mut is_escaped) = (None, false);
    for character in text.chars() {
        if character == '\n' {
            line += 1;
            if quote.is_none() {
                (name, place) = (String::new(), Place::Name);
            }
        }
        place = match (place, quote, character) {
            (Place::Comment, ..) => Place::Comment,
            (Place::Name, _, '#') if name.trim().is_empty() => Place::Comment,
            (Place::Name, _, '=') => Place::Value,
            (Place::Name, _, '\n') => Place::Name,
            (Place::Name, ..) => {
                name.push(character);
                Place::Name
            }
            _ if is_escaped => {
                is_escaped = false;
                Place::Value
            }
            (_, Some('\''), _) => {
                quote = quote.filter(|quote| *quote != character);
                Place::Value
            }
            (_, _, '$') => return Some((line, name.trim().to_owned())),
            (_, _, '\\') => {
                is_escaped = true;
                Place::Value
            }
            (_, Some(open), _) => {
                quote = quote.filter(|_| open != character);
                Place::Value
            }
            (_, None, '\'' | '"') => {
                quote = Some(character);
                Place::Value
            }
            (_, None, ' ' | '\t') => Place::AfterSpace,
            (Place::AfterSpace, None, '#') => Place::Comment,
            _ => Place::Value,
        };
    }
    None
}

/// Where a character of the file stands.
#[derive(Clone, Copy)]
enum Place {
    Name,
    Value,
    /// After a space in a value, where a comment may begin.
    AfterSpace,
    Comment,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<(), String> {
        let path = std::env::temp_dir().join(format!("{name}-{}.env", std::process::id()));
        fs::write(&path, text).unwrap();
        let result = read(&path);
        fs::remove_file(&path).unwrap();
        result
    }

    #[test]
    fn the_error_of_a_malformed_line_names_the_line_and_does_not_repeat_it() {
        let error = read_text("malformed", "# fine\n\nPASSWORD secret\n").unwrap_err();
        assert_eq!(error, "line 3 is not of the form NAME=value");
    }

    #[test]
    fn a_missing_file_is_no_error() {
        assert_eq!(read(Path::new("no/such/.env")), Ok(()));
    }

    #[test]
    fn a_dollar_that_would_be_replaced_is_refused_without_its_value() {
        let error = read_text("dollar", "A=1\nTOKEN=hush$hush\n").unwrap_err();
        assert!(error.starts_with("line 2: TOKEN has a $ that"), "{error}");
        assert!(!error.contains("hush"), "{error}");
        for text in [
            "X='pa$word'",
            "X=pa\\$word",
            "X=\"pa\\$word\"",
            "# $word=1",
            "  # X=$word",
            "X=1 # $word",
            "X='a\nb$c'\nY=1",
            "X='it' # it's $word",
        ] {
            assert_eq!(check_dollars(text), Ok(()), "{text}");
        }
        for (text, line) in [
            ("X=pa$word", 1),
            ("X=\"pa$word\"", 1),
            ("X=\"it's pa$word\"", 1),
            ("X=${word}", 1),
            ("X=${A:-x}", 1),
            ("X=pa$", 1),
            ("X='a'$word", 1),
            ("X=redis://$REDIS_HOST:6379", 1),
            ("X='a\nb'\nY=$c", 3),
            ("X=\"a\nb$c\"", 2),
            ("X=a#$word", 1),
            ("export X=$word", 1),
        ] {
            let error = check_dollars(text).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")), "{text}: {error}");
        }
    }
}
