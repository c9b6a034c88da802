use std::{fmt, time::Duration};

/// The value of a constant, or of a field of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Time(Duration),
}

impl Value {
    /// As bytes are written in manifests and options: `16Mi`.
    pub(super) fn bytes(self) -> String {
        let Self::Number(number) = self else { return self.to_string() };
        let units = [(30, "Gi"), (20, "Mi"), (10, "Ki")];
        let unit = units.iter().find(|(bits, _)| number >= 1 << bits && number % (1 << bits) == 0);
        unit.map_or_else(|| number.to_string(), |(bits, unit)| format!("{}{unit}", number >> bits))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = match self {
            Self::Number(number) => return write!(formatter, "{number}"),
            Self::Time(time) => time,
        };
        let seconds = time.as_secs();
        match seconds {
            _ if time.subsec_nanos() > 0 => write!(formatter, "{}s", time.as_secs_f64()),
            86_400.. if seconds % 86_400 == 0 => write!(formatter, "{}d", seconds / 86_400),
            3600.. if seconds % 3600 == 0 => write!(formatter, "{}h", seconds / 3600),
            120.. if seconds % 60 == 0 => write!(formatter, "{}m", seconds / 60),
            _ => write!(formatter, "{seconds}s"),
        }
    }
}

/// What a source says of a constant (`const NAME: u32 = 1 << 10;`) or of a field of defaults (`name: 5,`).
/// Errors in words: there is none of this name, or it is written as nothing that is read here.
pub(super) fn value(source: &str, name: &str) -> Result<Value, String> {
    let mut values = source.lines().map(str::trim).filter_map(|line| written(line, name)).peekable();
    let first = values.peek().copied().ok_or_else(|| format!("there is no `{name}` with a value on its line"))?;
    values.find_map(evaluate).ok_or_else(|| format!("`{name}` is `{first}`, which is not read here"))
}

/// What a line gives to this name.
fn written<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    if let Some((_, declared)) = line.split_once("const ") {
        let (declared, value) = declared.split_once('=')?;
        let is_it = declared.split(':').next()?.trim() == name;
        return is_it.then(|| value.trim().trim_end_matches(';'));
    }
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    Some(value.trim().trim_end_matches(','))
}

fn evaluate(written: &str) -> Option<Value> {
    let inside = |of: &str| written.strip_prefix(of)?.strip_suffix(')');
    if let Some(seconds) = inside("Duration::from_secs(") {
        return Some(Value::Time(Duration::from_secs(number(seconds)?)));
    }
    if let Some(millis) = inside("Duration::from_millis(") {
        return Some(Value::Time(Duration::from_millis(number(millis)?)));
    }
    number(written).map(Value::Number)
}

/// A literal, a shift or a product.
fn number(written: &str) -> Option<u64> {
    if let Some((number_of, bits)) = written.split_once("<<") {
        return number(number_of)?.checked_shl(bits.trim().parse().ok()?);
    }
    written
        .split('*')
        .try_fold(1_u64, |product, factor| product.checked_mul(factor.trim().replace('_', "").parse().ok()?))
}

#[test]
fn values_are_read_as_the_sources_write_them_and_said_as_users_write_them() {
    let source = "/// Says.\npub(crate) const A: usize = 16 << 20;\nconst B: Duration = Duration::from_secs(30 * 24 * 3600);\n    \
                  c: Duration::from_millis(1_500),\nconst D: u32 = other();\nconst E: u64 = 1_000;\n";
    assert_eq!(value(source, "A").unwrap().bytes(), "16Mi");
    assert_eq!(value(source, "B").unwrap().to_string(), "30d");
    assert_eq!(value(source, "c").unwrap().to_string(), "1.5s");
    assert_eq!(value(source, "E").unwrap().to_string(), "1000");
    assert!(value(source, "D").unwrap_err().contains("other()"));
    assert!(value(source, "F").is_err());
}
