//! What is made from the protocol and kept in `src/wire/generated`, so that who builds Sampan needs no compiler of protocols.

use std::{collections::BTreeMap, env, fmt::Write, fs, path::Path};

use prost_types::FileDescriptorSet;

/// How the descriptors of protobuf number what is of interest here.
const REPEATED: i32 = 3;
const TEXT: i32 = 9;
const MESSAGE: i32 = 11;
const BYTES: i32 = 12;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/generated");
/// Writes what is kept anew, as for the pages that are made from the code.
const WRITE: &str = "SAMPAN_WRITE_REFERENCE";

#[test]
fn what_is_made_from_the_protocol_is_as_the_protocol_says() {
    let files = protox::compile(["proto/sampan.proto"], ["proto"]).expect("it is a protocol");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("shapes.rs"), shapes(&files)).expect("a file");
    tonic_prost_build::configure().out_dir(folder.path()).compile_fds(files).expect("it is compiled");
    for name in ["sampan.v1.rs", "shapes.rs"] {
        let made = fs::read_to_string(folder.path().join(name)).expect("it was made");
        let kept = Path::new(KEPT).join(name);
        if env::var_os(WRITE).is_some() {
            fs::write(&kept, &made).expect("it is written");
        }
        let is_kept = fs::read_to_string(&kept).is_ok_and(|kept| kept == made);
        assert!(is_kept, "{} is of another proto/sampan.proto: run make reference", kept.display());
    }
}

/// What each message is made of, so that its weight is known before it is read.
fn shapes(files: &FileDescriptorSet) -> String {
    write_shapes(files).expect("text is written")
}

fn write_shapes(files: &FileDescriptorSet) -> Result<String, std::fmt::Error> {
    let mut shapes = String::new();
    for file in &files.file {
        // Entries of maps are messages within others, and have no type of their own in Rust.
        let outer = file.message_type.iter().map(|message| (message.name().to_owned(), message, true));
        let inner = file.message_type.iter().flat_map(|outer| {
            outer.nested_type.iter().map(|inner| (format!("{}.{}", outer.name(), inner.name()), inner, false))
        });
        let messages: Vec<_> = outer.chain(inner).collect();
        let full = |name: &str| format!(".{}.{name}", file.package());
        let numbers: BTreeMap<_, _> = messages.iter().enumerate().map(|(at, (name, ..))| (full(name), at)).collect();
        writeln!(shapes, "pub(crate) static SHAPES: [Shape; {}] = [", messages.len())?;
        for (_, message, is_type) in &messages {
            let size = match is_type {
                true => format!("size_of::<proto::{}>()", message.name()),
                false => "ENTRY".to_owned(),
            };
            write!(shapes, "Shape {{ size: {size}, fields: &[")?;
            for field in &message.field {
                let held = match field.r#type {
                    Some(TEXT | BYTES) => "Held::Text".to_owned(),
                    Some(MESSAGE) => format!("Held::Message({})", numbers[field.type_name()]),
                    _ => continue,
                };
                write!(shapes, "({}, {held}, {}),", field.number(), field.label == Some(REPEATED))?;
            }
            writeln!(shapes, "] }},")?;
        }
        writeln!(shapes, "];")?;
        writeln!(shapes, "pub(crate) static CALLS: &[(&str, usize)] = &[")?;
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                writeln!(shapes, "({path:?}, {}),", numbers[method.input_type()])?;
            }
        }
        writeln!(shapes, "];")?;
    }
    Ok(shapes)
}
