//! What a scalar of YAML means. As kubectl and the API of Kubernetes read it, by YAML 1.1 as Go's `yaml.v2` has it
//! (`resolve.go`): `yes` is true, `0644` is octal, and sexagesimal numbers and times are texts.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

/// The tags that choose how a scalar is read, without their prefix `tag:yaml.org,2002:`.
const RESOLVED: [&str; 5] = ["bool", "float", "int", "null", "timestamp"];

/// A scalar as YAML 1.1 has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

/// Reads a scalar. `tag` is the one of YAML's own schema that it has, without its prefix, or another one as it stands.
///
/// Fails with what is wrong, if its text is not what its tag says.
pub(super) fn read(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, String> {
    let as_text = || Ok(Scalar::Text(text.to_owned()));
    match tag {
        None if plain => Ok(resolve(text)),
        Some("binary") => binary(text),
        Some(tag) if RESOLVED.contains(&tag) => tagged(resolve(text), text, tag),
        _ => as_text(),
    }
}

fn tagged(scalar: Scalar, text: &str, tag: &str) -> Result<Scalar, String> {
    match (tag, scalar) {
        ("bool", bool @ Scalar::Bool(_)) => Ok(bool),
        ("null", Scalar::Null) => Ok(Scalar::Null),
        ("int", int @ (Scalar::Int(_) | Scalar::Unsigned(_))) => Ok(int),
        ("float", Scalar::Int(_) | Scalar::Unsigned(_) | Scalar::Float(_)) => {
            text.replace('_', "").parse().map(Scalar::Float).map_err(|_| format!("`{text}` is no `!!float`"))
        }
        ("timestamp", _) => Ok(Scalar::Text(text.to_owned())),
        _ => Err(format!("`{text}` is no `!!{tag}`")),
    }
}

fn binary(text: &str) -> Result<Scalar, String> {
    let packed: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(packed).map_err(|_| "`!!binary` is not Base64".to_owned())?;
    String::from_utf8(bytes).map(Scalar::Text).map_err(|_| "`!!binary` holds what is no text".to_owned())
}

/// What a plain scalar without a tag means.
fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(text),
        b'+' | b'-' | b'0'..=b'9' => {
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| float(&digits))
        }
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// As Go's `strconv.ParseInt` with base 0, then `ParseUint`, which takes no sign.
fn integer(text: &str) -> Option<Scalar> {
    let (sign, digits) = match text.as_bytes()[0] {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust's own parsing would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        Ok(number) => Some(Scalar::Int(number)),
        Err(_) if digits.len() == text.len() || !text.starts_with(['+', '-']) => {
            u64::from_str_radix(digits, radix).ok().map(Scalar::Unsigned)
        }
        Err(_) => None,
    }
}

/// Digits with a point or an exponent, as YAML writes them; what a double cannot hold stays a text.
fn float(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = whole.len() + fraction.len() > 0 && !exponent.is_empty();
    if !written || ![whole, fraction, exponent].into_iter().all(all_digits) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Scalar::Float)
}

impl Scalar {
    /// As JSON has it. Fails for numbers that it cannot hold.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Float(value) => match whole(value) {
                Some(whole) => whole.into(),
                None => Number::from_f64(value)
                    .map(Value::Number)
                    .ok_or_else(|| format!("{value} is no number that JSON can hold"))?,
            },
            Self::Text(text) => text.into(),
        })
    }

    /// As a key of JSON. `None`: it can be none.
    pub(super) fn into_key(self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Float(value) if value.is_nan() => ".nan".to_owned(),
            Self::Float(f64::INFINITY) => ".inf".to_owned(),
            Self::Float(f64::NEG_INFINITY) => "-.inf".to_owned(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => text,
        })
    }
}

/// A double without a fraction, as the integer that JSON writes for it.
fn whole(value: f64) -> Option<i64> {
    let exact = value.is_finite() && value.fract() == 0.0 && value.abs() < i64::MAX as f64;
    exact.then_some(value as i64)
}
