//! How schemas are written.
//!
//! ```text
//! group apps v1 io.k8s.api.apps.v1
//!
//! kind Deployment: What a kind is for, in one sentence.
//!   spec 2 DeploymentSpec: A field has a name, a number in protobuf, a type and words, and a sentence.
//!
//! type Probe: A part of kinds.
//!   inline 1 ProbeHandler
//!   ports 6 [ContainerPort] by containerPort,protocol patch-by containerPort: A list, and how it is merged.
//! ```
//!
//! Types are `string`, `bytes`, `bool`, `int32`, `int64`, `double`, `Quantity`, `IntOrString`, `Time`, `MicroTime`, `Duration`, `any`, the
//! name of a message (of this file, of `meta` or of the core), `[T]` and `{T}` (a map). Behind a type, `!` is a field that must be
//! there, and `?` one of which an empty value says something. Words are `by KEYS`, `set`, `atomic`, `patch-by KEY`, `patch-set`,
//! `patch-replace`, `retain-keys`, `= DEFAULT`, `one-of A|B`, `ignored` and `refused`.

use std::collections::{BTreeMap, HashMap};

use super::tree::{Elements, Field, Group, Gvk, Member, Message, MessageId, Patch, Schemas, Shape, Treatment};

/// Why schemas cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the schemas of {group}: {why}")]
pub struct Unreadable {
    /// Of which file.
    pub group: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

/// A message of a file, whose fields are not read yet.
struct Draft<'t> {
    group: usize,
    name: &'t str,
    is_kind: bool,
    sentence: &'t str,
    /// With the numbers of their lines.
    lines: Vec<(usize, &'t str)>,
}

impl Schemas {
    /// Reads files of schemas. What a file does not have is looked up in the first two of them.
    pub fn read(files: &[&str]) -> Result<Self, Unreadable> {
        let (mut groups, mut drafts) = (Vec::new(), Vec::new());
        for text in files {
            let group = group_of(text)?;
            drafts.extend(drafts_of(groups.len(), &group, text)?);
            groups.push(group);
        }
        let ids: HashMap<(usize, &str), MessageId> =
            drafts.iter().enumerate().map(|(at, draft)| ((draft.group, draft.name), MessageId(at))).collect();
        let find = |group: usize, name: &str| [group, 0, 1].into_iter().find_map(|at| ids.get(&(at, name)).copied());
        let mut schemas = Self::default();
        let mut declared = Vec::new();
        for (at, draft) in drafts.iter().enumerate() {
            let group = &groups[draft.group];
            let kind = draft.is_kind.then(|| {
                let name = if group.name == "meta" { "" } else { &group.name };
                Gvk { group: name.to_owned(), version: group.version.clone(), kind: draft.name.to_owned() }
            });
            let name = format!("{}.{}", group.model, draft.name);
            if let Some(gvk) = &kind {
                schemas.kinds.insert(gvk.clone(), MessageId(at));
            }
            schemas.by_name.insert(name.clone(), MessageId(at));
            let mut members = Vec::new();
            let mut fields = BTreeMap::new();
            for (line, text) in &draft.lines {
                let wrong = |why: String| Unreadable { group: group.model.clone(), line: *line, why };
                let (name, number, field) = field(text, |name| find(draft.group, name)).map_err(wrong)?;
                match (name, field.shape) {
                    ("inline", Shape::Message(message)) => members.push(Member::Inlined { number, message }),
                    (name, shape) => {
                        members.push(Member::Field { number, name: name.to_owned() });
                        fields.insert(name.to_owned(), Field { shape, ..field });
                    }
                }
            }
            declared.push(fields);
            schemas.messages.push(Message {
                name,
                kind,
                sentence: draft.sentence.to_owned(),
                members,
                fields: BTreeMap::new(),
            });
        }
        for at in 0..schemas.messages.len() {
            let fields = all_fields(&schemas.messages, &declared, at);
            schemas.messages[at].fields = fields;
        }
        Ok(schemas)
    }
}

fn all_fields(messages: &[Message], declared: &[BTreeMap<String, Field>], at: usize) -> BTreeMap<String, Field> {
    let mut fields = declared[at].clone();
    for member in &messages[at].members {
        if let Member::Inlined { message, .. } = member {
            fields.extend(all_fields(messages, declared, message.0));
        }
    }
    fields
}

fn group_of(text: &str) -> Result<Group, Unreadable> {
    let words: Vec<_> = text.lines().next().unwrap_or_default().split(' ').collect();
    let ["group", name, version, model] = words[..] else {
        let why = "a file begins with `group NAME VERSION MODEL`".to_owned();
        return Err(Unreadable { group: "a file".to_owned(), line: 1, why });
    };
    let name = if name == "core" { "" } else { name };
    Ok(Group { name: name.to_owned(), version: version.to_owned(), model: model.to_owned() })
}

fn drafts_of<'t>(group: usize, of: &Group, text: &'t str) -> Result<Vec<Draft<'t>>, Unreadable> {
    let mut drafts: Vec<Draft<'t>> = Vec::new();
    for (line, text) in text.lines().enumerate().skip(1).filter(|(_, text)| !text.is_empty()) {
        if let Some(field) = text.strip_prefix("  ") {
            if let Some(draft) = drafts.last_mut() {
                draft.lines.push((line + 1, field));
            }
            continue;
        }
        let (head, sentence) = text.split_once(": ").unwrap_or((text, ""));
        let (is_kind, name) = match head.split_once(' ') {
            Some(("kind", name)) => (true, name),
            Some(("type", name)) => (false, name),
            _ => {
                let why = format!("`{head}` is neither `kind NAME: SENTENCE` nor `type NAME: SENTENCE`");
                return Err(Unreadable { group: of.model.clone(), line: line + 1, why });
            }
        };
        drafts.push(Draft { group, name, is_kind, sentence, lines: Vec::new() });
    }
    Ok(drafts)
}

fn field(text: &str, find: impl Fn(&str) -> Option<MessageId>) -> Result<(&str, u32, Field), String> {
    let (head, sentence) = text.split_once(": ").unwrap_or((text, ""));
    let mut words = head.split(' ');
    let (Some(name), Some(number), Some(of)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("`{head}` is not `NAME NUMBER TYPE`"));
    };
    let number = number.parse().map_err(|_| format!("`{number}` is no number of a field"))?;
    let bare = of.trim_end_matches(['!', '?']);
    let mut field = Field {
        number,
        shape: shape(bare, &find).ok_or_else(|| format!("the type `{bare}` is not known"))?,
        required: of.ends_with('!'),
        optional: of.ends_with('?'),
        atomic: false,
        patch: Patch::Usual,
        default: None,
        one_of: Vec::new(),
        treatment: Treatment::Honoured,
        sentence: sentence.to_owned(),
    };
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("something is missing behind `{word}`"));
        match word {
            "by" => {
                let keys: Vec<_> = next()?.split(',').map(str::to_owned).collect();
                if let [key] = &keys[..] {
                    field.patch = Patch::By(key.clone());
                }
                elements(&mut field, Elements::Keyed(keys))?;
            }
            "set" => {
                field.patch = Patch::Set;
                elements(&mut field, Elements::Set)?;
            }
            "atomic" => field.atomic = true,
            "patch-by" => field.patch = Patch::By(next()?.to_owned()),
            "patch-set" => field.patch = Patch::Set,
            "patch-replace" => field.patch = Patch::Usual,
            "retain-keys" if field.patch == Patch::Usual => field.patch = Patch::RetainKeys,
            // Elements of lists keep their keys by the same directive, which needs no word.
            "retain-keys" => {}
            "=" => field.default = Some(serde_json::from_str(next()?).map_err(|error| error.to_string())?),
            "one-of" => field.one_of = next()?.split('|').map(str::to_owned).collect(),
            "ignored" => field.treatment = Treatment::Ignored,
            "refused" => field.treatment = Treatment::Refused,
            other => return Err(format!("the word `{other}` is not known")),
        }
    }
    Ok((name, number, field))
}

fn elements(field: &mut Field, elements: Elements) -> Result<(), String> {
    match &mut field.shape {
        Shape::List(_, of) => {
            *of = elements;
            Ok(())
        }
        _ => Err("only lists have keys or are sets".to_owned()),
    }
}

fn shape(text: &str, find: &impl Fn(&str) -> Option<MessageId>) -> Option<Shape> {
    let inside = |open, close| text.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    if let Some(of) = inside('[', ']') {
        return Some(Shape::List(Box::new(shape(of, find)?), Elements::Atomic));
    }
    if let Some(of) = inside('{', '}') {
        return Some(Shape::Map(Box::new(shape(of, find)?)));
    }
    Some(match text {
        "string" => Shape::Text,
        "bytes" => Shape::Bytes,
        "bool" => Shape::Flag,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "Quantity" => Shape::Quantity,
        "IntOrString" => Shape::IntOrString,
        "Time" => Shape::Time,
        "MicroTime" => Shape::MicroTime,
        "Duration" => Shape::Duration,
        "any" => Shape::Any,
        name => Shape::Message(find(name)?),
    })
}
