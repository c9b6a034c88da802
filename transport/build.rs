//! Compiles the protocol, and writes down what each of its messages is made of.

use std::{collections::BTreeMap, env, fmt::Write, fs, path::Path};

/// How the descriptors of protobuf number what is of interest here.
const REPEATED: i32 = 3;
const TEXT: i32 = 9;
const MESSAGE: i32 = 11;
const BYTES: i32 = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["proto/sampan.proto"], ["proto"])?;
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
    fs::write(Path::new(&env::var("OUT_DIR")?).join("shapes.rs"), shapes)?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
