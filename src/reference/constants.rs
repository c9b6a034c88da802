use std::{fmt, fs, path::Path, time::Duration};

use super::root;

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

    /// How many of a unit it is: of time (`ms`, `s`, `m`, `h`, `d`), or of bytes (`KiB`, `MiB`). `None` for one that is neither.
    pub(super) fn of(self, unit: &str) -> Option<String> {
        let times = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
        let sizes = [("KiB", 1024.0), ("MiB", 1_048_576.0)];
        let (amount, units) = match self {
            Self::Number(number) => (number as f64, &sizes[..]),
            Self::Time(time) => (time.as_secs_f64(), &times[..]),
        };
        let (_, one) = units.iter().find(|(name, _)| *name == unit)?;
        Some(((amount / one * 1000.0).round() / 1000.0).to_string())
    }

    /// Of the time from one to the next: how many come in a second.
    pub(super) fn rate(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Time(time) => (1.0 / time.as_secs_f64()).to_string(),
        }
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

/// What a source says of a constant (`const NAME: u32 = 1 << 10;`) or of a field of defaults (`name: 5,`). The constants
/// that it is made of are looked up here, and then in the crate of this source.
/// Errors in words: there is none of this name, or it is written as nothing that is read here.
pub(super) fn value(path: &str, name: &str) -> Result<Value, String> {
    let source = fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))?;
    let folder = path.split_once("src/").map_or("", |(folder, _)| folder);
    let elsewhere = |name: &str| {
        let mut found = sources(&root().join(folder).join("src")).into_iter();
        found.find_map(|source| evaluate_in(&source, name, &|_| None).ok())
    };
    evaluate_in(&source, name, &elsewhere)
}

/// The sources below a folder, in their order.
fn sources(folder: &Path) -> Vec<String> {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let read = |path: &Path| match path.is_dir() {
        true => sources(path),
        false => fs::read_to_string(path).into_iter().collect(),
    };
    entries.iter().flat_map(|path| read(path)).collect()
}

/// What knows constants of other sources.
type Elsewhere<'a> = &'a dyn Fn(&str) -> Option<Value>;

fn evaluate_in(source: &str, name: &str, elsewhere: Elsewhere<'_>) -> Result<Value, String> {
    let mut values = source.lines().map(str::trim).filter_map(|line| written(line, name)).peekable();
    let first = values.peek().copied().ok_or_else(|| format!("there is no `{name}` with a value on its line"))?;
    let value = values.find_map(|value| evaluate(value, source, elsewhere));
    value.ok_or_else(|| format!("`{name}` is `{first}`, which is not read here"))
}

/// What a line gives to this name.
fn written<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    if let Some((_, declared)) = line.split_once("const ") {
        let (declared, value) = declared.split_once('=')?;
        let is_it = declared.split(':').next()?.trim() == name;
        return is_it.then(|| value.trim().trim_end_matches(';'));
    }
    let mut fields = line.match_indices(name).filter(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '{']));
    let value = fields.find_map(|(at, _)| line[at + name.len()..].strip_prefix(':'))?;
    Some(value.split([',', '}']).next()?.trim())
}

fn evaluate(written: &str, source: &str, elsewhere: Elsewhere<'_>) -> Option<Value> {
    let number = |written| number(written, source, elsewhere);
    let inside = |of: &str| written.strip_prefix(of)?.strip_suffix(')');
    // What tests go by is another value.
    if let Some((_, value)) = written.strip_prefix("if cfg!(test)").and_then(|rest| rest.split_once("else {")) {
        return evaluate(value.trim_end_matches('}').trim(), source, elsewhere);
    }
    if let Some(seconds) = inside("Duration::from_secs(") {
        return Some(Value::Time(Duration::from_secs(number(seconds)?)));
    }
    if let Some(millis) = inside("Duration::from_millis(") {
        return Some(Value::Time(Duration::from_millis(number(millis)?)));
    }
    number(written).map(Value::Number)
}

/// A literal or a constant, and sums, differences, products and shifts of them.
fn number(written: &str, source: &str, elsewhere: Elsewhere<'_>) -> Option<u64> {
    let number = |written: &str| number(written, source, elsewhere);
    let written = written.trim();
    let of_two = |sign: &str| written.rsplit_once(sign).map(|(a, b)| Some((number(a)?, number(b)?)));
    if let Some(both) = of_two(" << ") {
        return both.and_then(|(a, b)| a.checked_shl(b.try_into().ok()?));
    }
    if let Some(both) = of_two(" + ") {
        return both.and_then(|(a, b)| a.checked_add(b));
    }
    if let Some(both) = of_two(" - ") {
        return both.and_then(|(a, b)| a.checked_sub(b));
    }
    if let Some(both) = of_two(" * ") {
        return both.and_then(|(a, b)| a.checked_mul(b));
    }
    let plain = written.split_once(" as ").map_or(written, |(value, _)| value);
    if plain == "u16::MAX" {
        return Some(u16::MAX.into());
    }
    if plain.starts_with(|c: char| c.is_ascii_uppercase()) {
        let value = evaluate_in(source, plain, elsewhere).ok().or_else(|| elsewhere(plain));
        return value.and_then(|value| if let Value::Number(number) = value { Some(number) } else { None });
    }
    plain.replace('_', "").parse().ok()
}

#[test]
fn values_are_read_as_the_sources_write_them_and_said_as_users_write_them() {
    let source = "/// Says.\npub(crate) const A: usize = 16 << 20;\nconst B: Duration = Duration::from_secs(30 * 24 * 3600);\n    \
                  c: Duration::from_millis(1_500),\nconst D: u32 = other();\nconst E: u64 = 1_000;\n\
                  const F: usize = E + 64;\nconst G: usize = if cfg!(test) { 8 } else { 1024 };\nconst H: u64 = E + AWAY;\n\
                  Self { i: 12, j: 8 << 20 }\nconst K: Duration = Duration::from_millis(200);\n\
                  const L: usize = u16::MAX as usize - 1;\n";
    let value = |name| evaluate_in(source, name, &|name| (name == "AWAY").then_some(Value::Number(3)));
    let said = |name| value(name).map(|value| value.to_string());
    assert_eq!(value("A").unwrap().bytes(), "16Mi");
    assert_eq!(said("B").unwrap(), "30d");
    assert_eq!(said("c").unwrap(), "1.5s");
    assert!(said("D").unwrap_err().contains("other()"));
    assert_eq!(said("E").unwrap(), "1000");
    assert_eq!(said("F").unwrap(), "1064");
    assert_eq!(said("G").unwrap(), "1024");
    assert_eq!(said("H").unwrap(), "1003");
    assert_eq!(said("i").unwrap(), "12");
    assert_eq!(value("j").unwrap().bytes(), "8Mi");
    assert_eq!(value("K").unwrap().rate(), "5");
    assert_eq!(value("K").unwrap().of("ms").unwrap(), "200");
    assert_eq!(value("B").unwrap().of("d").unwrap(), "30");
    assert_eq!(value("A").unwrap().of("KiB").unwrap(), "16384");
    assert_eq!(value("A").unwrap().of("s"), None);
    assert_eq!(said("L").unwrap(), "65534");
    assert!(said("M").is_err());
}
