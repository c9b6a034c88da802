use super::*;

const META: &str = "group meta v1 meta\n\ntype ObjectMeta: Name and labels.\n  name 1 string: What it is called.\n  finalizers 14 [string] set\n";
const CORE: &str = "group core v1 core\n";

fn deployment() -> &'static Message {
    served().kind(&Gvk::of("apps/v1", "Deployment")).expect("Deployments are served")
}

#[test]
fn all_schemas_of_this_program_can_be_read_and_every_field_says_what_it_is_for() {
    let mut silent = Vec::new();
    for message in &served().messages {
        if message.sentence.is_empty() {
            silent.push(message.name.clone());
        }
        let fields = message.fields.iter().filter(|(_, field)| field.sentence.is_empty());
        silent.extend(fields.map(|(name, _)| format!("{}.{name}", message.name)));
    }
    assert!(silent.is_empty(), "write a sentence for each of these: {silent:#?}");
}

#[test]
fn a_field_is_found_by_its_path_through_lists_and_inlined_messages() {
    let at = |path: &str| served().field(deployment(), path.split('.')).expect(path);
    assert_eq!(at("spec.replicas").shape, Shape::Int32);
    assert!(at("spec.selector").required && at("spec.selector").atomic);
    assert_eq!(at("spec.strategy").patch, Patch::RetainKeys);
    let ports = at("spec.template.spec.containers.ports");
    let Shape::List(_, Elements::Keyed(keys)) = &ports.shape else { panic!("{ports:?}") };
    assert_eq!(keys, &["containerPort", "protocol"]);
    assert_eq!(ports.patch, Patch::By("containerPort".to_owned()));
    // Inlined in a probe, and in a volume.
    assert_eq!(at("spec.template.spec.containers.livenessProbe.httpGet.port").shape, Shape::IntOrString);
    assert_eq!(at("spec.template.spec.volumes.configMap.name").shape, Shape::Text);
    assert_eq!(at("spec.template.spec.containers.ports.protocol").default, Some("TCP".into()));
    assert!(served().field(deployment(), ["spec", "replcas"]).is_none());
}

#[test]
fn a_new_kind_is_a_file_and_a_line() {
    let boats = "group boats.example v1 example.boats.v1\n\nkind Boat: A boat.\n  metadata 1 ObjectMeta\n  spec 2 BoatSpec\n\n\
                 type BoatSpec: What is to float.\n  crew 1 [Sailor] by name: Who is aboard.\n\ntype Sailor: One of the crew.\n  name 1 string!\n  \
                 rank 2 string = \"mate\" one-of captain|mate\n";
    let schemas = Schemas::read(&[META, CORE, boats]).expect("they are right");
    let boat = schemas.kind(&Gvk::of("boats.example/v1", "Boat")).expect("it is there");
    let rank = schemas.field(boat, ["spec", "crew", "rank"]).expect("it is there");
    assert_eq!((rank.one_of.len(), &rank.default), (2, &Some("mate".into())));
    assert!(schemas.field(boat, ["metadata", "finalizers"]).is_some());
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_line() {
    let why = |line: &str| {
        let text = format!("group core v1 core\n\ntype A: It.\n  {line}\n");
        Schemas::read(&[META, &text]).expect_err(line).to_string()
    };
    assert_eq!(why("b 1 Unknown"), "line 4 of the schemas of core: the type `Unknown` is not known");
    assert_eq!(why("b one string"), "line 4 of the schemas of core: `one` is no number of a field");
    assert_eq!(why("b 1 string by"), "line 4 of the schemas of core: something is missing behind `by`");
    assert_eq!(why("b 1 string set"), "line 4 of the schemas of core: only lists have keys or are sets");
    assert_eq!(why("b 1 string odd"), "line 4 of the schemas of core: the word `odd` is not known");
}
