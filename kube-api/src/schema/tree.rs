use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// The schemas of all kinds of some groups.
#[derive(Debug, Default)]
pub struct Schemas {
    pub(super) messages: Vec<Message>,
    pub(super) kinds: BTreeMap<Gvk, MessageId>,
    pub(super) by_name: HashMap<String, MessageId>,
}

/// A kind in one version of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvk {
    /// For example `apps`; empty for the core.
    pub group: String,
    /// For example `v1`.
    pub version: String,
    /// For example `Deployment`.
    pub kind: String,
}

/// A version of a group, as its file begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// For example `apps`; empty for the core, `meta` for what all groups share.
    pub name: String,
    /// For example `v1`.
    pub version: String,
    /// What the names of its messages in OpenAPI begin with, for example `io.k8s.api.apps.v1`.
    pub model: String,
}

/// One of the messages of a [`Schemas`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(super) usize);

/// An object, or a part of one, that has named fields.
#[derive(Debug)]
pub struct Message {
    /// As OpenAPI calls it, for example `io.k8s.api.apps.v1.DeploymentSpec`.
    pub name: String,
    /// What it is as a kind; `None`: a part of one.
    pub kind: Option<Gvk>,
    /// What it is for.
    pub sentence: String,
    /// What protobuf has in it, in the order of the file.
    pub members: Vec<Member>,
    /// All fields that JSON has in it, those of inlined messages too.
    pub fields: BTreeMap<String, Field>,
}

/// What protobuf has under one number of a message.
#[derive(Debug)]
pub enum Member {
    /// The field of this name.
    Field {
        /// Its number; 0: protobuf does not have it.
        number: u32,
        /// Its name in JSON.
        name: String,
    },
    /// A message whose fields JSON has beside those of this one.
    Inlined {
        /// Its number; 0: they are beside those of this one in protobuf too.
        number: u32,
        /// Which one.
        message: MessageId,
    },
}

/// A field of a message.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its number in protobuf, in the message that it is declared in; 0: there it is not.
    pub number: u32,
    /// What it holds.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
    /// Whether an empty value says something else than none.
    pub optional: bool,
    /// Whether who applies it owns all below it.
    pub atomic: bool,
    /// How a strategic merge patch goes into it.
    pub patch: Patch,
    /// What it is if it is not written, as far as schemas say so.
    pub default: Option<Value>,
    /// The texts that it may be; empty: any.
    pub one_of: Vec<String>,
    /// What Sampan does with it.
    pub treatment: Treatment,
    /// What it is for.
    pub sentence: String,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// Bytes, in Base64.
    Bytes,
    /// True or false.
    Flag,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Double,
    /// For example `100m` or `64Mi`.
    Quantity,
    /// A count or a percentage, a port's number or its name.
    IntOrString,
    /// A moment, in whole seconds.
    Time,
    /// A moment, in microseconds.
    MicroTime,
    /// A length of time, for example `1m30s`.
    Duration,
    /// Anything; whoever applies it owns all of it.
    Any,
    /// What has named fields.
    Message(MessageId),
    /// A list.
    List(Box<Shape>, Elements),
    /// Values by keys that are data.
    Map(Box<Shape>),
}

/// What the elements of a list are to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements {
    /// They have one owner.
    Atomic,
    /// Each value is there once.
    Set,
    /// Each has these fields to itself.
    Keyed(Vec<String>),
}

/// How a strategic merge patch goes into a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// A list takes the place of the one that is there; anything else is merged.
    Usual,
    /// Values that are not there yet are added to a list.
    Set,
    /// Elements with the same value of this field are merged.
    By(String),
    /// Fields that `$retainKeys` of the patch does not name go.
    RetainKeys,
}

/// What Sampan does with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It does what Kubernetes does, or what the field's sentence says.
    Honoured,
    /// It is taken, and changes nothing.
    Ignored,
    /// It is refused.
    Refused,
}

impl Gvk {
    /// For example of `apps/v1` and `Deployment`.
    pub fn of(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl Schemas {
    /// One of its messages.
    pub fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0]
    }

    /// The kind of this name.
    pub fn kind(&self, gvk: &Gvk) -> Option<&Message> {
        self.kind_id(gvk).map(|id| self.message(id))
    }

    /// The kind of this name.
    pub fn kind_id(&self, gvk: &Gvk) -> Option<MessageId> {
        self.kinds.get(gvk).copied()
    }

    /// The message that OpenAPI calls by this name.
    pub fn named(&self, name: &str) -> Option<&Message> {
        self.by_name.get(name).map(|id| self.message(*id))
    }

    /// All kinds, in the order of their groups.
    pub fn kinds(&self) -> impl Iterator<Item = (&Gvk, MessageId)> {
        self.kinds.iter().map(|(gvk, id)| (gvk, *id))
    }

    /// The field at a path such as `["spec", "template"]` of a message; elements of lists and values of maps are passed
    /// through without a step of their own.
    pub fn field<'a, 'p>(&'a self, message: &'a Message, path: impl IntoIterator<Item = &'p str>) -> Option<&'a Field> {
        let mut at: Option<&Field> = None;
        for step in path {
            let inside = match at {
                None => message,
                Some(field) => self.message(field.shape.inner()?),
            };
            at = Some(inside.fields.get(step)?);
        }
        at
    }
}

impl Shape {
    /// The message that it holds, itself or in the elements of its lists and maps.
    pub fn inner(&self) -> Option<MessageId> {
        match self {
            Self::Message(id) => Some(*id),
            Self::List(of, _) | Self::Map(of) => of.inner(),
            _ => None,
        }
    }
}
